"""Pairs of images with depth: exact where both see one surface; what hides what is known."""

from __future__ import annotations

import torch
from torch import Tensor

from msga_ros.training.dense.views import (
    HIDDEN,
    UNKNOWN,
    VISIBLE,
    Album,
    DenseBatch,
    in_view,
    pixel_grid,
    sample,
)
from msga_ros.training.synthetic_scenes.draws import Draws

_SAME = 0.02  # largest difference of inverse depths, as a share, of one surface
_BEHIND = 0.05  # least, of a surface that another one hides


def depth_pairs(
    album: Album, pairs: Tensor, count: int, height: int, width: int, draws: Draws
) -> DenseBatch:
    """`count` of the `pairs` `(P, 2)`, half of them the other way round, the images as they are."""
    device = album.grey.device
    chosen = pairs[draws.integer(count, count=len(pairs))]
    chosen = torch.where(draws.chance(0.5, count).unsqueeze(1), chosen.flip(1), chosen)
    first, second = chosen.unbind(1)
    target0, state0 = _seen_from(album, first, second, height, width)
    target1, state1 = _seen_from(album, second, first, height, width)
    one = torch.eye(3, device=device).expand(count, 3, 3)
    return DenseBatch(
        album.view(first, one, height, width),
        album.view(second, one, height, width),
        target0,
        target1,
        state0,
        state1,
        torch.zeros(count, 3, 3, device=device),
    )


def _seen_from(
    album: Album, first: Tensor, second: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """`target` and `state` of a `DenseBatch`, of the images `first` `(B,)` seen in `second`."""
    assert album.inverse_depth is not None
    near0 = album.inverse_depth[first, :height, :width].double()
    near1 = album.inverse_depth[second, :height, :width]
    grid = pixel_grid(height, width, album.grey.device).double()
    rays = torch.nn.functional.pad(grid, (0, 1), value=1.0)
    turn = album.rotations[second] @ album.rotations[first].transpose(1, 2)
    shift = album.translations[second] - (turn @ album.translations[first].unsqueeze(2)).squeeze(2)
    to_second = album.cameras[second] @ turn @ torch.linalg.inv(album.cameras[first])
    # Points times inverse depth, so that what is far away is no exception.
    there = torch.einsum("bij,hwj->bhwi", to_second, rays)
    there = (
        there
        + near0.unsqueeze(-1)
        * (album.cameras[second] @ shift.unsqueeze(2)).squeeze(2)[:, None, None]
    )
    depth = there[..., 2]
    in_front = depth > 1e-6
    places = torch.where(
        in_front.unsqueeze(-1), there[..., :2] / depth.clamp(min=1e-6).unsqueeze(-1), -1e6
    ).float()
    expected = (near0 / depth.clamp(min=1e-6)).float()  # inverse depth of the point in `second`
    inside = in_view(places, height, width) & in_front
    found = sample(near1.unsqueeze(1), places)[:, 0]
    # Where four pixels differ an object ends, and the value between them is none of either.
    nearest = -torch.nn.functional.max_pool2d(-near1.unsqueeze(1), 3, 1, 1)
    farthest = torch.nn.functional.max_pool2d(near1.unsqueeze(1), 3, 1, 1)
    smooth = sample(((farthest - nearest) <= 0.1 * farthest).float(), places)[:, 0] > 0.99
    same = (found - expected).abs() <= _SAME * expected
    hidden = found > expected * (1 + _BEHIND)
    state = torch.full_like(found, UNKNOWN, dtype=torch.int8)
    state[inside & smooth & same] = VISIBLE
    state[(inside & smooth & hidden) | ~inside] = HIDDEN
    state[near0 <= 0] = UNKNOWN
    return places.permute(0, 3, 1, 2), state
