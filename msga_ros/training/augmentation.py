"""Exact augmentations of two-view samples, a batch at a time: each changes matches, what keypoints
say of them, and motion together.

A change of focal length is exact as a crop: normalised coordinates do not depend on the focal
length, what a longer one sees is a part of the image. (Scaling normalised coordinates is not a zoom
but a wrong calibration; unless the cameras are not turned against each other, there is no motion
that the scaled matches obey.)
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from msga_ros.network.evidence import EVIDENCE
from msga_ros.training.synthetic_scenes.draws import Draws, constant, rotation_matrices

_ROTATION, _LOG_SCALE = EVIDENCE.index("rotation"), EVIDENCE.index("log_scale")


@dataclass(frozen=True)
class Samples:
    """Matches of `B` pairs, and the true motion between the cameras of each.

    Attributes:
        correspondences: `(B, N, 4)` float64, normalised image coordinates.
        evidence: `(B, N, len(EVIDENCE))` float64, NaN where unknown.
        rotation, translation: `(B, 3, 3)` and unit `(B, 3)` float64, `x' = R x + t`.
    """

    correspondences: Tensor
    evidence: Tensor
    rotation: Tensor
    translation: Tensor

    def where(self, mask: Tensor, other: Samples) -> Samples:
        """These samples where `mask` `(B,)`, `other` elsewhere."""
        chosen = {}
        for entry in dataclasses.fields(self):
            one, two = getattr(self, entry.name), getattr(other, entry.name)
            chosen[entry.name] = torch.where(mask.view(-1, *[1] * (one.dim() - 1)), one, two)
        return Samples(**chosen)


def augmented(samples: Samples, draws: Draws) -> Samples:
    """Views swapped and mirrored half of the time; each camera rolled, and tilted a little."""
    count = len(samples.rotation)
    samples = swap_views(samples).where(draws.chance(0.5, count), samples)
    samples = mirror(samples).where(draws.chance(0.5, count), samples)
    common = draws.uniform(count, low=-torch.pi, high=torch.pi) * draws.chance(0.3, count)
    turns = [_camera_turn(draws, common) for _ in range(2)]
    return turn_cameras(samples, turns[0], turns[1])


def _camera_turn(draws: Draws, roll: Tensor) -> Tensor:
    """`(B, 3, 3)`: `roll` and a little more of it, after a tilt about an axis in the image."""
    about_axis = torch.zeros(len(roll), 3, dtype=torch.float64, device=roll.device)
    about_axis[:, 2] = roll + 0.15 * draws.normal(len(roll))
    direction = draws.uniform(len(roll), high=2 * torch.pi).double()
    tilt = torch.stack((direction.cos(), direction.sin(), torch.zeros_like(direction)), -1)
    tilt = tilt * (0.05 * draws.normal(len(roll), 1))
    return rotation_matrices(about_axis) @ rotation_matrices(tilt)


def windows(correspondences: Tensor, valid: Tensor, draws: Draws) -> Tensor:
    """Which of the matches `(B, N, 4)` lie inside a window of each image: a narrower field of view.

    Both windows are around the points of one match, of 50 % to 100 % of the images' extents in each
    direction. Exact for the matches that remain; a keypoint whose nearest neighbour is cut off
    would have found another one, which here is missing. Matches that are not `valid` `(B, N)` count
    for nothing.
    """
    samples = len(correspondences)
    mask = valid.unsqueeze(-1)
    lowest = correspondences.masked_fill(~mask, torch.inf).amin(1, keepdim=True)
    highest = correspondences.masked_fill(~mask, -torch.inf).amax(1, keepdim=True)
    chosen = (draws.uniform(*valid.shape) * valid).argmax(1)
    centre = correspondences[torch.arange(samples, device=chosen.device), chosen].unsqueeze(1)
    share = draws.uniform(samples, 1, 2, low=0.5, high=1.0).repeat(1, 1, 2)
    half = (highest - lowest) * share / 2
    # Windows do not reach beyond the images.
    middle = centre.clamp(lowest + half, highest - half)
    return ((correspondences - middle).abs() <= half).all(-1) & valid


def swap_views(samples: Samples) -> Samples:
    """The same pairs, the other way round."""
    back = samples.rotation.transpose(1, 2)
    evidence = samples.evidence.clone()
    for column in (_ROTATION, _LOG_SCALE):
        evidence[..., column] *= -1
    return Samples(
        samples.correspondences.roll(2, -1),
        evidence,
        back,
        -(back @ samples.translation.unsqueeze(-1)).squeeze(-1),
    )


def mirror(samples: Samples) -> Samples:
    """All images reflected left to right: the motion of the mirrored world."""
    flip = constant((-1.0, 1.0, 1.0), samples.rotation.device).double()
    evidence = samples.evidence.clone()
    evidence[..., _ROTATION] *= -1
    return Samples(
        samples.correspondences * flip[:2].repeat(2),
        evidence,
        flip[:, None] * samples.rotation * flip,
        flip * samples.translation,
    )


def turn_cameras(samples: Samples, turn0: Tensor, turn1: Tensor) -> Samples:
    """Each camera turned about its centre by a rotation matrix `(B, 3, 3)`.

    A keypoint turns and grows as its surroundings do, to first order. A sample of which a match
    would leave the front of a turned camera stays as it is: the image of such a camera would not
    exist.
    """
    first, rotation0, scale0, front0 = _turned(samples.correspondences[..., :2], turn0)
    second, rotation1, scale1, front1 = _turned(samples.correspondences[..., 2:], turn1)
    evidence = samples.evidence.clone()
    evidence[..., _ROTATION] += rotation1 - rotation0
    evidence[..., _LOG_SCALE] += scale1 - scale0
    turned = Samples(
        torch.cat((first, second), -1),
        evidence,
        turn1 @ samples.rotation @ turn0.transpose(1, 2),
        (turn1 @ samples.translation.unsqueeze(-1)).squeeze(-1),
    )
    return turned.where(front0 & front1, samples)


def _turned(points: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points `(B, N, 2)` in a turned camera; how much its image is rotated (radians) and enlarged
    (base-2 logarithm) around each, `(B, N)`; whether all of a sample lie in front of it, `(B,)`."""
    rays = torch.cat((points, torch.ones_like(points[..., :1])), -1) @ turn.transpose(1, 2)
    depth = rays[..., 2:]
    in_front = (depth[..., 0] > 0.2).all(1)
    moved = rays[..., :2] / depth
    # Jacobian of the homography, of rows i and columns j.
    jacobian = turn[:, None, :2, :2] - moved[..., :, None] * turn[:, None, 2:, :2]
    (a, b), (c, d) = (row.unbind(-1) for row in jacobian.unbind(-2))
    rotation = torch.atan2(c - b, a + d)
    scale = 0.5 * torch.log2((a * d - b * c).abs() / depth[..., 0].square())
    return moved, rotation, scale, in_front
