"""Batches of putative matches of random scenes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from msga_ros.training.synthetic_scenes.config import Kind, SyntheticConfig
from msga_ros.training.synthetic_scenes.draws import Draws
from msga_ros.training.synthetic_scenes.evidence import evidence
from msga_ros.training.synthetic_scenes.motion import choose_pose, projected
from msga_ros.training.synthetic_scenes.outliers import choose_kinds, disturbed_matches
from msga_ros.training.synthetic_scenes.structure import keypoint_rays, scene_points, views


@dataclass(frozen=True)
class SyntheticBatch:
    """Matches of `B` scenes, and what is true of them; on the generator's device.

    Attributes:
        correspondences: `(B, N, 4)` float32, normalised coordinates.
        rotation, translation: `(B, 3, 3)` and unit `(B, 3)`, `x' = R x + t`.
        evidence: `(B, N, 2)` float32, ratio in (0, 1] and mutual flag 0 or 1.
        kind: `(B, N)`, what is right or wrong with each match, a `Kind`. A wrong match may obey the
            motion by chance, and one of `Kind.LINE` on purpose.
        motion, structure: `(B,)`, a `Motion` and a `Structure`.
        prefiltered: `(B,)` bool, whether the matches are those that a mutual check and a ratio test
            leave.
        inlier: `(B, N)` bool, right matches.
    """

    correspondences: Tensor
    rotation: Tensor
    translation: Tensor
    evidence: Tensor
    kind: Tensor
    motion: Tensor
    structure: Tensor
    prefiltered: Tensor

    @property
    def inlier(self) -> Tensor:
        """`(B, N)` bool: a true match."""
        return self.kind == Kind.RIGHT


def synthetic_batch(
    samples: int,
    matches: int,
    generator: torch.Generator,
    config: SyntheticConfig | None = None,
) -> SyntheticBatch:
    """`samples` random scenes of `matches` putative matches each.

    The result depends on the arguments and the generator's state alone, and lies on its device.
    Of scenes with few matches at least `config.fewest_inliers` are right, or all.

    Raises:
        ValueError: no sample or no match is asked for.
    """
    if samples < 1 or matches < 1:
        raise ValueError(f"cannot make {samples} samples of {matches} matches")
    config = config or SyntheticConfig()
    draws = Draws(generator)
    motion = draws.choice(config.motions, samples)
    structure = draws.choice(config.structures, samples)
    prefiltered = draws.chance(config.prefiltered, samples)

    view0, view1 = views(draws, samples, config)
    # Twice as many as wanted, since the second camera does not see all.
    points = scene_points(draws, view0, structure, keypoint_rays(draws, view0, 2 * matches))
    pose = choose_pose(draws, motion, view0, view1, points, config)
    _, seen = projected(pose.transform(points), view1)
    points = _first_seen(points, seen, matches)

    right = draws.permutations(samples, matches) < _inlier_count(
        draws, prefiltered, matches, config
    )
    found = disturbed_matches(
        draws, points, choose_kinds(draws, right, prefiltered), pose, (view0, view1), config
    )
    translation = -(pose.rotation @ pose.centre[..., None])[..., 0]
    return SyntheticBatch(
        correspondences=torch.cat((found.first, found.second), -1),
        rotation=pose.rotation,
        translation=F.normalize(translation, dim=-1),
        evidence=evidence(draws, found.kind, prefiltered, config),
        kind=found.kind,
        motion=motion,
        structure=structure,
        prefiltered=prefiltered,
    )


def _inlier_count(
    draws: Draws, prefiltered: Tensor, matches: int, config: SyntheticConfig
) -> Tensor:
    """`(B, 1)` right matches of every scene."""
    samples = len(prefiltered)
    low, high = config.inlier_share
    share = draws.log_uniform(samples, low=low, high=high)
    even = prefiltered & draws.chance(0.5, samples)
    share = torch.where(even, draws.uniform(samples, low=low, high=high), share)
    return (share * matches).round().clamp(min=config.fewest_inliers, max=matches)[:, None]


def _first_seen(points: Tensor, seen: Tensor, count: int) -> Tensor:
    """The first `count` of points `(B, M, 3)` that are seen, again from the start where they run
    out: a detector also finds several keypoints at one place."""
    order = (~seen).long().argsort(dim=1, stable=True)
    place = torch.arange(count, device=points.device) % seen.sum(1, keepdim=True).clamp_min(1)
    index = order.gather(1, place)
    return points.gather(1, index[..., None].expand(-1, -1, 3))
