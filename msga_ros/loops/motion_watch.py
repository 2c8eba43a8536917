"""When a view is worth keeping: the camera's motion by its odometry; jumps of it and of the clock.

A stretch of odometry without a jump is a segment; nothing but loops relates one to another.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.pose import rotation_angle_deg
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.resumable import State, pose_array, pose_of

_GRAVITY = 9.81  # m/s^2: what a robot may accelerate with without being said to jump
_SPIN = 600.0  # deg/s^2, likewise
_PAUSE = 10.0  # a step so many times as long as the one before says nothing of the velocity


class MotionWatch:
    """Follows the odometry; `segment` counts its jumps, `elapsed` (s) the time without them.

    `observe` may be called for each pose of the odometry, or for those of the views alone.
    """

    def __init__(self, config: LoopConfig, segment: int = 0) -> None:
        self._config = config
        self.segment = segment
        self.elapsed = 0.0
        self._stamp: float | None = None
        self._step = 0.0  # s, the last that was positive
        self._pose: Pose | None = None
        self._velocity: tuple[np.ndarray, float] | None = None  # m/s, deg/s
        self._keyframe: Pose | None = None
        self._without = True  # the last observation was
        self._notes: list[str] = []

    def observe(self, stamp: float, odometry: Pose | None) -> None:
        """Take in the next pose, odom to camera; the same stamp again changes nothing."""
        if stamp == self._stamp:
            return
        if odometry is not None and self.usable(odometry) is None:
            self.note(f"the odometry of {stamp:.3f} s holds NaN or infinity: not used")
            odometry = None
        step, before = 0.0 if self._stamp is None else stamp - self._stamp, self._step
        if step < 0:
            self.note(f"the clock went back by {-step:.3f} s")
            step = before
        elif odometry is not None and self._clock_went_ahead(odometry, step):
            self.note(f"the clock went ahead by {step - before:.3f} s")
            step = before
        self._stamp, self._step = stamp, step
        self.elapsed += step
        self._without = odometry is None
        if odometry is None:
            self._velocity = None
            return
        if self._pose is not None and self._jumped(odometry, step):
            self.segment += 1
            self._keyframe, self._velocity = None, None
        elif self._pose is not None and step > 0:
            moved = odometry.centre - self._pose.centre
            turned = rotation_angle_deg(odometry.rotation @ self._pose.rotation.T)
            paused = 0 < before < step / _PAUSE
            self._velocity = None if paused else (moved / step, turned / step)
        self._pose = odometry

    def restart(self) -> None:
        """What follows has another origin."""
        if self._pose is not None:
            self.segment += 1
            self.note("the odometry began anew: loops alone join what follows to the map")
        self._pose = self._velocity = self._keyframe = None

    def due(self) -> bool:
        """Whether the view of the last pose moved enough; always where there is no odometry."""
        if self._without or self._pose is None or self._keyframe is None:
            return True
        config, since = self._config, self._pose.relative_to(self._keyframe)
        distance = float(np.linalg.norm(self._pose.centre - self._keyframe.centre))
        angle = rotation_angle_deg(since.rotation)
        return distance >= config.keyframe_distance or angle >= config.keyframe_angle

    def kept(self, odometry: Pose | None) -> None:
        """The view of this pose is a keyframe now."""
        if odometry is not None:
            self._keyframe = odometry

    def usable(self, odometry: Pose | None) -> Pose | None:
        """`odometry` where its numbers are some."""
        return odometry if odometry is not None and _is_finite(odometry) else None

    def note(self, sentence: str) -> None:
        """Say this with the next notes."""
        self._notes.append(sentence)

    def take_notes(self) -> tuple[str, ...]:
        """What was noticed since the last call."""
        notes, self._notes = tuple(self._notes), []
        return notes

    def state_dict(self) -> State:
        """All that the next pose is held against."""
        speed, rate = (None, None) if self._velocity is None else self._velocity
        return {
            "segment": self.segment,
            "elapsed": self.elapsed,
            "stamp": self._stamp,
            "step": self._step,
            "pose": pose_array(self._pose),
            "speed": speed,
            "rate": rate,
            "keyframe": pose_array(self._keyframe),
            "without": self._without,
        }

    def load_state_dict(self, state: Any) -> None:
        """Go on from `state_dict()`."""
        self.segment, self.elapsed = state["segment"], state["elapsed"]
        self._stamp, self._step = state["stamp"], state["step"]
        self._pose, self._keyframe = pose_of(state["pose"]), pose_of(state["keyframe"])
        known = state["speed"] is not None
        self._velocity = (state["speed"], state["rate"]) if known else None
        self._without = state["without"]

    def _clock_went_ahead(self, odometry: Pose, step: float) -> bool:
        """The motion is that of a step like the one before, and would be a jump of the odometry by
        what the stamps say."""
        if not 0 < self._step < step:
            return False
        return self._off(odometry, step) is not None and self._off(odometry, self._step) is None

    def _jumped(self, odometry: Pose, step: float) -> bool:
        off = self._off(odometry, step)
        if off is None:
            return False
        self.note(
            f"the odometry jumped by {off[0]:.2f} m and {off[1]:.0f} degrees within {step:.3f} s: "
            "loops alone join what follows to the map"
        )
        return True

    def _off(self, odometry: Pose, step: float) -> tuple[float, float] | None:
        """How far (m, degrees) the odometry is from where its velocity led within `step` s; None
        where a robot can do that, or nothing is known of its velocity."""
        if self._velocity is None or self._pose is None:
            return None
        speed, rate = self._velocity
        off = float(np.linalg.norm(odometry.centre - self._pose.centre - speed * step))
        turned = rotation_angle_deg(odometry.rotation @ self._pose.rotation.T)
        more = abs(turned - rate * step)
        config, half = self._config, step**2 / 2
        possible = off <= config.jump_distance + _GRAVITY * half and (
            more <= config.jump_angle + _SPIN * half
        )
        return None if possible else (off, more)


def _is_finite(pose: Pose) -> bool:
    return bool(np.isfinite(pose.rotation).all() and np.isfinite(pose.translation).all())
