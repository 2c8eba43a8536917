"""Sinkhorn's normalisation of a table of scores with a bin for what has no partner.

Rows and columns are scaled in turns until each sums to one (Cuturi, "Sinkhorn distances", NIPS
2013; with a bin as in SuperGlue, Sarlin et al., CVPR 2020). The bins have room for all cells of the
other image.
"""

from __future__ import annotations

import torch
from torch import Tensor


def log_sinkhorn(table: Tensor, no_partner: Tensor, iterations: int) -> Tensor:
    """Logarithms `(B, N + 1, M + 1)` whose rows and columns, but the bins', sum to 1.

    `table` `(B, N, M)`: scores; `no_partner`: that of the bins, one number. For training: with
    logarithms throughout, and with a gradient.
    """
    batch, rows, columns = table.shape
    one = no_partner.expand(batch, 1, 1)
    right = no_partner.expand(batch, rows, 1)
    below = torch.cat((no_partner.expand(batch, 1, columns), one), 2)
    scores = torch.cat((torch.cat((table, right), 2), below), 1)
    mass0 = table.new_zeros(batch, rows + 1)
    mass0[:, -1] = torch.tensor(float(columns)).log()
    mass1 = table.new_zeros(batch, columns + 1)
    mass1[:, -1] = torch.tensor(float(rows)).log()
    row, column = torch.zeros_like(mass0), torch.zeros_like(mass1)
    for _ in range(iterations):
        row = mass0 - torch.logsumexp(scores + column.unsqueeze(1), 2)
        column = mass1 - torch.logsumexp(scores + row.unsqueeze(2), 1)
    return scores + row.unsqueeze(2) + column.unsqueeze(1)


def scalings(
    exponentials: Tensor, no_partner: Tensor, iterations: int, block: int
) -> tuple[Tensor, Tensor]:
    """Factors `(N,)` of rows and `(M,)` of columns of one pair's table `(N, M)`, the same as
    `log_sinkhorn` finds.

    `exponentials`: of the scores, `no_partner` that of the bins' score; the largest should be about
    one. Each iteration reads the table once, `block` rows at a time.
    """
    count, other = exponentials.shape
    rows = exponentials.new_empty(count)
    columns = exponentials.new_ones(other)
    row_bin = column_bin = exponentials.new_ones(())
    for _ in range(iterations):
        sums = torch.zeros_like(columns)
        for start in range(0, count, block):
            part = exponentials[start : start + block]
            factors = 1 / (part @ columns + no_partner * column_bin)
            rows[start : start + block] = factors
            sums += factors @ part
        row_bin = other / (no_partner * (columns.sum() + column_bin))
        columns = 1 / (sums + no_partner * row_bin)
        column_bin = count / (no_partner * (rows.sum() + row_bin))
    return rows, columns
