"""Pairs of posed images without depth: the partner of a point lies near its epipolar line."""

from __future__ import annotations

import torch
from torch import Tensor

from msga_ros.training.dense.homographies import framing
from msga_ros.training.dense.views import UNKNOWN, Album, DenseBatch, about_the_middle, turns
from msga_ros.training.synthetic_scenes.draws import Draws


def band_pairs(
    album: Album,
    pairs: Tensor,
    count: int,
    height: int,
    width: int,
    draws: Draws,
    roll: float = 0.0,
) -> DenseBatch:
    """`count` of the `pairs` `(P, 2)`, cut as `posed_pairs` does."""
    chosen = pairs[draws.integer(count, count=len(pairs))]
    return posed_pairs(album, chosen, height, width, draws, roll)[0]


def posed_pairs(
    album: Album,
    chosen: Tensor,
    height: int,
    width: int,
    draws: Draws,
    roll: float = 0.0,
) -> tuple[DenseBatch, list[Tensor], Tensor]:
    """The pairs `(B, 2)`, each image cut to the views' shape at a place of its own, half of the
    second views turned by up to `roll` radians.

    Also, of both sides, `(B, 3, 3)` from pixels of the views to those of the photographs; and
    `(B, 2, 2)`, by what the second views are turned against the first.
    """
    device = album.grey.device
    count = len(chosen)
    frames = [framing(album.sizes[side], height, width, draws) for side in chosen.unbind(1)]
    turn = torch.eye(3, device=device).repeat(count, 1, 1)
    if roll:
        turn = turns(count, roll, draws)
        frames[1] = frames[1] @ about_the_middle(turn, height, width)
    images = [
        album.view(side, frame, height, width)
        for side, frame in zip(chosen.unbind(1), frames, strict=True)
    ]
    nowhere = torch.zeros(count, 2, height, width, device=device)
    unknown = torch.full((count, height, width), UNKNOWN, dtype=torch.int8, device=device)
    matrix = _fundamental(album, chosen, frames)
    batch = DenseBatch(
        images[0], images[1], nowhere, nowhere.clone(), unknown, unknown.clone(), matrix
    )
    return batch, frames, turn[:, :2, :2].transpose(1, 2)


def _fundamental(album: Album, chosen: Tensor, frames: list[Tensor]) -> Tensor:
    """`(B, 3, 3)` float32 of norm 1, between the views."""
    first, second = chosen.unbind(1)
    turn = album.rotations[second] @ album.rotations[first].transpose(1, 2)
    shift = album.translations[second] - (turn @ album.translations[first].unsqueeze(2)).squeeze(2)
    # Pixels of a view to rays of its camera.
    rays = [
        torch.linalg.inv(album.cameras[side]) @ frame.double()
        for side, frame in zip((first, second), frames, strict=True)
    ]
    x, y, z = shift.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), 1).unflatten(1, (3, 3))
    matrix = rays[1].transpose(1, 2) @ cross @ turn @ rays[0]
    return (matrix / matrix.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None]).float()
