"""A camera's pose from points in space or from matches alone, and what else a motion needs."""

from __future__ import annotations

import numpy as np
import poselib  # type: ignore[import-untyped]
from numpy.typing import NDArray

from msga_ros.geometry.pose import invert_pose
from msga_ros.geometry.robust import poselib as poselib_solver
from msga_ros.geometry.rotations import rotation_matrix, rotation_vector
from msga_ros.geometry.triangulation import parallax_angles
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.observations import TwoFrameSolution
from msga_ros.odometry.poses import UncertainPose

Array = NDArray[np.float64]

_UNIT_CAMERA = {"model": "PINHOLE", "width": 2, "height": 2, "params": [1.0, 1.0, 0.0, 0.0]}


def absolute_pose(
    points: Array, points3d: Array, threshold: float, config: OdometryConfig
) -> tuple[Array, Array] | None:
    """Rotation (3, 3) and position (3,) of the camera that sees `points3d` (N, 3) at `points`
    (N, 2), normalised; None where fewer than `config.min_inliers` agree to `threshold`."""
    pose, record = poselib.estimate_absolute_pose(
        np.ascontiguousarray(points),
        np.ascontiguousarray(points3d),
        _UNIT_CAMERA,
        {
            "max_reproj_error": threshold,
            "seed": config.seed,
            "min_iterations": 100,
            "max_iterations": 10_000,
        },
        {},
    )
    rotation, translation = np.array(pose.R), np.array(pose.t)
    if record["num_inliers"] < config.min_inliers or not np.isfinite(rotation).all():
        return None
    return rotation.T, -rotation.T @ translation


def pose_from_depths(
    points0: Array, points1: Array, inverse_depth: Array, focal: float, config: OdometryConfig
) -> tuple[Array, Array] | None:
    """Rotation (3, 3) and position (3,), in the reference camera, of the camera that sees the
    matches of `points0` (N, 2) at `points1`, normalised; `focal` in pixels.

    `inverse_depth` (N,): of the points in the reference camera, one over the unit of the position.
    None where fewer than `config.min_inliers` agree.
    """
    if len(points0) < config.min_inliers:
        return None
    points = np.column_stack([points0, np.ones(len(points0))]) / inverse_depth[:, None]
    return absolute_pose(points1, points, config.reprojection_px / focal, config)


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


def points_in_current(solution: TwoFrameSolution) -> Array:
    """Points (N, 3) in the current camera; NaN for outliers and points at infinity."""
    depth = np.where(solution.inverse_depth > 1e-6, solution.inverse_depth, np.nan)
    rays = np.column_stack([solution.ray, np.ones(len(depth))])
    points: Array = (rays / depth[:, None] - solution.position) @ solution.rotation
    return points


def predicted(velocity: UncertainPose, times: float = 1.0) -> UncertainPose:
    """The motion `velocity` `times` over, as uncertain as it is large."""
    turn = rotation_vector(velocity.rotation)
    length = times * max(float(np.linalg.norm(velocity.position)), 0.1)
    angle = times * max(float(np.linalg.norm(turn)), 0.05)
    variances = np.repeat([length**2, min(angle, np.pi) ** 2], 3)
    return UncertainPose(
        rotation_matrix(times * turn), times * velocity.position, np.diag(variances)
    )
