"""Pairs of posed images of which a teacher has told matches: exact at 1/8, where views are far
apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from msga_ros.datasets.photographs.pack import TaughtPair
from msga_ros.network.dense.config import COARSE
from msga_ros.training.dense.band_pairs import posed_pairs
from msga_ros.training.dense.views import VISIBLE, Album, DenseBatch, in_view
from msga_ros.training.synthetic_scenes.draws import Draws, constant


@dataclass(frozen=True)
class Lessons:
    """T pairs on a device: images `pairs` `(T, 2)`, and `matches` `(T, M, 4)` in pixels of the
    photographs, NaN behind the last one of each pair."""

    pairs: Tensor
    matches: Tensor

    @classmethod
    def of(cls, taught: Sequence[TaughtPair], device: torch.device) -> Lessons:
        most = max(len(one.matches) for one in taught)
        matches = np.full((len(taught), most, 4), np.nan, np.float32)
        for row, one in zip(matches, taught, strict=True):
            row[: len(one.matches)] = one.matches
        pairs = torch.tensor([[one.first, one.second] for one in taught], device=device)
        return cls(pairs, torch.from_numpy(matches).to(device))


def taught_pairs(
    album: Album,
    lessons: Lessons,
    count: int,
    height: int,
    width: int,
    draws: Draws,
    roll: float = 0.0,
) -> DenseBatch:
    """`count` of them, half of them the other way round, each image cut as `posed_pairs` does.

    A cell that has a match corresponds to where that lies, moved by as much as the cell's centre
    is beside it and turned as the view is. Of all other cells nothing but the epipolar band is
    known, and the four pixels around a cell's centre are all that the batch says of it: too little
    for anything but 1/8.
    """
    chosen = draws.integer(count, count=len(lessons.pairs))
    swapped = draws.chance(0.5, count)
    pairs = torch.where(swapped[:, None], lessons.pairs[chosen].flip(1), lessons.pairs[chosen])
    matches = lessons.matches[chosen]
    matches = torch.where(swapped[:, None, None], matches.roll(2, 2), matches)
    batch, frames, turn = posed_pairs(album, pairs, height, width, draws, roll)
    points = [
        _in_the_view(matches[..., 2 * side : 2 * side + 2], frames[side]) for side in range(2)
    ]
    inside = in_view(points[0], height, width) & in_view(points[1], height, width)
    target0, state0 = _of_cells(points[0], points[1], turn, inside, batch.target0, batch.state0)
    back = turn.transpose(1, 2)
    target1, state1 = _of_cells(points[1], points[0], back, inside, batch.target1, batch.state1)
    return dataclasses.replace(
        batch, target0=target0, target1=target1, state0=state0, state1=state1
    )


def _in_the_view(points: Tensor, to_photograph: Tensor) -> Tensor:
    """`(B, M, 2)` pixels of a photograph to those of a view."""
    homogeneous = torch.nn.functional.pad(points, (0, 1), value=1.0)
    moved = homogeneous @ torch.linalg.inv(to_photograph).transpose(1, 2)
    return moved[..., :2] / moved[..., 2:]


def _of_cells(
    here: Tensor, there: Tensor, turn: Tensor, inside: Tensor, target: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """`target` and `state` with what M matches `here` `(B, M, 2)` say of the cells they lie in; of
    several in one cell the last. `turn` `(B, 2, 2)`: of what lies beside a match."""
    count, height, width = state.shape
    rows, columns = height // COARSE, width // COARSE
    cells = torch.where(inside.unsqueeze(2), here, 0.0).add(0.5).div(COARSE).floor().long()
    index = cells[..., 1].clamp(0, rows - 1) * columns + cells[..., 0].clamp(0, columns - 1)
    number = torch.arange(here.shape[1], device=here.device).expand_as(index)
    number = torch.where(inside, number, -1)
    last = torch.full((count, rows * columns), -1, dtype=torch.int64, device=here.device)
    last = last.scatter_reduce(1, index, number, "amax")
    known = (last >= 0).unflatten(1, (rows, columns))
    chosen = last.clamp(min=0).unsqueeze(2).expand(-1, -1, 2)
    match0, match1 = (
        one.gather(1, chosen).transpose(1, 2).unflatten(2, (rows, columns)) for one in (here, there)
    )
    target, state = target.clone(), state.clone()
    for y in (COARSE // 2 - 1, COARSE // 2):
        for x in (COARSE // 2 - 1, COARSE // 2):
            corner = constant((x, y), target.device).view(1, 2, 1, 1)
            beside = _corners(rows, columns, target.device) + corner - match0
            place = match1 + torch.einsum("bij,bjhw->bihw", turn, beside)
            now = target[..., y::COARSE, x::COARSE]
            target[..., y::COARSE, x::COARSE] = torch.where(known.unsqueeze(1), place, now)
            state[:, y::COARSE, x::COARSE] = torch.where(
                known, VISIBLE, state[:, y::COARSE, x::COARSE]
            )
    return target, state


def _corners(rows: int, columns: int, device: torch.device) -> Tensor:
    """`(2, rows, columns)`: the first pixel of each cell."""
    y, x = torch.meshgrid(
        torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij"
    )
    return torch.stack((x, y)).float() * COARSE
