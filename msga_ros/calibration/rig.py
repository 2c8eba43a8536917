"""Two cameras of calibration files as the two `camera_info` of a stereo rig."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from msga_ros.calibration.base import CalibratedCamera, CalibrationError, FileCameraInfo
from msga_ros.geometry.rotations import rotation_matrix

Array = NDArray[np.float64]


def as_stereo_pair(
    left: CalibratedCamera, right: CalibratedCamera, rectified: bool
) -> tuple[FileCameraInfo, FileCameraInfo]:
    """Both with R and P in such a way that they tell the rig as a `camera_info` does.

    Of `rectified` images it is P that counts, and the files must have it; of raw ones the poses,
    where both files know theirs, and else R and P. Raises `CalibrationError`.
    """
    if rectified:
        return usable(left, True), usable(right, True)
    infos = usable(left, False), usable(right, False)
    if left.pose is None or right.pose is None:
        return infos
    motion = right.pose.relative_to(left.pose)
    # Any rotation that turns the baseline into an axis of the image makes a rectified frame; it
    # need not be the one that images would be warped to.
    to_right = _onto_axis(motion.translation)
    shift = to_right @ motion.translation
    return (
        _with_projection(infos[0], to_right @ motion.rotation, np.zeros(3)),
        _with_projection(infos[1], to_right, shift),
    )


def usable(camera: CalibratedCamera, rectified: bool) -> FileCameraInfo:
    """The camera's `camera_info`, which has P where the images are `rectified`."""
    if rectified and not any(camera.info.p):
        raise CalibrationError(
            f"{camera.source}: no projection matrix (P), which rectified images need"
        )
    return camera.info


def _with_projection(info: FileCameraInfo, rotation: Array, shift: Array) -> FileCameraInfo:
    k = np.reshape(info.k, (3, 3))
    p = np.hstack([k, (k @ shift)[:, None]])
    return replace(info, r=tuple(rotation.ravel().tolist()), p=tuple(p.ravel().tolist()))


def _onto_axis(translation: Array) -> Array:
    """The smallest rotation (3, 3) that takes `translation` (3,) to the x or the y axis."""
    length = float(np.linalg.norm(translation))
    if length == 0.0:
        return np.eye(3)
    direction = translation / length
    axis: Array = np.zeros(3)
    largest = int(np.argmax(np.abs(direction[:2])))
    axis[largest] = np.copysign(1.0, direction[largest])
    turn = np.cross(direction, axis)
    sine, cosine = float(np.linalg.norm(turn)), float(direction @ axis)
    return rotation_matrix(turn * (np.arctan2(sine, cosine) / sine)) if sine > 0 else np.eye(3)
