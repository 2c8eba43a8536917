"""What the matches of a refused pair still say: of another motion, and whether there was one."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from msga_ros.geometry.camera import Camera
from msga_ros.geometry.epipolar import sampson_distance_squared, symmetric_epipolar_distance_squared
from msga_ros.geometry.significance import chance_of_agreement, chance_of_as_many, spread
from msga_ros.geometry.turn import parallax_over_noise
from msga_ros.two_view.config import PoseConfig
from msga_ros.two_view.motion import least_parallax_over_noise
from msga_ros.two_view.relative_pose import CONTEXT
from msga_ros.two_view.result import TwoViewResult

Array = NDArray[np.float64]


def chance_of(
    essential: Array,
    result: TwoViewResult,
    cameras: tuple[Camera, Camera],
    threshold_px: float,
    independent: bool,
) -> float:
    """Probability that by chance as many matches of `result` agree with the motion `essential`.

    All putative matches of `result` count, and the motion must be from others. `threshold_px`:
    largest epipolar distance of one that agrees. Not `independent`: they err together where they
    are close to each other.
    """
    rows = _rows(result, cameras, np.ones(len(result.inlier), dtype=bool))
    if not independent:
        rows = rows[spread(rows, CONTEXT)]
    threshold = threshold_px * 2 / (cameras[0].mean_focal + cameras[1].mean_focal)
    squared = sampson_distance_squared(torch.from_numpy(rows), torch.from_numpy(essential)).numpy()
    # Where both lines are as far from their points, that distance is sqrt(2) times Sampson's.
    reach = math.sqrt(2) * threshold
    chance = max(chance_of_agreement(rows[:, side], reach) for side in (slice(2), slice(2, 4)))
    return chance_of_as_many(len(rows), int((squared < threshold**2).sum()), chance)


def hardly_moved(
    result: TwoViewResult, cameras: tuple[Camera, Camera], config: PoseConfig, independent: bool
) -> bool:
    """Whether a turn on the spot explains the inliers of `result`, by the limits of `config`."""
    if result.median_parallax < math.radians(config.min_parallax_deg):
        return True
    rows = _rows(result, cameras, result.inlier)
    distances = symmetric_epipolar_distance_squared(
        torch.from_numpy(rows), torch.from_numpy(result.essential)
    ).numpy()
    left = parallax_over_noise(rows[:, :2], rows[:, 2:], distances)
    return left < least_parallax_over_noise(config, independent)


def _rows(result: TwoViewResult, cameras: tuple[Camera, Camera], kept: NDArray[np.bool_]) -> Array:
    """Normalised matches (N, 4) of those `kept`, without what the cameras cannot explain."""
    points = (result.keypoints0[kept], result.keypoints1[kept])
    rows = np.hstack([camera.normalize(one) for camera, one in zip(cameras, points, strict=True)])
    return rows[np.isfinite(rows).all(axis=1)]
