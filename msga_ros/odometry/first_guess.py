"""First guesses of a motion for the adjustment: by points with a depth, and by matches alone."""

from __future__ import annotations

import numpy as np
import poselib  # type: ignore[import-untyped]
from numpy.typing import NDArray

from msga_ros.geometry.pose import invert_pose
from msga_ros.geometry.robust import poselib as poselib_solver
from msga_ros.geometry.triangulation import parallax_angles, ray_depths
from msga_ros.odometry.config import OdometryConfig

Array = NDArray[np.float64]

_UNIT_CAMERA = {"model": "PINHOLE", "width": 2, "height": 2, "params": [1.0, 1.0, 0.0, 0.0]}


def pose_from_depths(
    points0: Array, points1: Array, inverse_depth: Array, focal: float, config: OdometryConfig
) -> tuple[Array, Array] | None:
    """Rotation (3, 3) and position (3,), in the reference camera, of the camera that sees the
    matches of `points0` (N, 2) at `points1`, normalised; `focal` in pixels.

    `inverse_depth` (N,): of the points in the reference camera, one over the unit of the position.
    None where fewer than `config.min_inliers` agree to `config.reprojection_px`.
    """
    if len(points0) < config.min_inliers:
        return None
    points = np.column_stack([points0, np.ones(len(points0))]) / inverse_depth[:, None]
    pose, record = poselib.estimate_absolute_pose(
        np.ascontiguousarray(points1),
        points,
        _UNIT_CAMERA,
        {
            "max_reproj_error": config.reprojection_px / focal,
            "seed": config.seed,
            "min_iterations": 100,
            "max_iterations": 10_000,
        },
        {},
    )
    rotation, translation = np.array(pose.R), np.array(pose.t)
    if record["num_inliers"] < config.min_inliers or not np.isfinite(rotation).all():
        return None
    return invert_pose(rotation, translation)


def relative_pose(
    points0: Array, points1: Array, focal: float, config: OdometryConfig
) -> tuple[Array, Array] | None:
    """Rotation (3, 3) and direction of the position (3,), a unit vector, of the camera that sees
    the matches of `points0` (N, 2) at `points1`, normalised; `focal` in pixels.

    None where fewer than `config.min_inliers` agree, or with less parallax than
    `config.min_parallax_deg`.
    """
    threshold = config.reprojection_px / 2 / focal
    estimate = poselib_solver.estimate(points0, points1, threshold, seed=config.seed)
    if not estimate.success or estimate.inlier.sum() < config.min_inliers:
        return None
    seen0, seen1 = points0[estimate.inlier], points1[estimate.inlier]
    parallax = np.degrees(np.median(parallax_angles(seen0, seen1, estimate.rotation)))
    if parallax < config.min_parallax_deg:
        return None
    return invert_pose(estimate.rotation, estimate.translation)


def length_from_depths(
    points0: Array,
    points1: Array,
    rotation: Array,
    translation: Array,
    inverse_depth: Array,
    fewest: int,
) -> float | None:
    """Length of the motion `x1 = R x0 + t` of unit `translation` (3,) on which most depths agree.

    `points0`, `points1` (N, 2): matches, normalised; `inverse_depth` (N,): of the points in the
    first camera, one over the unit of the length. None where fewer than `fewest` tell one.
    """
    depth, _ = ray_depths(points0, points1, rotation, translation)
    with np.errstate(all="ignore"):
        lengths = 1.0 / (depth * inverse_depth)  # by each point
    lengths = lengths[np.isfinite(lengths) & (lengths > 0)]  # neither parallel nor behind
    return float(np.median(lengths)) if len(lengths) >= fewest else None
