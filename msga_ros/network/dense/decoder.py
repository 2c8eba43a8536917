"""Module 3, progressive matching decoder: from pairs of cells at 1/8 to points, level by level.

Each level starts from what the coarser one found: a window at 1/4, a smaller one at 1/2, and
patches of pixels at the end. A patch that wanders off keeps what 1/2 said.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from msga_ros.network.dense.alignment import Aligned, Alignment
from msga_ros.network.dense.backbone import Pyramid
from msga_ros.network.dense.config import HALF, QUARTER, DenseConfig
from msga_ros.network.dense.refinement import Search, WindowSearch
from msga_ros.network.dense.sampling import FlatMap, PaddedMap

_FARTHEST = 2.5  # pixels that the alignment may move a point


@dataclass(frozen=True)
class FineMaps:
    """The finer features of B images as the decoder reads them."""

    quarter: FlatMap
    half: FlatMap
    full: FlatMap | PaddedMap

    @classmethod
    def of(cls, pyramid: Pyramid, margin: int = 0) -> FineMaps:
        """`margin`: of a `PaddedMap` of the pixels; 0: a `FlatMap`, which has a gradient."""
        full = pyramid.full
        return cls(
            FlatMap.of(pyramid.quarter, QUARTER),
            FlatMap.of(pyramid.half, HALF),
            PaddedMap.of(full, margin) if margin else FlatMap.of(full, 1),
        )


@dataclass(frozen=True)
class Refined:
    """Of M matches: `points1` `(M, 2)` pixels, and what each level says (None: left out)."""

    points1: Tensor
    quarter: Search | None
    half: Search | None
    aligned: Aligned | None


class ProgressiveDecoder(nn.Module):
    """Refines matches whose coarse cells are known."""

    def __init__(self, config: DenseConfig) -> None:
        super().__init__()
        self.levels = config.levels
        self.search_quarter = WindowSearch(config.quarter_radius)
        self.search_half = WindowSearch(config.half_radius)
        self.alignment = Alignment(
            config.full_channels, config.patch_radius, config.alignment_steps
        )

    def forward(
        self, maps0: FineMaps, maps1: FineMaps, images: Tensor, points0: Tensor, guess1: Tensor
    ) -> Refined:
        """`images` `(M,)`: of the batch; `points0`, `guess1` `(M, 2)` pixels."""
        quarter = half = aligned = None
        points1 = guess1
        if "quarter" in self.levels:
            quarter = self.search_quarter(maps0.quarter, maps1.quarter, images, points0, points1)
            points1 = quarter.points1.detach()  # each level has its own loss
        if "half" in self.levels:
            half = self.search_half(maps0.half, maps1.half, images, points0, points1)
            points1 = half.points1.detach()
        if "full" in self.levels:
            aligned = self.alignment(maps0.full, maps1.full, images, points0, points1)
            strayed = ~(aligned.moved <= _FARTHEST)  # not a number, too
            points1 = torch.where(strayed.unsqueeze(1), points1, aligned.points1)
        return Refined(points1, quarter, half, aligned)
