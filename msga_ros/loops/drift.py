"""The odometry between keyframes of one segment, with the uncertainty that it has by then.

Its error is taken for a random walk: in a short stretch of length w (metres, a turn of one radian
counting half a metre) the direction errs by `drift_angle * sqrt(w)` and the position by
`drift_distance * sqrt(w)`, alike in all axes. Added up to first order, a turn somewhere moves
keyframe j by the lever from there to j.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.pose import rotation_angle_deg, skew
from msga_ros.loops.config import LoopConfig
from msga_ros.odometry.poses import UncertainPose

Array = npt.NDArray[np.float64]

_METRES_A_RADIAN = 0.5
_SHORTEST = 1e-3  # m: no stretch is known better than one of this length


class OdometryChain:
    """Poses of the keyframes by their number, those without odometry left out."""

    def __init__(self, config: LoopConfig) -> None:
        self._variance_position = config.drift_distance**2
        self._variance_angle = np.deg2rad(config.drift_angle) ** 2
        self.poses: list[Pose | None] = []  # odom to camera
        self.segments: list[int] = []
        self._centres: Array = np.empty((0, 3))
        self._travelled: Array = np.empty(0)  # within the segment

    def __len__(self) -> int:
        return len(self.poses)

    def append(self, pose: Pose | None, segment: int) -> None:
        """The next keyframe; `pose`: odom to camera, metres, None where nobody knows it."""
        number = len(self)
        if number == len(self._travelled):
            more = max(64, number)
            self._centres = np.vstack([self._centres, np.full((more, 3), np.nan)])
            self._travelled = np.concatenate([self._travelled, np.zeros(more)])
        before = self.previous(number, segment)
        if pose is not None:  # of one layout, by which the last digit of a product may differ
            pose = Pose(*map(np.ascontiguousarray, (pose.rotation, pose.translation)))
        self.poses.append(pose)
        self.segments.append(segment)
        if pose is None:
            self._travelled[number] = self._travelled[number - 1] if number else 0.0
            return
        self._centres[number] = pose.centre
        travelled = 0.0
        if before is not None:
            last = self.poses[before]
            assert last is not None
            travelled = self._travelled[before] + _length(last, pose)
        self._travelled[number] = travelled

    def previous(self, number: int, segment: int | None = None) -> int | None:
        """The keyframe with odometry before `number` in its segment; None for the first."""
        wanted = self.segments[number] if segment is None else segment
        for one in range(number - 1, -1, -1):
            if self.segments[one] != wanted:
                return None
            if self.poses[one] is not None:
                return one
        return None

    def following(self, number: int) -> int | None:
        """The keyframe with odometry after `number` in its segment; None for the last."""
        for one in range(number + 1, len(self)):
            if self.segments[one] != self.segments[number]:
                return None
            if self.poses[one] is not None:
                return one
        return None

    def travelled(self, first: int, last: int) -> float | None:
        """Metres and turns between two keyframes; None where the odometry does not relate them."""
        if self.segments[first] != self.segments[last]:
            return None
        if self.poses[first] is None or self.poses[last] is None:
            return None
        return float(abs(self._travelled[last] - self._travelled[first]))

    def distances(self, numbers: Sequence[int]) -> Array:
        """(K,) metres and turns from the first of `numbers`, keyframes of one segment."""
        travelled = self._travelled[np.asarray(numbers, dtype=np.int64)]
        return np.asarray(travelled - travelled[0])

    def between(self, first: int, last: int) -> UncertainPose | None:
        """Pose of camera `last` in camera `first`; None where the odometry does not relate them."""
        if self.travelled(first, last) is None:
            return None
        if first > last:
            back = self.between(last, first)
            return None if back is None else back.inverse()
        begin, end = self.poses[first], self.poses[last]
        assert begin is not None and end is not None
        motion = end.relative_to(begin).inverse()  # x_first = R x_last + p
        known = np.isfinite(self._centres[first : last + 1, 0])
        places = np.arange(first, last + 1)[known]
        weight = np.diff(self._travelled[places])
        if first == last:
            return UncertainPose.exact(motion.rotation, motion.translation)
        weight = np.maximum(weight, _SHORTEST)
        levers = (self._centres[last] - self._centres[places]) @ begin.rotation.T
        return UncertainPose(motion.rotation, motion.translation, self._covariance(weight, levers))

    def _covariance(self, weight: Array, levers: Array) -> Array:
        """(6, 6) of errors spread evenly over stretches of `weight` (K,), between `levers` (K + 1,
        3) from each keyframe to the last, in the axes of the first."""
        lever, along = (levers[1:] + levers[:-1]) / 2, np.diff(levers, axis=0) / np.sqrt(12)
        squared = weight @ ((lever**2).sum(axis=1) + (along**2).sum(axis=1))
        outer = lever.T @ (weight[:, None] * lever) + along.T @ (weight[:, None] * along)
        covariance = np.zeros((6, 6))
        covariance[:3, :3] = self._variance_position * weight.sum() * np.eye(3)
        covariance[:3, :3] += self._variance_angle * (squared * np.eye(3) - outer)
        covariance[:3, 3:] = -self._variance_angle * skew(weight @ lever)
        covariance[3:, :3] = covariance[:3, 3:].T
        covariance[3:, 3:] = self._variance_angle * weight.sum() * np.eye(3)
        return covariance


def _length(first: Pose, last: Pose) -> float:
    turned = np.deg2rad(rotation_angle_deg(last.rotation @ first.rotation.T))
    moved = float(np.linalg.norm(last.centre - first.centre))
    return moved + _METRES_A_RADIAN * float(turned)
