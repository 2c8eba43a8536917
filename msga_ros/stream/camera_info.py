"""What two camera_info messages say about a stereo rig."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.camera import CameraError, CameraInfo, stereo_shift
from msga_ros.geometry.rotations import checked_rotation
from msga_ros.odometry.observations import Rig


def rig_from_camera_info(left: CameraInfo, right: CameraInfo, rectified: bool) -> Rig | None:
    """`x_right = R x_left + t` of the images as received; None where P has no baseline.

    In rectified frames the cameras are apart by the difference of what both P say; R of each
    camera_info takes the raw frame to the rectified one. Zeros in R are an entry that is not filled
    in: the identity. Raises `CameraError`, which names the entry.
    """
    shift = stereo_shift(left, right)
    if shift is None:
        return None
    if rectified:
        return Rig(np.eye(3), shift)
    to_left, to_right = _rectification(left, "left"), _rectification(right, "right")
    return Rig(to_right.T @ to_left, to_right.T @ shift)


def _rectification(info: CameraInfo, side: str) -> NDArray[np.float64]:
    given = np.asarray(info.r, dtype=np.float64).ravel()
    if given.size != 9:
        raise CameraError(f"camera_info: r of the {side} camera has {given.size} entries, not 9")
    if not given.any():
        return np.eye(3)
    try:
        return checked_rotation(given)
    except ValueError as error:
        raise CameraError(f"camera_info: r of the {side} camera {error}") from None
