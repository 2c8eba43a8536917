"""What goes wrong with matches: where the wrong ones lie, and the noise of the right ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from msga_ros.training.synthetic_scenes.config import Kind, SyntheticConfig
from msga_ros.training.synthetic_scenes.draws import Draws, constant, rotation_matrices
from msga_ros.training.synthetic_scenes.motion import Pose, projected
from msga_ros.training.synthetic_scenes.structure import View, lifted

_EDGES = 3  # directions of edges in a scene, as buildings have
_HUBS = 16  # keypoints of the second image that draw several matches


@dataclass(frozen=True)
class Matches:
    """Image points `(B, N, 2)` of both views and the `Kind` `(B, N)` of every match."""

    first: Tensor
    second: Tensor
    kind: Tensor


def choose_kinds(draws: Draws, right: Tensor, prefiltered: Tensor) -> Tensor:
    """`(B, N)`, a `Kind` each: mixtures that differ widely from scene to scene.

    Args:
        right: `(B, N)` bool.
        prefiltered: `(B,)` bool; a mutual check leaves no shared keypoints.
    """
    samples, count = right.shape
    weights = draws.uniform(samples, len(Kind) - 1).pow(3)
    weights[:, Kind.RANDOM - 1] += 0.3
    weights[:, Kind.LINE - 1] *= 0.4
    # Near misses come with right matches. (Measured: 3 % to 16 % of all lie 2 to 20 pixels from
    # their epipolar line, about half of them by chance.)
    weights[:, Kind.NEAR - 1] *= right.float().mean(1)
    weights[:, Kind.SHARED - 1] *= ~prefiltered
    edges = (weights / weights.sum(1, keepdim=True)).cumsum(1)[:, :-1].contiguous()
    wrong = torch.searchsorted(edges, draws.uniform(samples, count), right=True) + 1
    return torch.where(right, int(Kind.RIGHT), wrong)


def disturbed_matches(
    draws: Draws,
    points: Tensor,
    kind: Tensor,
    pose: Pose,
    views: tuple[View, View],
    config: SyntheticConfig,
) -> Matches:
    """Image points of matches that are right or wrong as `kind` says.

    Args:
        points: `(B, N, 3)`, a point of the scene seen by both cameras for every match.
        kind: `(B, N)`; a wrong match whose second point would not be seen becomes `RANDOM`.
    """
    samples, count = kind.shape
    view0, view1 = views
    true, _ = projected(pose.transform(points), view1)

    moving, moved = _moving_object(draws, view0, count)
    source = torch.where(_of(kind, Kind.MOVING), moving, points)
    target = torch.where(
        _of(kind, Kind.REPEATED), points + _lattice_shift(draws, view0, count), source
    )
    target = torch.where(_of(kind, Kind.MOVING), moved, target)
    target = torch.where(_of(kind, Kind.LINE), _slid(draws, view0, points), target)
    first, seen0 = projected(source, view0)
    second, seen1 = projected(pose.transform(target), view1)
    kind = torch.where((kind == Kind.RIGHT) | (seen0 & seen1), kind, int(Kind.RANDOM))

    # A keypoint near that of another match: where a detector finds something.
    other = draws.permutations(samples, count)
    elsewhere = _rows(true, other) + 0.05 * view1.half[:, None] * draws.normal(samples, count, 2)
    second = torch.where(_of(kind, Kind.RANDOM), elsewhere, second)
    second = torch.where(
        _of(kind, Kind.NEAR), true + _near_miss(draws, view1, count, config), second
    )
    noise0, noise1 = _noise(draws, views, count, config)
    second = second + noise1
    second = torch.where(
        _of(kind, Kind.SHARED), _rows(second, _hubs(draws, samples, count)), second
    )
    return Matches(first + noise0, second, kind)


def _of(kind: Tensor, which: Kind) -> Tensor:
    return (kind == which).unsqueeze(-1)


def _rows(values: Tensor, index: Tensor) -> Tensor:
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))


def _moving_object(draws: Draws, view: View, count: int) -> tuple[Tensor, Tensor]:
    """Points `(B, count, 3)` of an object before and after its own rigid motion."""
    samples = len(view.half)
    half = view.half[:, None]
    centre = 0.7 * half * draws.uniform(samples, 1, 2, low=-1.0)
    size = draws.uniform(samples, 1, 1, low=0.08, high=0.3)
    rays = centre + size * half * draws.normal(samples, count, 2)
    depth = (0.3 * draws.normal(samples, 1)).exp()
    points = lifted(rays) * (depth * (1 + 0.1 * draws.normal(samples, count)))[..., None]
    middle = lifted(centre) * depth[..., None]
    turn = rotation_matrices(0.35 * draws.uniform(samples, 1) * draws.directions(samples))
    step = draws.directions(samples) * draws.log_uniform(samples, 1, low=0.02, high=0.5)
    step = step * depth * view.half.amax(1, keepdim=True)
    return points, (points - middle) @ turn.transpose(1, 2) + middle + step[:, None]


def _lattice_shift(draws: Draws, view: View, count: int) -> Tensor:
    """`(B, count, 3)`: some periods along the two directions of a lattice; in four of ten scenes
    one and the same for all matches, which then agree with each other."""
    samples = len(view.half)
    period = draws.log_uniform(samples, 1, low=0.03, high=0.4) * view.half.amin(1, keepdim=True)
    along = F.normalize(draws.normal(samples, 2), dim=-1)
    across = torch.stack((-along[:, 1], along[:, 0]), -1) * draws.log_uniform(
        samples, 1, low=0.5, high=2.0
    )
    tilt = 0.3 * draws.normal(samples, 2, 1)
    lattice = torch.cat((torch.stack((along, across), 1), tilt), -1) * period[..., None]
    steps = draws.integer(samples, count, 2, count=5) - 2
    none = (steps == 0).all(-1, keepdim=True)
    one = constant((1, 0), steps.device)
    same = draws.chance(0.4, samples, 1, 1)
    return torch.where(none | same, one, steps).float() @ lattice


def _slid(draws: Draws, view: View, points: Tensor) -> Tensor:
    """`(B, N, 3)`: points moved along edges of the scene; in some scenes part of them along their
    own viewing rays, which keeps them on their epipolar lines."""
    samples, count, _ = points.shape
    edges = draws.directions(samples, _EDGES)
    length = draws.log_uniform(samples, 1, low=0.02, high=0.5) * view.half.amax(1, keepdim=True)
    slide = (length * draws.normal(samples, count) * points[..., 2])[..., None]
    along_edge = points + slide * _rows(edges, draws.integer(samples, count, count=_EDGES))
    along_ray = points * (0.5 * draws.normal(samples, count, 1)).exp()
    share = draws.uniform(samples, 1, high=0.5) * draws.chance(0.4, samples, 1)
    return torch.where((draws.uniform(samples, count) < share)[..., None], along_ray, along_edge)


def _near_miss(draws: Draws, view: View, count: int, config: SyntheticConfig) -> Tensor:
    samples = len(view.half)
    low, high = config.near_miss
    length = draws.log_uniform(samples, count, low=low, high=high) * view.pixel[:, None]
    return length[..., None] * F.normalize(draws.normal(samples, count, 2), dim=-1)


def _noise(
    draws: Draws, views: tuple[View, View], count: int, config: SyntheticConfig
) -> tuple[Tensor, Tensor]:
    """Of a detector, `(B, count, 2)` in each view: normal, a part of several times the width."""
    samples = len(views[0].half)
    low, high = config.noise
    deviation = draws.log_uniform(samples, 1, low=low, high=high)
    low, high = config.tail_share
    tail = draws.uniform(samples, count) < draws.uniform(samples, 1, low=low, high=high)
    deviation = deviation * torch.where(
        tail, draws.log_uniform(samples, count, low=2.0, high=8.0), 1.0
    )
    both = draws.normal(2, samples, count, 2) * deviation[..., None]
    return both[0] * views[0].pixel[:, None, None], both[1] * views[1].pixel[:, None, None]


def _hubs(draws: Draws, samples: int, count: int) -> Tensor:
    """`(B, count)`: for every match another one whose keypoint it shares; few are chosen often."""
    hubs = draws.integer(samples, _HUBS, count=count)
    popular = (_HUBS * draws.uniform(samples, count).square()).long()
    chosen = hubs.gather(1, popular)
    itself = chosen == torch.arange(count, device=chosen.device)
    return torch.where(itself, (chosen + 1) % count, chosen)
