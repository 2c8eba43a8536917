"""Module 4, matching confidence estimator: how probable it is that a match is true.

The matching distributions say how a match stands out among all cells; the refinement, whether both
places look alike when seen closely. A small head makes one calibrated probability of both.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from msga_ros.network.dense.alignment import Aligned
from msga_ros.network.dense.refinement import Search

_WIDTH = 32
_MOST = 20.0  # bounds of what the head sees


class ConfidenceHead(nn.Module):
    """Of M matches, `(M, ENTRIES)` described by `described` to logits `(M,)`."""

    ENTRIES = 11

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(self.ENTRIES, _WIDTH),
            nn.ReLU(inplace=True),
            nn.Linear(_WIDTH, _WIDTH),
            nn.ReLU(inplace=True),
            nn.Linear(_WIDTH, 1),
        )

    def forward(self, description: Tensor) -> Tensor:
        return cast(Tensor, self.layers(description).squeeze(1))


def described(
    log_probability: Tensor,
    similarity: Tensor,
    margin: Tensor,
    structure: Tensor,
    searches: tuple[Search | None, Search | None],
    aligned: Aligned | None,
) -> Tensor:
    """What the head sees `(M, ENTRIES)`; zero of levels that are left out.

    The first four `(M,)` are of the coarse match, see `CoarseMatches` and `Anchors`. The head's
    loss is its own: no gradient goes back through what it sees.
    """
    none = torch.zeros_like(similarity)
    columns = [log_probability / 4, 4 * similarity - 3, 10 * margin]
    columns.append((structure.clamp(min=0) + 1e-4).log() / 4)
    for search in searches:
        columns += [none, none] if search is None else [search.peak, search.entropy]
    if aligned is None:
        columns += [none, none, none]
    else:
        columns.append((aligned.difference + 1e-4).log())
        columns.append(aligned.uncertainty.clamp(min=1e-4).log())
        columns.append(aligned.moved)
    seen = torch.stack(columns, 1).detach().float()
    return torch.nan_to_num(seen).clamp(-_MOST, _MOST)
