"""The pose of a loop's current camera in its reference camera, with covariance.

Where points of the reference have a depth, the current camera is placed by them, which gives the
length of the translation, too; otherwise rotation and direction of the two views are all there is.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.pose import invert_pose
from msga_ros.loops.depths import FEWEST
from msga_ros.loops.reports import UNKNOWN_VARIANCE
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.first_guess import length_from_depths, pose_from_depths
from msga_ros.odometry.observations import Observations
from msga_ros.odometry.poses import UncertainPose
from msga_ros.odometry.reprojection import skews
from msga_ros.odometry.two_frame import solve_two_frames
from msga_ros.two_view.result import Status, TwoViewResult

Array = NDArray[np.float64]

_THRESHOLD_PX = 3.0  # a point and its match: its depth is no better than its parallax
_SMALLEST_PX = 1.0  # no keypoint is more certain, calibration included
_CAUTION = 2.0  # times the standard deviation: neighbours' depths and matches err together
_FLOOR = np.array([0.01] * 3 + [np.deg2rad(0.2)] * 3)  # m and rad, of what matches do not show
_AGREEING = 0.7  # of the inliers of two views, that must agree with the depths, too


def with_length(
    points0: Array,
    points1: Array,
    inverse: Array,
    sigma: Array,
    share: float,
    focal: float,
    result: TwoViewResult,
) -> UncertainPose | None:
    """Pose of camera 1 in camera 0 by matches, of which some have a depth in camera 0.

    `points0`, `points1` (N, 2): inliers, normalised; `inverse` (N,), `sigma` (N,): inverse depth,
    1/m, and its standard deviation, NaN where unknown; `share`: relative standard deviation of all
    depths together; `focal` in pixels. `result`: rotation and translation from camera 0 to camera
    1, of which the status says whether the translation is one. None where too few agree.
    """
    known = np.isfinite(inverse) & (inverse > 0)
    if known.sum() < FEWEST:
        return None
    seen = Observations.of_one_camera(points0, points1, np.ones(len(points0)), inverse, sigma)
    for rotation, position in _starts(points0, points1, inverse, known, focal, result):
        found = solve_two_frames(
            seen, rotation, position, inverse, rig=None, focal=focal, minimum_sigma=_SMALLEST_PX
        )
        if found is None or (found.inlier & known).sum() < FEWEST:
            continue
        if found.inlier.sum() < _AGREEING * len(points0):
            continue
        covariance = _CAUTION**2 * found.covariance + np.diag(_FLOOR**2)
        covariance[:3, :3] += share**2 * np.outer(found.position, found.position)
        return UncertainPose(found.rotation, found.position, covariance)
    return None


def _starts(
    points0: Array,
    points1: Array,
    inverse: Array,
    known: NDArray[np.bool_],
    focal: float,
    result: TwoViewResult,
) -> Iterator[tuple[Array, Array]]:
    """First guesses, rotation and position of camera 1 in camera 0: of two views, with the length
    that the depths say, and by the points with depth alone."""
    seen = points0[known], points1[known]
    if result.status is Status.OK:
        motion = result.rotation, result.translation
        length = length_from_depths(*seen, *motion, inverse[known], FEWEST)
        if length is not None:
            rotation, direction = invert_pose(*motion)
            yield rotation, length * direction
    config = OdometryConfig(min_inliers=FEWEST, reprojection_px=_THRESHOLD_PX)
    placed = pose_from_depths(*seen, inverse[known], focal, config)
    if placed is not None:
        yield placed


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
        of_either = covariance[3:, 3:]  # where another motion is as likely: it covers both
        covariance = np.zeros((6, 6))
        covariance[3:, 3:] = _turn_covariance(rotation, points0, points1, focal)
        covariance[3:, 3:] += of_either if np.isfinite(of_either).all() else 0.0
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
