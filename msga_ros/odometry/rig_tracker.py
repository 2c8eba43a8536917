"""What a stereo odometry knows of its rig: the calibration, and how the frames correct it."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from msga_ros.odometry.observations import Rig, RigBelief
from msga_ros.odometry.rig import RigCheck, RigMonitor, RigMonitorState

Array = NDArray[np.float64]

# Each frame, the covariance of the rig's rotation grows by this factor and this (rad): frames that
# follow each other share keypoints, and keypoints share the errors of the lens.
_FADING = 1.1
_RIG_FLOOR = np.radians(0.002)


class RigTrackerState(TypedDict):
    """What a `RigTracker` has learned."""

    monitor: RigMonitorState | None
    focal: float
    belief: RigBelief | None


class RigTracker:
    """The rig as calibrated, and its rotation as the motion over time corrects it.

    `belief`: the correction with its covariance; None where the calibration counts as exact.
    """

    def __init__(self, rig: Rig, sigma_deg: float) -> None:
        """`sigma_deg`: standard deviation of the calibrated rotation, degrees; 0: exact."""
        self.calibrated = rig
        self._sigma = np.radians(sigma_deg)
        self._monitor: RigMonitor | None = None
        self._focal = 0.0  # pixels; of the first frame
        self.reset()

    def reset(self) -> None:
        """Start from the calibration again; the monitor of the matches goes on."""
        self.belief = RigBelief.calibrated(self._sigma) if self._sigma > 0 else None

    def state_dict(self) -> RigTrackerState:
        """What `load_state_dict` takes: numbers and arrays."""
        monitor = None if self._monitor is None else self._monitor.state_dict()
        return {"monitor": monitor, "focal": self._focal, "belief": self.belief}

    def load_state_dict(self, state: RigTrackerState) -> None:
        """Go on from the state of a tracker of the same rig."""
        self._monitor, self._focal, self.belief = None, state["focal"], state["belief"]
        if state["monitor"] is not None:
            self._monitor = RigMonitor(self.calibrated, self._focal)
            self._monitor.load_state_dict(state["monitor"])

    @property
    def corrected(self) -> Rig:
        """The rig with the most probable rotation."""
        if self.belief is None:
            return self.calibrated
        return self.calibrated.turned(self.belief.mean)

    def check(self, left: Array, right: Array, focal: float) -> RigCheck | None:
        """Take in the filtered matches (N, 2) of a frame, normalised; see `RigMonitor.update`.

        `focal`: of the cameras, pixels; that of the first frame counts.
        """
        if self._monitor is None:
            self._monitor, self._focal = RigMonitor(self.calibrated, focal), focal
        return self._monitor.update(left, right)

    def update(self, belief: RigBelief | None) -> None:
        """Take over the estimate of a motion, if there is one.

        Its covariance grows with each frame and has a floor: the rotation is never exact.
        """
        if belief is None:
            return
        spread = _FADING * np.linalg.inv(belief.information) + np.eye(3) * _RIG_FLOOR**2
        self.belief = RigBelief(belief.mean, np.linalg.inv(spread))

    def completed(self, check: RigCheck | None) -> RigCheck | None:
        """`check` with the rotation estimated from motion over time, which observes all axes."""
        if check is None or self.belief is None:
            return check
        return check.with_turn(self.belief)
