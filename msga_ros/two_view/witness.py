"""What the matches of a refused pair still say: of another motion, and whether there was one."""

from __future__ import annotations

import math
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Witnesses:
    """Putative matches as witnesses of motions that were found without them.

    `rows` (N, 4) and `threshold`, the largest epipolar distance of one that agrees: normalised.
    `by_chance`: probability of one that is false to agree with a motion.
    """

    rows: Array
    threshold: float
    by_chance: float

    @classmethod
    def of(
        cls,
        result: TwoViewResult,
        cameras: tuple[Camera, Camera],
        threshold_px: float,
        independent: bool,
    ) -> Witnesses:
        """All matches of `result`. Not `independent`: they err together where they are close to
        each other, so that of those one counts."""
        rows = _rows(result, cameras, np.ones(len(result.inlier), dtype=bool))
        if not independent:
            rows = rows[spread(rows, CONTEXT)]
        threshold = threshold_px * 2 / (cameras[0].mean_focal + cameras[1].mean_focal)
        # Where both lines are as far from their points, that distance is sqrt(2) times Sampson's.
        reach = math.sqrt(2) * threshold
        sides = (rows[:, :2], rows[:, 2:])
        return cls(rows, threshold, max(chance_of_agreement(one, reach) for one in sides))

    def chance_of(self, essential: Array) -> float:
        """Probability that by chance as many of them agree with the motion `essential` (3, 3)."""
        squared = sampson_distance_squared(
            torch.from_numpy(self.rows), torch.from_numpy(essential)
        ).numpy()
        agree = int((squared < self.threshold**2).sum())
        return chance_of_as_many(len(self.rows), agree, self.by_chance)

    @property
    def least_chance(self) -> float:
        """That of a motion which all of them agree with."""
        return chance_of_as_many(len(self.rows), len(self.rows), self.by_chance)


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
