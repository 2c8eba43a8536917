"""Module 3, between 1/8 and the finer levels: neighbours agree on where they go, and others follow.

Cells that lie side by side correspond to cells that lie side by side. A match is supported by the
matches around it that move about as it does. Cells that have no supported match are looked for
again where their supported neighbours say, among few cells instead of all: in turns, so that a
region that was matched in one place is matched as a whole. Nothing is learned here; how much a
match is supported is shown to the confidence estimator.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from msga_ros.network.dense.edges import gathered

_RADIUS = 3  # cells to each side whose matches can support one
_SLACK, _STRETCH = 1.0, 0.4  # cells that they may differ by, and more with their distance
_FAR = 1e4  # cells: of no match, which is like none
_LEAST = 14  # of the 48 around: supported
_GUIDES = 2  # cells to each side that say where to look
_SEARCH = 1  # cells to each side of that place


@dataclass(frozen=True)
class CellMatches:
    """Of B images of N cells: the `partner` `(B, N)` int64 of each, -1: none, and its `support`
    `(B, N)`, how many matches around it agree."""

    partner: Tensor
    support: Tensor


@torch.no_grad()
def propagate(
    unit0: Tensor,
    unit1: Tensor,
    partner: Tensor,
    shape0: tuple[int, int],
    shape1: tuple[int, int],
    rounds: int,
) -> CellMatches:
    """From mutual nearest neighbours `partner` `(B, N)`, -1: none; `unit0` `(B, N, C)` and `unit1`
    `(B, M, C)` of unit length, maps of (height, width) cells. A match that was there and that no
    round replaced by a supported one stays. Without rounds the partners stay as they are."""
    step, there = _steps(partner, shape0, shape1)
    support = _support(step, there)
    for _ in range(rounds):
        supported = there & (support >= _LEAST)
        found, sought = _sought(unit0, unit1, step, supported, shape1)
        step = torch.where(sought, found, step)
        there = there | sought
        support = _support(step, there)
    first_step, first_there = _steps(partner, shape0, shape1)
    supported = there & (support >= _LEAST)
    step = torch.where(supported, step, first_step)
    there = supported | first_there
    support = _support(step, there)
    place = (step + _grid(shape0, step)).long()
    index = place[:, 1] * shape1[1] + place[:, 0]
    return CellMatches(torch.where(there[:, 0], index, -1).flatten(1), support.flatten(1))


def _grid(shape: tuple[int, int], like: Tensor) -> Tensor:
    """`(2, h, w)`: column and row of each cell."""
    rows, columns = torch.meshgrid(
        torch.arange(shape[0], device=like.device),
        torch.arange(shape[1], device=like.device),
        indexing="ij",
    )
    return torch.stack((columns, rows)).float()


def _steps(
    partner: Tensor, shape0: tuple[int, int], shape1: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """From each cell to its partner, `(B, 2, h, w)` cells, and whether there is one, `(B, 1, h,
    w)`."""
    places = torch.stack((partner % shape1[1], partner // shape1[1]), 1).float()
    step = places.unflatten(2, shape0) - _grid(shape0, places)
    there = (partner >= 0).unflatten(1, shape0).unsqueeze(1)
    return torch.where(there, step, 0.0), there


def _support(step: Tensor, there: Tensor) -> Tensor:
    """`(B, 1, h, w)`: how many matches around each cell's move about as its own."""
    side = 2 * _RADIUS + 1
    away = F.pad(torch.where(there, step, _FAR), (_RADIUS,) * 4, value=_FAR)
    around = F.unfold(away, side).unflatten(1, (2, side**2))
    offset = torch.arange(side, device=step.device) - _RADIUS
    distance = (offset[:, None].square() + offset.square()).flatten().sqrt().unsqueeze(1)
    different = (around - step.flatten(2).unsqueeze(2)).square().sum(1)  # (B, 49, N)
    near = different < (_SLACK + _STRETCH * distance).square()
    alike = near.sum(1, keepdim=True).unflatten(2, step.shape[-2:])
    return torch.where(there, alike - 1, 0).to(step.dtype)  # all but the match itself


def _sought(
    unit0: Tensor, unit1: Tensor, step: Tensor, supported: Tensor, shape1: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Steps `(B, 2, h, w)` to the most similar cell near where the supported neighbours of each
    cell say, and of which cells, `(B, 1, h, w)`: those that are not supported and have such."""
    size = 2 * _GUIDES + 1
    known = supported.float()
    weight = F.avg_pool2d(known, size, 1, _GUIDES)
    guided = F.avg_pool2d(step * known, size, 1, _GUIDES) / weight.clamp(min=1e-6)
    place = (guided + _grid((step.shape[2], step.shape[3]), step)).round()
    limits = (shape1[1] - 1, shape1[0] - 1)
    inside = (place >= 0).all(1) & (place[:, 0] <= limits[0]) & (place[:, 1] <= limits[1])
    sought = (weight > 0) & ~supported & inside.unsqueeze(1)
    beside = torch.arange(-_SEARCH, _SEARCH + 1, device=step.device)
    middle = place.long().flatten(2).unsqueeze(3)  # (B, 2, N, 1)
    x = (middle[:, 0] + beside).clamp(0, limits[0])  # (B, N, 3)
    y = (middle[:, 1] + beside).clamp(0, limits[1])
    offered = (y.unsqueeze(3) * shape1[1] + x.unsqueeze(2)).flatten(2)  # (B, N, 9)
    similar = (gathered(unit1, offered) @ unit0.unsqueeze(3)).squeeze(3)
    best = offered.gather(2, similar.argmax(2, keepdim=True)).squeeze(2)
    return _steps(best, (step.shape[2], step.shape[3]), shape1)[0], sought
