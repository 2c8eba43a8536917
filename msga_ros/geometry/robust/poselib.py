"""PoseLib: LO-RANSAC with the five-point solver and non-linear refinement on the inliers."""

from __future__ import annotations

import numpy as np
import poselib  # type: ignore[import-untyped]

from msga_ros.geometry.pose import essential_matrix
from msga_ros.geometry.robust.base import Array, RobustEstimate, failure, guarded
from msga_ros.geometry.robust.refinement import UNIT_CAMERA

_MIN_ITERATIONS = 100  # PoseLib's 1000 were measured to cost 3 times the time for the same poses


def _solve(
    points0: Array,
    points1: Array,
    threshold: float,
    seed: int,
    confidence: float,
    max_iterations: int,
) -> RobustEstimate:
    """Relative pose by `poselib.estimate_relative_pose`. See `guarded`."""
    pose, record = poselib.estimate_relative_pose(
        points0,
        points1,
        UNIT_CAMERA,
        UNIT_CAMERA,
        {
            "max_epipolar_error": threshold,
            "seed": seed,
            "success_prob": confidence,
            "max_iterations": max_iterations,
            "min_iterations": min(_MIN_ITERATIONS, max_iterations),
        },
        {},
    )
    iterations = int(record["iterations"])
    rotation, translation = np.array(pose.R), np.array(pose.t)
    length = np.linalg.norm(translation)
    if record["num_inliers"] < 5 or not np.isfinite(rotation).all() or not length > 0:
        return failure(len(points0), iterations)
    translation = translation / length
    return RobustEstimate(
        True,
        rotation,
        translation,
        essential_matrix(rotation, translation),
        np.array(record["inliers"], dtype=bool),
        iterations,
    )


estimate = guarded(_solve)
