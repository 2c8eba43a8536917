"""Motions between the two cameras of synthetic scenes: such that they see a common part."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from msga_ros.training.synthetic_scenes.config import Motion, SyntheticConfig
from msga_ros.training.synthetic_scenes.draws import (
    Draws,
    constant,
    rotation_matrices,
    rotations_to_axis,
)
from msga_ros.training.synthetic_scenes.structure import View

_TRIES = 4
_LEAST_OVERLAP = 0.3  # of the points of the first view, seen in the second
_NEAREST = 0.02  # depths, in front of the second camera


@dataclass(frozen=True)
class Pose:
    """Of the second camera: `x' = R (x - centre)`; `(..., 3, 3)` and `(..., 3)`, in depths."""

    rotation: Tensor
    centre: Tensor

    def transform(self, points: Tensor) -> Tensor:
        """`(..., N, 3)` into the second camera's frame."""
        return (points - self.centre.unsqueeze(-2)) @ self.rotation.transpose(-1, -2)


def projected(points: Tensor, view: View) -> tuple[Tensor, Tensor]:
    """Image `(..., B, N, 2)` of points `(..., B, N, 3)` in a camera's frame, and which are seen."""
    in_front = points[..., 2] > _NEAREST
    image = points[..., :2] / points[..., 2:].clamp_min(_NEAREST)
    return image, in_front & view.contains(image)


def choose_pose(
    draws: Draws, motion: Tensor, view0: View, view1: View, points: Tensor, config: SyntheticConfig
) -> Pose:
    """Of several poses of the wanted kind the first from which enough of the points are seen.

    Args:
        motion: `(B,)`, a `Motion` each.
        points: `(B, M, 3)`, first camera's frame.

    A scene for which none serves gets a short step sideways, which always does.
    """
    tries = _proposals(draws, motion.expand(_TRIES, -1), view0, config)
    # Otherwise: no rotation, a 200th of the depth to the side.
    step = F.pad(0.005 * F.normalize(draws.normal(1, len(motion), 2), dim=-1), (0, 1))
    rotation = torch.cat(
        (tries.rotation, torch.eye(3, device=step.device).expand_as(tries.rotation[:1]))
    )
    every = Pose(rotation, torch.cat((tries.centre, step)))
    # A part of the points is enough to count.
    _, seen = projected(every.transform(points[:, :128]), view1)
    good = seen.float().mean(-1) > _LEAST_OVERLAP
    good[-1] = True
    first = good.float().argmax(0)
    sample = torch.arange(len(motion), device=motion.device)
    return Pose(every.rotation[first, sample], every.centre[first, sample])


def _proposals(draws: Draws, motion: Tensor, view: View, config: SyntheticConfig) -> Pose:
    """A pose each for `(T, B)` wanted motions; the target that cameras look at is at depth 1."""
    shape = motion.shape
    target = constant((0.0, 0.0, 1.0), draws.device)

    across = draws.directions(*shape)
    sideways = F.normalize(across * constant((1.0, 1.0, 0.4), draws.device), dim=-1)
    forward = draws.chance(0.5, *shape, 1).float() * 2 - 1
    ahead = F.normalize(target * forward + 0.15 * across, dim=-1)
    direction = torch.where((motion == Motion.FORWARD)[..., None], ahead, sideways)
    length = (
        1
        / torch.stack(
            (
                draws.log_uniform(*shape, low=1.5, high=50),
                torch.ones(shape, device=draws.device),
                draws.log_uniform(*shape, low=2.5, high=50),
                draws.log_uniform(*shape, low=50, high=500),
                draws.log_uniform(*shape, low=200, high=1000),
            )
        ).gather(0, motion[None])[0]
    )
    orbit = draws.uniform(*shape, low=0.09, high=1.05)  # 5 to 60 degrees
    about = F.pad(F.normalize(draws.normal(*shape, 2), dim=-1), (0, 1))
    around = target - (rotation_matrices(about * orbit[..., None]) @ target)
    centre = torch.where((motion == Motion.ORBIT)[..., None], around, direction * length[..., None])

    looking = (motion == Motion.ORBIT) | draws.chance(0.5, *shape)
    sight = torch.where(looking[..., None], F.normalize(target - centre, dim=-1), target)
    angle = torch.atan(view.half.amin(-1))
    turn = torch.where(
        motion == Motion.ROTATION,
        draws.uniform(*shape, low=0.2, high=1.2),
        0.5 * draws.uniform(*shape).square(),
    )
    aside = F.pad(F.normalize(draws.normal(*shape, 2), dim=-1), (0, 1))
    aside = aside * (angle * turn)[..., None]
    any_roll = draws.chance(config.rolled, *shape)
    roll = torch.where(
        any_roll, draws.uniform(*shape, low=-torch.pi, high=torch.pi), 0.09 * draws.normal(*shape)
    )
    rotation = (
        rotation_matrices(target * roll[..., None])
        @ rotation_matrices(aside)
        @ rotations_to_axis(sight)
    )
    return Pose(rotation, centre)
