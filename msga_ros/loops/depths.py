"""How far the features of a keyframe are: measured, or triangulated by the odometry's length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.depth import inverse_depths_at
from msga_ros.geometry.pose import invert_pose, pose_error_deg
from msga_ros.geometry.triangulation import parallax_angles, ray_depths
from msga_ros.loops.keyframe import Keyframe
from msga_ros.loops.reports import ScaleSource
from msga_ros.odometry.poses import UncertainPose
from msga_ros.two_view.result import Status, TwoViewResult

Array = npt.NDArray[np.float64]

FEWEST = 30  # points with a depth that tell the length of a translation
_MEASURED_SHARE = 0.01  # by which a depth image or a stereo rig may be wrong as a whole
_DEPTH_JUMP = 0.1  # share of the depth beyond which an object ends
_PARALLAX = np.deg2rad(1.0)  # of a triangulated point, at least
_SENSOR_SIGMA = 0.005  # 1/m, of a depth image: most sensors triangulate
_MATCH_PX = 1.0  # standard deviation of a match
_ROW_PX = 2.0  # a match of a stereo pair and its epipolar line
_TURN_DEG, _DIRECTION_DEG = 5.0, 30.0  # between the odometry and the images, at most


@dataclass(frozen=True)
class Depths:
    """`inverse` (N,) 1/m along the optical axis, and its standard deviation `sigma` (N,), NaN where
    unknown; besides, all may be wrong by one factor, of the relative standard deviation `share`."""

    inverse: Array
    sigma: Array
    share: float
    source: ScaleSource

    @property
    def count(self) -> int:
        """How many are known."""
        return int(np.isfinite(self.inverse).sum())

    def of(self, features: npt.NDArray[np.int64]) -> tuple[Array, Array, float]:
        """`inverse`, `sigma` of these features (M,), and `share`."""
        return self.inverse[features], self.sigma[features], self.share


def measured(keyframe: Keyframe) -> Depths | None:
    """What a depth image or the other camera of the rig has said."""
    if keyframe.inverse_depth is None:
        return None
    inverse, sigma = keyframe.inverse_depth.astype(np.float64).T
    return Depths(inverse, sigma, _MEASURED_SHARE, ScaleSource.DEPTH)


def from_depth_image(depth: npt.NDArray[np.float32], keypoints: npt.ArrayLike) -> Array:
    """Inverse depth of keypoints (N, 2), pixels, and its standard deviation: (N, 2)."""
    inverse = inverse_depths_at(depth, keypoints, _DEPTH_JUMP)
    return np.column_stack([inverse, np.where(np.isfinite(inverse), _SENSOR_SIGMA, np.nan)])


def from_stereo(
    left: Keyframe, result: TwoViewResult, right: npt.NDArray[np.float64], rig: UncertainPose
) -> Array:
    """Inverse depth of the left features and its standard deviation, (N, 2), by the known rig.

    `result` relates left and right view; `right` (M, 2): its `keypoints1`, normalised; `rig`: pose
    of the right camera in the left one. A match off its epipolar line or behind a camera gives
    none.
    """
    found = np.full((len(left.features), 2), np.nan)
    if result.indices0 is None:
        return found
    points = left.camera.normalize(result.keypoints0)
    turn, shift = invert_pose(rig.rotation, rig.position)
    near, beyond = ray_depths(points, right, turn, shift)
    rays = np.column_stack([points, np.ones(len(points))]) * near[:, None]
    seen = rays @ turn.T + shift
    with np.errstate(all="ignore"):
        off = np.linalg.norm(seen[:, :2] / seen[:, 2:] - right, axis=1) * left.camera.mean_focal
        good = (near > 0) & (beyond > 0) & (off < _ROW_PX)
    angles = parallax_angles(points, right, turn)
    found[result.indices0[good], 0] = 1.0 / near[good]
    found[result.indices0[good], 1] = _sigma(near, angles, left.camera.mean_focal)[good]
    return found


def triangulated(
    keyframe: Keyframe, other: Keyframe, result: TwoViewResult, motion: UncertainPose
) -> Depths | None:
    """Depths of the features of `keyframe` by the images of two keyframes, `result`, whose distance
    the odometry knows: `motion`, pose of the other camera in this one, metres.

    None where the images show no parallax, or another motion than the odometry: then its length is
    not to be trusted either.
    """
    length = float(np.linalg.norm(motion.position))
    if result.status is not Status.OK or result.indices0 is None or not length > 0:
        return None
    turn, shift = invert_pose(motion.rotation, motion.position)
    wrong = pose_error_deg(result.rotation, result.translation, turn, shift, signed=True)
    if wrong[0] > _TURN_DEG or wrong[1] > _DIRECTION_DEG:
        return None
    rows = np.flatnonzero(result.inlier)
    points0 = keyframe.camera.normalize(result.keypoints0[rows])
    points1 = other.camera.normalize(result.keypoints1[rows])
    depth, beyond = ray_depths(points0, points1, result.rotation, length * result.translation)
    with np.errstate(invalid="ignore"):
        good = (depth > 0) & (beyond > 0)
        angles = parallax_angles(points0, points1, result.rotation)
        good &= angles > _PARALLAX
    inverse = np.full(len(keyframe.features), np.nan)
    sigma = inverse.copy()
    inverse[result.indices0[rows[good]]] = 1.0 / depth[good]
    sigma[result.indices0[rows[good]]] = _sigma(depth, angles, keyframe.camera.mean_focal)[good]
    along = motion.position / length
    share = float(np.sqrt(along @ motion.covariance[:3, :3] @ along)) / length
    return Depths(inverse, sigma, share, ScaleSource.ODOMETRY)


def _sigma(depth: Array, parallax: Array, focal: float) -> Array:
    """Standard deviation (N,) of a triangulated inverse depth, 1/m; `parallax` (N,) in rad."""
    with np.errstate(all="ignore"):
        return np.asarray(_MATCH_PX / (focal * np.abs(depth * np.sin(parallax))))
