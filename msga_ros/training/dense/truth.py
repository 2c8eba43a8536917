"""What a batch says of cells and of points: targets of the losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from msga_ros.network.dense.anchors import cell_centres
from msga_ros.network.dense.config import COARSE
from msga_ros.training.dense.views import HIDDEN, UNKNOWN, VISIBLE
from msga_ros.training.synthetic_scenes.draws import constant


@dataclass(frozen=True)
class CellTruth:
    """Of the N cells of one view of each of B pairs: `places` `(B, N, 2)`, pixels of the other view
    that correspond to the centres, and `state` `(B, N)`, as of a `DenseBatch`."""

    places: Tensor
    state: Tensor

    def shares(self, width: int, height: int) -> tuple[Tensor, Tensor]:
        """How the partner is spread over cells of the other view, which has so many a row and rows.

        Indices and shares `(B, N, 4)`: bilinear between four centres, the nearest inside.
        """
        place = (self.places - (COARSE - 1) / 2) / COARSE
        limit = constant((width - 1, height - 1), place.device)
        place = place.clamp(torch.zeros_like(limit), limit)
        corner = place.floor().clamp(max=limit - 1)
        right, below = (place - corner).unbind(-1)
        first = corner[..., 1].long() * width + corner[..., 0].long()
        steps = constant((0, 1, width, width + 1), place.device)
        shares = torch.stack(
            ((1 - right) * (1 - below), right * (1 - below), (1 - right) * below, right * below), -1
        )
        return first.unsqueeze(-1) + steps, shares


def cell_truth(target: Tensor, state: Tensor) -> CellTruth:
    """From `(B, 2, H, W)` and `(B, H, W)`: of the four pixels around each cell's centre."""
    middle = COARSE // 2
    quads = [
        (slice(middle - 1 + y, None, COARSE), slice(middle - 1 + x, None, COARSE))
        for y in (0, 1)
        for x in (0, 1)
    ]
    places = torch.stack([target[..., y, x] for y, x in quads]).mean(0)
    states = torch.stack([state[..., y, x] for y, x in quads]).flatten(2)
    agreed = torch.where((states == states[0]).all(0), states[0], UNKNOWN)
    return CellTruth(places.flatten(2).transpose(1, 2), agreed)


@dataclass(frozen=True)
class PointTruth:
    """Of M points: `places1` `(M, 2)` in the other view, `visible` and `hidden` `(M,)` bool."""

    places1: Tensor
    visible: Tensor
    hidden: Tensor


def point_truth(target: Tensor, state: Tensor, images: Tensor, points: Tensor) -> PointTruth:
    """Of `points` `(M, 2)` of the images `(M,)` of a batch, bilinear between four pixels."""
    height, width = state.shape[-2:]
    corner = points.floor().long()
    corner = torch.stack((corner[:, 0].clamp(0, width - 2), corner[:, 1].clamp(0, height - 2)), 1)
    share = points - corner
    values, states = [], []
    for y in (0, 1):
        for x in (0, 1):
            at = (images, corner[:, 1] + y, corner[:, 0] + x)
            weight = (share[:, 0] if x else 1 - share[:, 0]) * (
                share[:, 1] if y else 1 - share[:, 1]
            )
            values.append(target.permute(0, 2, 3, 1)[at] * weight.unsqueeze(1))
            states.append(state[at])
    seen = torch.stack(states)
    return PointTruth(torch.stack(values).sum(0), (seen == VISIBLE).all(0), (seen == HIDDEN).all(0))


def epipolar_bands(fundamental: Tensor, width: int, height: int, band: float) -> Tensor:
    """`(B, N, N)` bool: which cells of view 1 lie within `band` pixels of the epipolar line of each
    cell of view 0; views of `width` x `height` cells."""
    cells = torch.arange(width * height, device=fundamental.device)
    points = torch.nn.functional.pad(cell_centres(cells, width), (0, 1), value=1.0)
    lines = points @ fundamental.transpose(1, 2)  # (B, N, 3)
    lines = lines / lines[..., :2].norm(dim=-1, keepdim=True).clamp(min=1e-12)
    return (lines @ points.T).abs() <= band
