"""Pairs that are exact everywhere: two views of one photograph, related by a homography.

A part of the second view is hidden by a piece of another photograph, so that cells without a
partner are learned as well.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from msga_ros.training.dense.views import (
    HIDDEN,
    UNKNOWN,
    VISIBLE,
    Album,
    DenseBatch,
    about_the_middle,
    in_view,
    moved,
    pixel_grid,
    turns,
)
from msga_ros.training.synthetic_scenes.draws import Draws, constant

_ROLL = math.radians(15)  # standard deviation
_PERSPECTIVE = 0.25  # largest change of scale from the middle to an edge, as a share
_STEEPEST = 0.45
_SHIFT = 0.25  # largest, of the view's sides
_OCCLUDED = 0.4  # share of the pairs with something in front


def homography_pairs(
    album: Album,
    count: int,
    height: int,
    width: int,
    draws: Draws,
    strength: float = 1.0,
    roll: float = 0.0,
) -> DenseBatch:
    """`count` pairs of views of `height` x `width` pixels; `strength`: see `_between_views`;
    `roll`: by how many radians half of the second views are turned on top, at most."""
    device = album.grey.device
    chosen = draws.integer(count, count=len(album.grey))
    to_photograph = framing(album.sizes[chosen], height, width, draws)
    back = _between_views(
        count, height, width, draws, strength
    )  # pixels of view 1 to pixels of view 0
    if roll:
        back = back @ about_the_middle(turns(count, roll, draws), height, width)
    forth = torch.linalg.inv(back)
    image0 = album.view(chosen, to_photograph, height, width)
    image1 = album.view(chosen, to_photograph @ back, height, width)
    grid = pixel_grid(height, width, device)
    target0, target1 = moved(grid, forth), moved(grid, back)
    known0 = album.covers(chosen, moved(grid, to_photograph))
    known1 = album.covers(chosen, moved(grid, to_photograph @ back))
    state0 = _state(in_view(target0, height, width), known0)
    state1 = _state(in_view(target1, height, width), known1)

    other = album.view(draws.integer(count, count=len(album.grey)), to_photograph, height, width)
    covered = _rectangles(count, height, width, draws)  # of view 1
    image1 = torch.where(covered.unsqueeze(1), other, image1)
    state1 = torch.where(covered, HIDDEN, state1)
    at = target0.round().long()
    x, y = at[..., 0].clamp(0, width - 1), at[..., 1].clamp(0, height - 1)
    rows = torch.arange(count, device=device)[:, None, None]
    gone = covered[rows, y, x] & (state0 == VISIBLE)
    state0 = torch.where(gone, HIDDEN, state0)
    return DenseBatch(
        image0,
        image1,
        target0.permute(0, 3, 1, 2),
        target1.permute(0, 3, 1, 2),
        state0.to(torch.int8),
        state1.to(torch.int8),
        torch.zeros(count, 3, 3, device=device),
    )


def framing(sizes: Tensor, height: int, width: int, draws: Draws) -> Tensor:
    """`(B, 3, 3)`: from pixels of a view to those of a photograph of `sizes` `(B, 2)`, of which it
    shows a part, at a place of its own, not enlarged much."""
    count = len(sizes)
    view = constant((float(width), float(height)), sizes.device)
    whole = (sizes.float() / view).amin(1)  # pixels of the photograph per pixel of the view
    scale = whole * draws.uniform(count, low=0.7, high=1.0)
    room = (sizes - scale.unsqueeze(1) * view).clamp(min=0)
    corner = room * draws.uniform(count, 2)
    matrix = torch.zeros(count, 3, 3, device=sizes.device)
    matrix[:, 0, 0] = matrix[:, 1, 1] = scale
    # From edge to edge: centres of pixels are half a pixel inside.
    matrix[:, :2, 2] = corner + (scale.unsqueeze(1) - 1) / 2
    matrix[:, 2, 2] = 1
    return matrix


def _between_views(count: int, height: int, width: int, draws: Draws, strength: float) -> Tensor:
    """Homographies `(B, 3, 3)` about the middle: turned, scaled, tilted and shifted. `strength`:
    times the largest turn, stretch and tilt, and the power of the largest scale."""
    half = max(height, width) / 2
    angle = strength * _ROLL * draws.normal(count)
    scale = draws.log_uniform(count, low=0.65, high=1.5) ** strength
    stretch = draws.log_uniform(count, low=0.8, high=1.25).sqrt() ** strength
    # More than 0.45 each, and a corner of the view would be at the horizon.
    steepest = min(strength * _PERSPECTIVE, _STEEPEST)
    tilt = steepest * draws.uniform(count, 2, low=-1, high=1) / half
    shift = draws.uniform(count, 2, low=-_SHIFT, high=_SHIFT)
    matrix = torch.zeros(count, 3, 3, device=draws.device)
    matrix[:, 0, 0], matrix[:, 0, 1] = angle.cos() * scale * stretch, -angle.sin() * scale
    matrix[:, 1, 0], matrix[:, 1, 1] = angle.sin() * scale, angle.cos() * scale / stretch
    matrix[:, :2, 2] = shift * constant((width, height), shift.device)
    matrix[:, 2, :2] = tilt
    matrix[:, 2, 2] = 1
    return about_the_middle(matrix, height, width)


def _state(seen: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, torch.where(seen, VISIBLE, HIDDEN), UNKNOWN)


def _rectangles(count: int, height: int, width: int, draws: Draws) -> Tensor:
    """`(B, H, W)` bool: a rectangle in some of them."""
    size = draws.uniform(count, 2, low=0.15, high=0.5)
    view = constant((width, height), size.device)
    corner = draws.uniform(count, 2) * (1 - size) * view
    end = corner + size * view
    grid = pixel_grid(height, width, draws.device)
    inside = ((grid >= corner[:, None, None]) & (grid < end[:, None, None])).all(-1)
    return inside & draws.chance(_OCCLUDED, count)[:, None, None]
