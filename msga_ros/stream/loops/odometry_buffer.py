"""Where the robot was at the time of an image, from an odometry that comes at other times."""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.rotations import rotation_matrix, rotation_vector

Array = NDArray[np.float64]


@dataclass(frozen=True)
class OdometryPose:
    """Pose of `child` in `frame`, x_frame = rotation x_child + position (m), at `stamp` (ns)."""

    stamp: int
    rotation: Array
    position: Array
    frame: str = ""
    child: str = ""


class Missing(enum.Enum):
    """Why there is no pose at a time."""

    NOT_YET = "the odometry has not come so far"
    TOO_OLD = "the image is older than all that is known of the odometry"
    GAP = "the odometry has a gap around the image"


class OdometryBuffer:
    """The poses of the last `depth` messages; between two of them, no more than `max_gap` seconds
    apart, the pose is interpolated. A stamp that does not advance is passed over."""

    def __init__(self, max_gap: float, depth: int = 2000) -> None:
        self._max_gap = round(max_gap * 1e9)
        self._poses: deque[OdometryPose] = deque(maxlen=depth)

    @property
    def newest(self) -> OdometryPose | None:
        """The last pose."""
        return self._poses[-1] if self._poses else None

    def clear(self) -> None:
        """Forget everything: time begins anew."""
        self._poses.clear()

    def add(self, pose: OdometryPose) -> bool:
        """Take in the next pose; False where it is not newer than the one before."""
        if self._poses and pose.stamp <= self._poses[-1].stamp:
            return False
        self._poses.append(pose)
        return True

    def at(self, stamp: int) -> OdometryPose | Missing:
        """The pose at `stamp` (ns)."""
        poses = self._poses
        if not poses or stamp > poses[-1].stamp:
            return Missing.NOT_YET
        if stamp < poses[0].stamp:
            return Missing.TOO_OLD
        after = poses[bisect_left(poses, stamp, key=_stamp)]
        if after.stamp == stamp:
            return after
        before = poses[bisect_left(poses, stamp, key=_stamp) - 1]
        if after.stamp - before.stamp > self._max_gap:
            return Missing.GAP
        if (before.frame, before.child) != (after.frame, after.child):
            return Missing.GAP  # another odometry from here on
        return between(before, after, stamp)

    def since(self, stamp: int, until: int) -> list[OdometryPose]:
        """Those later than `stamp` and not later than `until` (ns)."""
        return [one for one in self._poses if stamp < one.stamp <= until]


def between(before: OdometryPose, after: OdometryPose, stamp: int) -> OdometryPose:
    """At a constant velocity from one to the other."""
    share = (stamp - before.stamp) / (after.stamp - before.stamp)
    turn = rotation_vector(before.rotation.T @ after.rotation)
    return OdometryPose(
        stamp,
        before.rotation @ rotation_matrix(share * turn),
        before.position + share * (after.position - before.position),
        before.frame,
        before.child,
    )


def _stamp(pose: OdometryPose) -> int:
    return pose.stamp
