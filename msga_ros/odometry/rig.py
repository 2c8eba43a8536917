"""A stereo rig: matches judged by its known geometry, and its geometry judged by the matches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.pose import cross, essential_matrix
from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.odometry.observations import Rig, RigBelief

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_FEWEST_TOLD = 20  # matches whose disparity has a sign
_ALIKE = 0.75  # of the median disparity: if the smallest are larger, they hardly differ
_OTHER_SIGN = 0.1  # share of false matches among them
_SYSTEMATIC_PX = 0.1  # error of the matches of a rig that does not average out
_CLOSEST_BASELINES = 1.0  # nearer points than one baseline are false matches


def epipolar_errors(points_left: Array, points_right: Array, rig: Rig) -> Array:
    """Signed Sampson errors (N,) of matches (N, 2), normalised units; of a rectified rig that is
    the vertical offset, right less left, over the square root of two."""
    return _sampson(points_left, points_right, rig.rotation, rig.translation)[0]


def inverse_depths(points_left: Array, points_right: Array, rig: Rig) -> Array:
    """Inverse depth (N,) in the left camera, 1/m, of matches (N, 2), normalised; about 0 for points
    far away, of either sign."""
    ray = np.column_stack([points_left, np.ones(len(points_left))]) @ rig.rotation.T
    seen = np.column_stack([points_right, np.ones(len(points_right))])
    shift, turn = cross(seen, rig.translation), cross(seen, ray)
    return -(shift * turn).sum(1) / np.maximum((shift**2).sum(1), 1e-18)


def consistent_with_rig(
    points_left: Array, points_right: Array, rig: Rig, threshold: float
) -> Bools:
    """Which matches (N, 2), normalised, the known rig explains, (N,): epipolar error below
    `threshold` (normalised units), not behind the cameras by more than that disparity, and no
    nearer than the baseline is long."""
    depth = inverse_depths(points_left, points_right, rig) * rig.baseline
    error = epipolar_errors(points_left, points_right, rig)
    fits = (np.abs(error) < threshold) & (depth > -threshold) & (depth < 1 / _CLOSEST_BASELINES)
    return np.asarray(fits)


def told_translation(
    points_left: Array, points_right: Array, rig: Rig, threshold: float
) -> Array | None:
    """The translation (3,) of the rig, or its opposite where the points would lie behind it.

    Of matches (N, 2), normalised; their disparities tell it where those beyond `threshold` have one
    sign. None where they do not, or where near and far points do not differ: then a turned camera
    explains them as well.
    """
    error = epipolar_errors(points_left, points_right, rig)
    fits = np.abs(error) < threshold
    disparity = inverse_depths(points_left[fits], points_right[fits], rig) * rig.baseline
    sizes = np.abs(disparity)
    told = disparity[sizes > 3 * threshold]
    if len(told) < max(_FEWEST_TOLD, 0.5 * len(points_left)):
        return None
    if np.quantile(sizes, 0.05) > _ALIKE * np.median(sizes):
        return None
    behind = float(np.mean(told < 0))
    if min(behind, 1.0 - behind) > _OTHER_SIGN:
        return None
    return -rig.translation if behind > 0.5 else rig.translation


@dataclass(frozen=True)
class RigCheck:
    """What the matches say about the known extrinsics.

    `offset_px`: median signed epipolar error times sqrt(2), of a rectified pair the vertical offset
    (right less left); `spread_px`: its robust standard deviation (1.48 MAD). `rotation_deg` (3,):
    the rotation vector, in the right camera, that the matches would add to the known rotation, and
    `rotation_sigma_deg` (3,) how well they tell. `matches`: how many said so (all frames, the older
    ones fading).
    """

    offset_px: float
    spread_px: float
    rotation_deg: Array
    rotation_sigma_deg: Array
    matches: int

    def with_turn(self, belief: RigBelief) -> RigCheck:
        """The same with the rotation that the motion over time tells, which sees all axes."""
        sigma = np.sqrt(np.diag(belief.covariance))
        return replace(
            self, rotation_deg=np.degrees(belief.mean), rotation_sigma_deg=np.degrees(sigma)
        )

    def shift_px(self, focal: float) -> float:
        """How far the correction moves points of the right image, pixels: the largest of the
        certain (3 sigma) axes, for a point half a focal length off the middle; 0 if none is."""
        shift = np.radians(np.abs(self.rotation_deg)) * focal * np.array([1.0, 1.0, 0.5])
        certain = np.abs(self.rotation_deg) > 3 * self.rotation_sigma_deg
        return float(np.max(shift * certain))

    def drifted(self, tolerance_px: float, focal: float) -> bool:
        """Whether the rig left its calibration by more than `tolerance_px` (see `shift_px`)."""
        return self.shift_px(focal) > tolerance_px


class RigMonitorState(TypedDict):
    """What a `RigMonitor` has added up."""

    hessian: Array
    gradient: Array
    count: float


class RigMonitor:
    """Adds up what the matches of all frames say about the rig, the older ones fading.

    The direction of the translation and the scale are taken as known. Epipolar errors hardly tell a
    turn about the vertical axis (y, for cameras side by side), which shifts points along their
    lines: it is left at 0 here, with the standard deviation of a degree. Motion over time shows it.
    """

    def __init__(self, rig: Rig, focal: float, memory: float = 30.0) -> None:
        """`focal`: pixels, of the left camera; `memory`: frames."""
        self._rig, self._focal = rig, focal
        self._keep = 1.0 - 1.0 / max(memory, 1.0)
        self._hessian: Array = np.zeros((3, 3))
        self._gradient: Array = np.zeros(3)
        self._count = 0.0
        self._prior = _prior(rig)
        self._unobserved = np.abs(_blind_axis(rig))  # degrees

    def state_dict(self) -> RigMonitorState:
        """What `load_state_dict` takes: numbers and arrays."""
        return {"hessian": self._hessian, "gradient": self._gradient, "count": self._count}

    def load_state_dict(self, state: RigMonitorState) -> None:
        """Go on from the state of a monitor of the same rig."""
        self._hessian, self._gradient = state["hessian"], state["gradient"]
        self._count = state["count"]

    def update(self, points_left: Array, points_right: Array) -> RigCheck | None:
        """Take in the matches (N, 2) of a frame, outliers bounded by a wide gate; None until 8.

        Give it the filter's inliers *before* `consistent_with_rig`, or a drift would remove its own
        evidence.
        """
        usable = np.isfinite(points_left).all(1) & np.isfinite(points_right).all(1)
        left, right = points_left[usable], points_right[usable]
        if len(left) < 8:
            return None
        error = epipolar_errors(left, right, self._rig)
        median = float(np.median(error))
        spread = 1.4826 * float(np.median(np.abs(error - median)))
        sigma = max(spread, 0.1 / self._focal)
        correction, hessian = _correction(left, right, self._rig, sigma)
        self._hessian = self._keep * self._hessian + hessian
        self._gradient = self._keep * self._gradient + hessian @ correction
        self._count = self._keep * self._count + len(left)
        covariance = np.linalg.inv(self._hessian + self._prior)
        rotation = covariance @ self._gradient
        floor = (_SYSTEMATIC_PX / self._focal) ** 2
        root2 = np.sqrt(2.0)
        return RigCheck(
            offset_px=root2 * median * self._focal,
            spread_px=root2 * spread * self._focal,
            rotation_deg=np.degrees(rotation),
            rotation_sigma_deg=np.maximum(
                np.degrees(np.sqrt(np.diag(covariance) + floor)), self._unobserved
            ),
            matches=round(self._count),
        )


def _blind_axis(rig: Rig) -> Array:
    """Axis (3,) in the right camera about which a turn moves points along their epipolar lines."""
    axis = np.cross([0.0, 0.0, 1.0], rig.translation)
    return np.asarray(axis / max(float(np.linalg.norm(axis)), 1e-12))


def _prior(rig: Rig) -> Array:
    """Information (3, 3), 1/rad^2: a degree about each axis, but no turn about the blind one."""
    axis = _blind_axis(rig)
    return np.eye(3) / np.radians(1.0) ** 2 + np.outer(axis, axis) / np.radians(1e-3) ** 2


def _correction(left: Array, right: Array, rig: Rig, sigma: float) -> tuple[Array, Array]:
    """Rotation (3,) to add on the right camera's side, and its information (3, 3); robust."""
    total: Array = np.zeros(3)
    rotation, prior = rig.rotation, _prior(rig)
    for _ in range(6):
        turn = rotation_matrix(total)
        error, slope = _sampson(left, right, turn @ rotation, turn @ rig.translation)
        weight = 1.0 / (1.0 + (error / (2 * sigma)) ** 2) ** 2
        hessian = (slope * weight[:, None]).T @ slope / sigma**2
        gradient = (slope * weight[:, None]).T @ error / sigma**2 + prior @ total
        step = -np.linalg.solve(hessian + prior, gradient)
        total = total + step
        if np.abs(step).max() < 1e-9:
            break
    return total, hessian


def _sampson(left: Array, right: Array, rotation: Array, translation: Array) -> tuple[Array, Array]:
    """Signed Sampson errors (N,), and their derivative (N, 3) by a small rotation of the right
    camera, `R <- exp([r]) R`, `t <- exp([r]) t`."""
    ray0 = np.column_stack([left, np.ones(len(left))])
    ray1 = np.column_stack([right, np.ones(len(right))])
    essential = essential_matrix(rotation, translation)
    line1, line0 = ray0 @ essential.T, ray1 @ essential
    length = np.sqrt((line1[:, :2] ** 2).sum(1) + (line0[:, :2] ** 2).sum(1))
    length = np.maximum(length, 1e-12)
    error = (ray1 * line1).sum(1) / length
    # y . exp([r]) E x = y . E x + r . (E x) x y
    slope = cross(line1, ray1) / length[:, None]
    return error, slope
