"""Two views of one camera in metres, by the depth image of the reference view (mode rgbd)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.depth import inverse_depths_at
from msga_ros.geometry.pose import essential_matrix, invert_pose
from msga_ros.odometry.chain import by_distortion
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.poses import UncertainPose
from msga_ros.odometry.rgbd import metric_motion, with_depth
from msga_ros.stream.reference_view import View
from msga_ros.two_view.result import Status, TwoViewResult


def in_metres(
    result: TwoViewResult, reference: View, current: View, config: OdometryConfig
) -> tuple[TwoViewResult, UncertainPose | None]:
    """The result of two views over time, and the pose of the current one in the reference, metres.

    Of the inliers that have a depth comes the motion, by PnP, refined on all inliers. Depths tell a
    motion without parallax, too, so that the status is then OK. Without enough depths the result is
    as it was, rotation and direction by the essential matrix, and there is no pose in metres.
    """
    if reference.depth is None:
        return result, None
    rows = np.flatnonzero(result.inlier)
    points0 = reference.camera.normalize(result.keypoints0[rows])
    points1 = current.camera.normalize(result.keypoints1[rows])
    seen = np.isfinite(points0).all(axis=1) & np.isfinite(points1).all(axis=1)
    rows, points0, points1 = rows[seen], points0[seen], points1[seen]
    depths = inverse_depths_at(reference.depth, result.keypoints0[rows], config.depth_jump)
    weight = result.inlier_probability[rows].astype(np.float64)
    observations = with_depth(points0, points1, weight, depths, config)
    solution = metric_motion(observations, reference.camera.mean_focal, config)
    if solution is None:
        return result, None
    unexplained = by_distortion(solution.rotation, solution.position, config.systematic_share)
    covariance = solution.covariance + unexplained @ unexplained.T
    pose = UncertainPose(solution.rotation, solution.position, covariance)
    inlier = np.zeros(len(result.inlier), dtype=bool)
    inlier[rows[solution.inlier]] = True
    return _with_motion(result, pose, inlier), pose


def _with_motion(
    result: TwoViewResult, pose: UncertainPose, inlier: NDArray[np.bool_]
) -> TwoViewResult:
    """The result with the motion of `pose`, its translation of length 1 (0 for none at all)."""
    rotation, translation = invert_pose(pose.rotation, pose.position)
    length = float(np.linalg.norm(translation))
    covariance: NDArray[np.float64] = np.full((6, 6), np.nan)
    if length > 0:
        translation, covariance = translation / length, pose.direction().covariance
    counts = replace(result.counts, geometric_inliers=int(inlier.sum()))
    return replace(
        result,
        inlier=inlier,
        rotation=rotation,
        translation=translation,
        essential=essential_matrix(rotation, translation),
        covariance=covariance,
        status=Status.OK,
        counts=counts,
    )
