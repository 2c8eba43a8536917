"""What two camera_info messages say about a stereo rig."""

from __future__ import annotations

from typing import Any

import numpy as np

from msga_ros.odometry.observations import Rig


def rig_from_camera_info(left: Any, right: Any, rectified: bool) -> Rig | None:
    """`x_right = R x_left + t` of the images as received; None where P tells no baseline.

    In rectified frames the right camera is moved by P[0, 3] / fx (a vertical rig: P[1, 3] / fy);
    R of each camera_info takes the raw frame to the rectified one.
    """
    p = np.asarray(right.p, dtype=np.float64).reshape(3, 4)
    if not p[:2, 3].any():
        return None
    shift = np.array([p[0, 3] / p[0, 0], p[1, 3] / p[1, 1], 0.0])
    if rectified:
        return Rig(np.eye(3), shift)
    turns = [np.asarray(one.r, dtype=np.float64).reshape(3, 3) for one in (left, right)]
    return Rig(turns[1].T @ turns[0], turns[1].T @ shift)
