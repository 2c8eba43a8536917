"""The pose of a loop's current camera in its reference camera, with covariance.

Where points of the reference have a depth, the current camera is placed by them, which gives the
length of the translation, too; otherwise rotation and direction of the two views are all there is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.pose import invert_pose, rotation_angle_deg
from msga_ros.loops.depths import FEWEST
from msga_ros.loops.reports import UNKNOWN_VARIANCE
from msga_ros.odometry.absolute import absolute_pose
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.poses import UncertainPose
from msga_ros.odometry.reprojection import skews
from msga_ros.two_view.result import Status, TwoViewResult

Array = npt.NDArray[np.float64]

_THRESHOLD_PX = 3.0  # a point and its match: its depth is no better than its parallax
_SMALLEST_PX = 1.0  # no keypoint is more certain, calibration included
_FLOOR = np.array([0.01] * 3 + [np.deg2rad(0.2)] * 3)  # m and rad, of what matches do not show
_AGREE_DEG = 5.0  # between the rotation by points with depth and that by the two views


def placed_by_points(
    points: Array, points3d: Array, share: float, focal: float, result_rotation: Array
) -> UncertainPose | None:
    """Pose of the camera that sees `points3d` (N, 3), metres, at `points` (N, 2), normalised.

    `share`: relative standard deviation of the length of all `points3d` together; `focal` in
    pixels; `result_rotation` (3, 3): of the two views, reference to current. None where too few
    points agree, or not with the two views.
    """
    if len(points) < FEWEST:
        return None
    config = OdometryConfig(min_inliers=FEWEST)
    threshold = _THRESHOLD_PX / focal
    found = absolute_pose(points, points3d, threshold, config)
    if found is None:
        return None
    rotation, position = found
    if not rotation_angle_deg(rotation @ result_rotation) < _AGREE_DEG:
        return None
    seen = (points3d - position) @ rotation
    with np.errstate(all="ignore"):
        residual = seen[:, :2] / seen[:, 2:] - points
        good = (seen[:, 2] > 0) & (np.linalg.norm(residual, axis=1) < threshold)
    jacobian = _projection(seen[good]) @ np.concatenate(
        [
            np.broadcast_to(-rotation.T, (int(good.sum()), 3, 3)),
            rotation.T @ skews(points3d[good] - position),
        ],
        axis=2,
    )
    covariance = _covariance(jacobian, residual[good], focal)
    covariance[:3, :3] += share**2 * np.outer(position, position)
    return UncertainPose(rotation, position, covariance + np.diag(_FLOOR**2))


def without_length(
    result: TwoViewResult, points0: Array, points1: Array, focal: float
) -> UncertainPose:
    """Rotation and direction of two views; `points0`, `points1` (N, 2): inliers, normalised.

    The position is of unit length, or zero where the direction is unknown.
    """
    covariance = np.array(result.covariance)
    if result.status is Status.OK and np.isfinite(covariance).all():
        rotation, position = invert_pose(result.rotation, result.translation)
        unknown = np.outer(position, position)
    else:
        rotation, position = result.rotation.T.copy(), np.zeros(3)
        unknown = np.eye(3)
        covariance = np.zeros((6, 6))
        covariance[3:, 3:] = _turn_covariance(rotation, points0, points1, focal)
    covariance[3:, 3:] += np.diag(_FLOOR[3:] ** 2)
    covariance[:3, :3] += UNKNOWN_VARIANCE * unknown
    return UncertainPose(rotation, position, covariance)


def _turn_covariance(rotation: Array, points0: Array, points1: Array, focal: float) -> Array:
    """(3, 3) of a rotation on the spot."""
    rays = np.column_stack([points0, np.ones(len(points0))])
    seen = rays @ rotation
    residual = seen[:, :2] / seen[:, 2:] - points1
    jacobian = _projection(seen) @ (rotation.T @ skews(rays))
    # With a little parallax after all, the rows scatter by more than a keypoint does.
    return _covariance(jacobian, residual, focal)


def _covariance(jacobian: Array, residual: Array, focal: float) -> Array:
    """Of the parameters, by derivatives (N, 2, P) and residuals (N, 2), normalised units."""
    rows = jacobian.reshape(-1, jacobian.shape[2])
    freedom = max(len(rows) - rows.shape[1], 1)
    variance = max(float((residual**2).sum()) / freedom, (_SMALLEST_PX / focal) ** 2)
    return np.asarray(variance * np.linalg.pinv(rows.T @ rows))


def _projection(points: Array) -> Array:
    """Derivative (N, 2, 3) of the projection of points (N, 3)."""
    made = np.zeros((len(points), 2, 3))
    made[:, 0, 0] = made[:, 1, 1] = 1.0 / points[:, 2]
    made[:, :, 2] = -points[:, :2] / points[:, 2:] ** 2
    return made
