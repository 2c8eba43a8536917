"""Edges of the sparse graphs: to which nodes each node attends, by similarity of features.

Similarities are compared a block of rows at a time, and nothing but the best of each row is kept:
no attention ever sees all pairs of nodes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_HEAP = 64
_BLOCK_ENTRIES = 1 << 23  # of the table of similarities that is held at a time (32 MB)


def most_similar(queries: Tensor, keys: Tensor, count: int, exclude_self: bool = False) -> Tensor:
    """Indices `(B, N, k)` int64 of the `count` keys `(B, M, C)` most similar to each query
    `(B, N, C)`, best first; `k` is `count`, or as many as there are.

    `exclude_self`: queries and keys are the same nodes, none is its own neighbour.
    """
    nodes, others = queries.shape[1], keys.shape[1]
    count = min(count, others - int(exclude_self))
    rows = max(1, _BLOCK_ENTRIES // (others * len(queries)))
    found = []
    for start in range(0, nodes, rows):
        table = queries[:, start : start + rows] @ keys.transpose(1, 2)
        if exclude_self:
            here = torch.arange(table.shape[1], device=table.device)
            table[:, here, start + here] = -torch.inf
        found.append(_first_of_rows(table, count))
    return torch.cat(found, 1)


def _first_of_rows(table: Tensor, count: int) -> Tensor:
    """`topk`, best first. On a CPU it copies and divides each row where `count` is more than one
    64th of it, and else keeps a heap of the best, which is twice as fast: so the row is made
    longer, by what is never chosen."""
    missing = _HEAP * count - table.shape[2]
    if missing > 0 and table.device.type == "cpu":
        table = F.pad(table, (0, missing), value=-torch.inf)
    return table.topk(count, dim=2).indices


def children(parents: Tensor, width: int) -> Tensor:
    """Cells `(B, N, 4 k)` of the patches `(B, N, k)` of 2 x 2; `width`: patches in a row."""
    row, column = parents // width, parents % width
    first = 4 * width * row + 2 * column  # a row of patches is two rows of 2 width cells
    two = torch.arange(2, device=parents.device)
    steps = (2 * width * two[:, None] + two).flatten()
    return (first.unsqueeze(-1) + steps).flatten(2)


def parents_of_cells(patches: Tensor, width: int) -> Tensor:
    """What is given for each patch `(B, P, ...)`, for each of its cells `(B, 4 P, ...)`."""
    batch, count = patches.shape[:2]
    rest = patches.shape[2:]
    grid = patches.reshape(batch, count // width, 1, width, 1, *rest)
    cells = grid.expand(-1, -1, 2, -1, 2, *(-1 for _ in rest))
    return cells.reshape(batch, 4 * count, *rest)


def most_similar_of(candidates: Tensor, queries: Tensor, keys: Tensor, count: int) -> Tensor:
    """As `most_similar`, among `candidates` `(B, N, K)` of each query alone."""
    offered = gathered(keys, candidates)
    similarity = (offered @ queries.unsqueeze(-1)).squeeze(-1)
    best = similarity.topk(min(count, candidates.shape[2]), dim=2).indices
    return candidates.gather(2, best)


def gathered(nodes: Tensor, indices: Tensor) -> Tensor:
    """Rows `(B, N, k, C)` of `nodes` `(B, M, C)` that `indices` `(B, N, k)` name."""
    batch, count, width = nodes.shape
    offset = torch.arange(batch, device=nodes.device).view(-1, 1, 1) * count
    rows = nodes.reshape(batch * count, width).index_select(0, (indices + offset).flatten())
    return rows.view(*indices.shape, width)
