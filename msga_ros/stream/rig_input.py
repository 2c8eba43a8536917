"""The rig of a stereo pair, from both calibrations, and what contradicts it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.camera import CameraError, CameraInfo
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.rig import told_translation
from msga_ros.stream.calibration_check import DirectionCheck, SaidOnce, rig_doubts
from msga_ros.stream.camera_info import rig_from_camera_info
from msga_ros.stream.errors import BadInput
from msga_ros.stream.reference_view import View
from msga_ros.two_view.result import TwoViewResult


class RigInput:
    """Reads the rig of each pair; `doubts` gets what is wrong with it."""

    def __init__(self, doubts: SaidOnce) -> None:
        self._doubts = doubts
        self._direction = DirectionCheck()
        self._contradiction = ""

    def problem(
        self,
        left: CameraInfo,
        right: CameraInfo,
        rig: Rig,
        rectified: bool,
        measured: NDArray[np.float64] | None,
    ) -> str:
        """What contradicts the calibration of the pair; said once, and as long as it lasts.

        `measured`: translation (3,) of the pair; None where it tells none.
        """
        doubts = rig_doubts(left, right, rig, rectified)
        if measured is not None:
            self._contradiction = self._direction.update(rig, measured)
        if self._contradiction:
            doubts.append(self._contradiction)
        self._doubts.say("stereo rig", doubts)
        return "; ".join(doubts)


def read_rig(left: CameraInfo, right: CameraInfo, rectified: bool, topic: str) -> Rig | None:
    """The rig that two calibrations tell, None without a baseline. Raises `BadInput` on `topic`."""
    try:
        return rig_from_camera_info(left, right, rectified)
    except CameraError as error:
        raise BadInput("camera_info", str(error), topic) from None


def measured_translation(
    left: View, right: View, result: TwoViewResult, rig: Rig, threshold_px: float
) -> NDArray[np.float64] | None:
    """Direction (3,) of the right camera's translation; None where the pair does not tell it.

    Where no pose is sure, as before a plane, the disparities still tell its sign.
    """
    if result.status.name == "OK":
        return result.translation
    if result.status.name != "DEGENERATE":
        return None
    points = (
        view.camera.normalize(keypoints[result.inlier])
        for view, keypoints in ((left, result.keypoints0), (right, result.keypoints1))
    )
    seen, matched = points
    known = np.isfinite(seen).all(axis=1) & np.isfinite(matched).all(axis=1)
    threshold = threshold_px / left.camera.mean_focal
    return told_translation(seen[known], matched[known], rig, threshold)
