"""The point of each 1/8 cell that is matched: where its structure is strongest.

A match at the centre of a cell slides along an edge, or anywhere on a plain surface. Of the sixteen
1/2 cells in each cell, the one with the largest smaller eigenvalue of its structure tensor can be
told from its neighbours best (Shi and Tomasi, "Good features to track", CVPR 1994). Every cell
keeps a point, so this is no detector: nothing is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from msga_ros.network.dense.config import COARSE, HALF

_SIDE = COARSE // HALF  # 1/2 cells along a side of a cell


@dataclass(frozen=True)
class Anchors:
    """Of the cells of B images: `points` `(B, N, 2)` in pixels, `structure` `(B, N)`, the
    eigenvalue there, of grey levels that have a variance of one."""

    points: Tensor
    structure: Tensor

    def __getitem__(self, samples: slice) -> Anchors:
        return Anchors(self.points[samples], self.structure[samples])


def find_anchors(grey: Tensor, anchored: bool = True) -> Anchors:
    """Of normalised images `(B, 1, H, W)`, sides multiples of 8; not `anchored`: the centres."""
    strength = _smaller_eigenvalue(F.avg_pool2d(grey.contiguous(), HALF))
    inside = F.pad(torch.ones_like(strength[..., 2:-2, 2:-2]), (2, 2, 2, 2))
    batch, _, _, width = strength.shape
    cells = F.pixel_unshuffle(strength * inside, _SIDE).flatten(2)  # (B, 16, N)
    best = cells.max(1)
    index = torch.arange(cells.shape[2], device=grey.device)
    column, row = index % (width // _SIDE), index // (width // _SIDE)
    corner = torch.stack((column, row), -1) * COARSE
    if anchored:
        inner = torch.stack((best.indices % _SIDE, best.indices // _SIDE), -1)
        points = corner + HALF * inner + (HALF - 1) / 2
    else:
        points = (corner + (COARSE - 1) / 2).expand(batch, -1, -1)
    return Anchors(points.to(grey.dtype), best.values)


def cell_centres(count: Tensor, columns: int) -> Tensor:
    """Pixels `(..., 2)` of the centres of cells `(...)`, of which a row has `columns`."""
    return torch.stack((count % columns, count // columns), -1) * COARSE + (COARSE - 1) / 2


def _smaller_eigenvalue(image: Tensor) -> Tensor:
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    dx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    dy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    products = torch.cat((dx * dx, dy * dy, dx * dy), 1)
    for _ in range(2):  # twice, so that what is in the middle counts most
        products = _box_mean(products)
    xx, yy, xy = products.split(1, dim=1)
    return (xx + yy) / 2 - (((xx - yy) / 2).square() + xy.square()).sqrt()


def _box_mean(maps: Tensor) -> Tensor:
    """Of 3 x 3 places, zeros around the map; `F.avg_pool2d` takes several times as long."""
    padded = F.pad(maps, (1, 1, 1, 1))
    rows = padded[..., :-2] + padded[..., 1:-1] + padded[..., 2:]
    return (rows[..., :-2, :] + rows[..., 1:-1, :] + rows[..., 2:, :]) / 9
