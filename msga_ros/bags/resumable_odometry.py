"""The odometry beside a run: a pose for every set of messages, and its state to go on from.

The state holds feature descriptors and is large, so it does not go into the journal with every set:
it is kept as one file, which holds data alone (see `state`).
"""

from __future__ import annotations

from typing import Any

from msga_ros.bags.motion import StampedPose
from msga_ros.bags.state import StateError, from_bytes, to_bytes
from msga_ros.bags.types import typestore
from msga_ros.odometry.mount import Mount
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.stereo import StereoOdometry
from msga_ros.stream.message_set import header_ns, stamp_ns
from msga_ros.stream.stream_odometry import OdometryResult, StreamOdometry

_COUNTED = {
    "mode": str, "epoch": int, "session": int, "reason": str, "pending": str, "headers": dict,
}  # fmt: skip


class ResumableOdometry(StreamOdometry):
    """The node's odometry, whose state can be written down and taken up again."""

    def state(self) -> bytes:
        """Everything that the next update depends on."""
        odometry = self._odometry
        return to_bytes(
            {
                "mode": self._mode,
                "epoch": self._epoch,
                "session": self.session,
                "reason": self.reason,
                "pending": self._pending,
                "headers": {
                    stamp: (header_ns(one), str(one.frame_id))
                    for stamp, one in self._headers.items()
                },
                "cameras": self._cameras,
                "rig": odometry.rig if isinstance(odometry, StereoOdometry) else None,
                "odometry": None if odometry is None else odometry.state_dict(),
            }
        )

    def restore(self, state: bytes) -> None:
        """Go on from `state`. Raises `StateError` for anything else."""
        found = from_bytes(state)
        if type(found) is not dict or {key: type(found.get(key)) for key in _COUNTED} != _COUNTED:
            raise StateError("not the state of an odometry")
        if found["mode"] != self._mode:
            raise StateError("the state of another mode")
        try:
            odometry = None
            if found["odometry"] is not None:
                if (type(found["rig"]) is Rig) != (self._mode == "stereo"):
                    raise StateError("a state without its rig")
                odometry = self._made(found["rig"])
                odometry.load_state_dict(found["odometry"])
            cameras = found["cameras"]
            headers = {stamp: _header(*one) for stamp, one in found["headers"].items()}
        except (KeyError, TypeError) as error:
            raise StateError(f"not the state of an odometry: {error!r}") from error
        self._epoch, self.session = found["epoch"], found["session"]
        self.reason, self._pending = found["reason"], found["pending"]
        self._cameras, self._odometry, self._headers = cameras, odometry, headers


def _header(stamp: int, frame_id: str) -> Any:
    """`std_msgs/Header` as a `rosbags` message."""
    types = typestore().types
    seconds, nanoseconds = divmod(stamp, 1_000_000_000)
    time = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)


def stamped(result: OdometryResult, mount: Mount | None = None) -> StampedPose | None:
    """The pose of a frame, with the stamp (ns) of its image; None where it is not known.

    Of the camera, or with a `mount` of what it is mounted on.
    """
    pose = result.update.pose
    if pose is None:
        return None
    if mount is not None:
        pose = mount.of_body(pose)
    return StampedPose(stamp_ns(result), pose.rotation, pose.position)
