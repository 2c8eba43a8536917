"""Module 3, first half: which cell of one image corresponds to which of the other, and how surely.

The similarity of two cells is the cosine of their features times a learned scale. Two distributions
follow from all of them: of each cell's partner among the other image's cells, and the reverse. For
dual softmax (as in LoFTR, Sun et al., CVPR 2021) they are the softmax of rows and of columns, whose
product is the probability of a match; for Sinkhorn (SuperGlue, Sarlin et al., CVPR 2020) rows and
columns of one table that is normalised in turns, with a bin for cells without a partner.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msga_ros.network.dense.config import DenseConfig
from msga_ros.network.dense.sinkhorn import log_sinkhorn, scalings

_BLOCK_ENTRIES = 1 << 20  # of the table that is held at a time (4 MB: it stays in the cache)
_FIRST_SCALE = 20.0
_NEVER = -1e9  # below the logarithm of any probability
_LEAST = 1e-30  # of an exponential whose logarithm is taken


@dataclass(frozen=True)
class Distributions:
    """Logarithms `(B, N, M)`: `rows`, of the partner in image 1 of each cell of image 0 (each row
    sums to at most 1), and `columns`, of the partner in image 0 of each of image 1."""

    rows: Tensor
    columns: Tensor


@dataclass(frozen=True)
class CoarseMatches:
    """K mutual nearest neighbours of two images: cells, and what their similarities say.

    `cells0`, `cells1` `(K,)`; `log_probability`: of both distributions together; `similarity`: the
    cosine; `margin`: by how much it is above that of the cell's second best.
    """

    cells0: Tensor
    cells1: Tensor
    log_probability: Tensor
    similarity: Tensor
    margin: Tensor

    def rows(self, indices: Tensor) -> CoarseMatches:
        """Some of them, in the order of `indices`."""
        return CoarseMatches(
            self.cells0[indices],
            self.cells1[indices],
            self.log_probability[indices],
            self.similarity[indices],
            self.margin[indices],
        )


class Assignment(nn.Module):
    """Features of cells `(B, N, C)` and `(B, M, C)` to distributions or to matches."""

    def __init__(self, config: DenseConfig) -> None:
        super().__init__()
        self.config = config
        self.log_scale = nn.Parameter(torch.tensor(_FIRST_SCALE).log())
        self.bin = nn.Parameter(torch.tensor(1.0))  # score of having no partner, of Sinkhorn

    def distributions(self, cells0: Tensor, cells1: Tensor) -> Distributions:
        """For training: whole tables."""
        table = self._scores(cells0, cells1)
        if self.config.assignment == "dual_softmax":
            return Distributions(table.log_softmax(2), table.log_softmax(1))
        bins = log_sinkhorn(table, self.bin, self.config.sinkhorn_iterations)
        log_probability = bins[:, :-1, :-1]
        return Distributions(log_probability, log_probability)

    def matches(self, cells0: Tensor, cells1: Tensor) -> CoarseMatches:
        """Of one pair, features `(N, C)` and `(M, C)`."""
        if self.config.assignment == "sinkhorn":
            return self._sinkhorn_matches(cells0, cells1)
        scale = self.log_scale.exp()
        unit0, unit1 = F.normalize(cells0.float(), dim=1), F.normalize(cells1.float(), dim=1)
        # Cosine minus one, times the scale: no exponent is above zero, and one pass will do.
        scaled0 = F.pad(unit0 * scale, (0, 1), value=1.0)
        scaled0[:, -1] = -scale
        beside1 = F.pad(unit1, (0, 1), value=1.0).T
        rows = max(1, _BLOCK_ENTRIES // len(unit1))
        two, partner, row_sums = [], [], []
        column_best = unit1.new_full((len(unit1),), -torch.inf)
        column_sum = torch.zeros_like(column_best)
        for start in range(0, len(unit0), rows):
            table = scaled0[start : start + rows] @ beside1
            best, index = two_largest(table)
            two.append(best)
            partner.append(index)
            column_best = torch.maximum(column_best, table.amax(0))
            exponentials = table.exp_()
            row_sums.append(exponentials.sum(1))
            column_sum = column_sum + exponentials.sum(0)
        every, cells = torch.cat(two), torch.cat(partner)
        chosen = mutual_rows(every[:, 0], cells, column_best)
        row_logs, column_logs = torch.cat(row_sums).log(), column_sum.log()
        scores = every[chosen]
        return CoarseMatches(
            chosen,
            cells[chosen],
            2 * scores[:, 0] - row_logs[chosen] - column_logs[cells[chosen]],
            1 + scores[:, 0] / scale,
            (scores[:, 0] - scores[:, 1]) / scale,
        )

    def best(self, cells0: Tensor, cells1: Tensor, most: int) -> tuple[CoarseMatches, Tensor]:
        """The `most` best of `matches`, as many whatever the images: for graphs of fixed shape.

        The second, `(most,)` bool: which of them are matches at all.
        """
        scale = self.log_scale.exp()
        scores = self._scores(cells0[None], cells1[None])
        if self.config.assignment == "sinkhorn":
            table = log_sinkhorn(scores, self.bin, self.config.sinkhorn_iterations)[0, :-1, :-1]
            logarithms = 2 * table
        else:
            table = scores[0] - scale
            exponentials = table.exp()
            rows, columns = exponentials.sum(1).log(), exponentials.sum(0).log()
            logarithms = 2 * table - rows.unsqueeze(1) - columns
        partner = table.argmax(1)
        cells = torch.arange(len(partner), device=partner.device)
        mutual = table.argmax(0)[partner] == cells
        cosine = scores[0] / scale
        similarity = cosine.gather(1, partner[:, None])[:, 0]
        other = cosine.scatter(1, partner[:, None], _NEVER).amax(1)
        every = CoarseMatches(
            cells,
            partner,
            logarithms.gather(1, partner[:, None])[:, 0],
            similarity,
            similarity - other,
        )
        chosen = torch.where(mutual, every.log_probability, _NEVER).topk(most).indices
        return every.rows(chosen), mutual[chosen]

    @torch.no_grad()
    def _sinkhorn_matches(self, cells0: Tensor, cells1: Tensor) -> CoarseMatches:
        """As `matches`; one table of exponentials is kept, 92 MB of images of 640 x 480 pixels."""
        scale = self.log_scale.exp()
        unit0, unit1 = F.normalize(cells0.float(), dim=1), F.normalize(cells1.float(), dim=1)
        block = max(1, _BLOCK_ENTRIES // len(unit1))
        exponentials = unit0.new_empty(len(unit0), len(unit1))
        for start in range(0, len(unit0), block):
            cosines = unit0[start : start + block] @ unit1.T
            torch.exp((cosines - 1).mul_(scale), out=exponentials[start : start + block])
        no_partner = (self.bin - scale).exp()
        iterations = self.config.sinkhorn_iterations
        row_factors, column_factors = scalings(exponentials, no_partner, iterations, block)
        probability, partner, others = [], [], []
        column_best = torch.zeros_like(column_factors)
        for start in range(0, len(unit0), block):
            similar = exponentials[start : start + block]
            part = similar * column_factors
            part *= row_factors[start : start + block, None]
            best, index = two_largest(part)
            others.append(similar.scatter_(1, index[:, None], _LEAST).amax(1))
            probability.append(best[:, 0])
            partner.append(index)
            column_best = torch.maximum(column_best, part.amax(0))
        all_probability, all_partner = torch.cat(probability), torch.cat(partner)
        chosen = mutual_rows(all_probability, all_partner, column_best)
        cells = all_partner[chosen]
        similarity = (unit0[chosen] * unit1[cells]).sum(1)
        second = torch.cat(others)[chosen].clamp(min=_LEAST)
        return CoarseMatches(
            chosen,
            cells,
            2 * all_probability[chosen].log(),
            similarity,
            similarity - 1 - second.log() / scale,
        )

    def _scores(self, cells0: Tensor, cells1: Tensor) -> Tensor:
        unit0, unit1 = F.normalize(cells0.float(), dim=-1), F.normalize(cells1.float(), dim=-1)
        return (unit0 @ unit1.transpose(1, 2)) * self.log_scale.exp()


def two_largest(table: Tensor) -> tuple[Tensor, Tensor]:
    """Of rows `(R, M)`: the two largest values `(R, 2)`, and where the first one is, `(R,)`.

    The largest of groups first: what tells where it is then looks at a few numbers a row alone.
    """
    rows, count = table.shape
    if count == 1:
        return table.expand(rows, 2), torch.zeros_like(table[:, 0], dtype=torch.int64)
    size = next(size for size in (64, 48, 40, 32, 16, 1) if count % size == 0)
    if size == 1 or size == count:
        found = table.topk(2, dim=1)
        return found.values, found.indices[:, 0]
    grouped = table.view(rows, count // size, size)
    groups = grouped.amax(2).topk(2, dim=1)
    group = groups.indices[:, 0]
    inside = grouped[torch.arange(rows, device=table.device), group].topk(2, dim=1)
    second = torch.maximum(groups.values[:, 1], inside.values[:, 1])
    return torch.stack((groups.values[:, 0], second), 1), group * size + inside.indices[:, 0]


def mutual_rows(best: Tensor, partner: Tensor, column_best: Tensor) -> Tensor:
    """Rows `(K,)` that are their partner's best as well: `best` `(N,)` their largest entries,
    `partner` `(N,)` the columns of those, `column_best` `(M,)`; of equal rows the first."""
    rows = (best == column_best[partner]).nonzero().squeeze(1)
    first = torch.full_like(column_best, len(best), dtype=torch.int64)
    first.scatter_reduce_(0, partner[rows], rows, "amin")
    return rows[first[partner[rows]] == rows]
