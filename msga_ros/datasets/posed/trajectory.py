"""Poses over time: quaternions, and interpolation to the time of an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation, Slerp

from msga_ros.datasets.posed.base import PosedImagesError
from msga_ros.geometry import rotations
from msga_ros.geometry.camera_pose import Pose

Floats = NDArray[np.float64]

_LONGEST_GAP = 0.1  # s between neighbouring poses, for there to be a pose in between


def rotation_from_quaternion(wxyz: ArrayLike) -> Floats:
    """Rotation matrix `(3, 3)` of a quaternion (w, x, y, z) of any length but zero."""
    q = np.asarray(wxyz, np.float64).reshape(4)
    length = np.linalg.norm(q)
    if not (np.isfinite(length) and length > 1e-9):
        raise PosedImagesError(f"{q.tolist()} is no quaternion")
    return rotations.rotation_from_quaternion(np.roll(q, -1))


def check_quaternion(wxyz: ArrayLike, where: str) -> None:
    """Raise `PosedImagesError`, with the place in the file, unless it stands for a rotation."""
    try:
        rotation_from_quaternion(wxyz)
    except PosedImagesError as error:
        raise PosedImagesError(f"{where}: {error}") from None


def inverse(rotation: Floats, translation: Floats) -> Pose:
    """World to camera of a camera-to-world motion `X = R x_cam + t`."""
    return Pose(rotation.T.copy(), -rotation.T @ translation)


class Trajectory:
    """Body-to-world poses at times, interpolated in between.

    Args:
        stamps: (n,) seconds, in any order.
        positions: (n, 3).
        quaternions: (n, 4) w, x, y, z; body to world.
    """

    def __init__(self, stamps: Floats, positions: Floats, quaternions: Floats) -> None:
        order = np.argsort(stamps, kind="stable")
        self._stamps = stamps[order]
        self._positions = positions[order]
        self._quaternions = quaternions[order]

    def at(self, stamp: float) -> tuple[Floats, Floats] | None:
        """Rotation and position, body to world; None outside the trajectory or in a gap."""
        after = int(np.searchsorted(self._stamps, stamp))
        if after < len(self._stamps) and self._stamps[after] == stamp:
            return rotation_from_quaternion(self._quaternions[after]), self._positions[after]
        if after in (0, len(self._stamps)):
            return None
        before = after - 1
        interval = self._stamps[after] - self._stamps[before]
        if interval > _LONGEST_GAP:
            return None
        share = float((stamp - self._stamps[before]) / interval)
        position = (1.0 - share) * self._positions[before] + share * self._positions[after]
        ends = [rotation_from_quaternion(self._quaternions[one]) for one in (before, after)]
        turned = Slerp([0.0, 1.0], Rotation.from_matrix(ends))(share)
        return turned.as_matrix(), position
