"""Which images are worth to wait for the work: those that the robot has moved for."""

from __future__ import annotations

import numpy as np

from msga_ros.geometry.pose import rotation_angle_deg
from msga_ros.loops.config import LoopConfig
from msga_ros.stream.loops.odometry_buffer import OdometryPose


class Spacing:
    """Passes an image once the robot has moved half of what makes a keyframe since the last one
    that passed, or without odometry every `interval` seconds; so that a queue that is worked off
    slowly holds different places. Which become keyframes is decided later, on all that passed."""

    def __init__(self, config: LoopConfig, interval: float) -> None:
        self._distance = config.keyframe_distance / 2
        self._angle = config.keyframe_angle / 2
        self._interval = round(interval * 1e9)
        self._last: OdometryPose | None = None
        self._last_stamp: int | None = None

    def reset(self) -> None:
        """The next image passes."""
        self._last = self._last_stamp = None

    def passes(self, stamp: int, pose: OdometryPose | None) -> bool:
        """Whether the image of `stamp` (ns) passes."""
        if pose is None:
            before = self._last_stamp
            if before is not None and 0 <= stamp - before < self._interval:
                return False
        elif self._last is not None and not self._moved(self._last, pose):
            return False
        self._last, self._last_stamp = pose, stamp
        return True

    def _moved(self, before: OdometryPose, now: OdometryPose) -> bool:
        shift = float(np.linalg.norm(now.position - before.position))
        turn = rotation_angle_deg(before.rotation.T @ now.rotation)
        return not (shift < self._distance and turn < self._angle)
