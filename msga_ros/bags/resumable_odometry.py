"""The odometry beside a run: a pose for every set of messages, and its state to go on from.

The state holds feature descriptors and is large, so it does not go into the journal with every set:
it is kept as one file, which holds data alone (see `state`).
"""

from __future__ import annotations

from msga_ros.bags.motion import StampedPose
from msga_ros.bags.state import StateError, from_bytes, to_bytes
from msga_ros.odometry.mono import MonoOdometry
from msga_ros.odometry.stereo import StereoOdometry
from msga_ros.stream.message_set import stamp_ns
from msga_ros.stream.stream_odometry import OdometryResult, StreamOdometry


class ResumableOdometry(StreamOdometry):
    """The node's odometer, whose state can be written down and taken up again.

    The headers of reference frames are not part of the state: a bag has no use for them.
    """

    def state(self) -> bytes:
        """Everything that the next update depends on."""
        counted = (self._epoch, self.session, self.reason, self._pending)
        return to_bytes((counted, self._cameras, self._odometry), {"relate": self._relate})

    def restore(self, state: bytes) -> None:
        """Go on from `state`. Raises `StateError` for anything else."""
        found = from_bytes(state, {"relate": self._relate})
        if type(found) is not tuple or len(found) != 3:
            raise StateError("not the state of an odometry")
        counted, cameras, odometry = found
        kinds = [type(one) for one in counted] if type(counted) is tuple else []
        if kinds != [int, int, str, str] or type(cameras) not in (tuple, type(None)):
            raise StateError("not the state of an odometry")
        kind = StereoOdometry if self._stereo else MonoOdometry
        begun = type(odometry) is kind and vars(odometry).get("_relate") is self._relate
        if not begun and odometry is not None:
            raise StateError(f"not the state of a {kind.__name__}")
        self._epoch, self.session, self.reason, self._pending = counted
        self._cameras, self._odometry = cameras, odometry


def stamped(located: OdometryResult) -> StampedPose | None:
    """The pose of a frame, with the stamp (ns) of its image; None where it is not known."""
    pose = located.update.pose
    if pose is None:
        return None
    return StampedPose(stamp_ns(located), pose.rotation, pose.position)
