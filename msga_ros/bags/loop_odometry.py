"""The odometry that goes with the images of a bag: recorded, or that of the images themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from msga_ros.bags.errors import BagError
from msga_ros.bags.reading import Bag
from msga_ros.bags.replay import RecordedSet, Replayer
from msga_ros.bags.resumable_odometry import ResumableOdometry
from msga_ros.bags.robot import static_transforms
from msga_ros.bags.state import StateError
from msga_ros.bags.types import ODOMETRY, OLD_TF_MESSAGE, TF_MESSAGE, typestore
from msga_ros.configuration.parameter import nearest
from msga_ros.geometry.camera_pose import Pose
from msga_ros.odometry.mount import Mount
from msga_ros.odometry.updates import OdometryStatus
from msga_ros.stream.errors import BadInput
from msga_ros.stream.loops.odometry_buffer import Missing, OdometryBuffer, OdometryPose
from msga_ros.stream.loops.odometry_messages import (
    ends_of_transform,
    pose_of_odometry,
    pose_of_transform,
)
from msga_ros.stream.loops.session import camera_pose
from msga_ros.stream.message_set import header_ns
from msga_ros.stream.message_types import Header
from msga_ros.stream.static_transforms import StaticTransforms

OWN, NONE, TF = "own", "none", "tf"
_DYNAMIC = "/tf"
_ODOM_FRAME = "odom"  # of REP 105
_MAX_GAP = 0.5  # s between two poses that are interpolated
_PATIENCE_NS = 2_000_000_000  # so much later than its image an odometry may have been recorded

Warn = Callable[[str], None]


@dataclass(frozen=True)
class OdometrySource:
    """`topic` of nav_msgs/Odometry or, with `ends` (parent and child frame), of transforms; or the
    word `own` or `none`."""

    topic: str
    ends: tuple[str, str] | None = None

    def __str__(self) -> str:
        return self.topic if self.ends is None else f"{self.topic} ({' to '.join(self.ends)})"


class CameraOdometry(Protocol):
    """Where the camera was, asked for in the order of the images. `session` counts its origins;
    `missing`: images without a pose, `guessed`: those whose motion was not measured."""

    session: int
    missing: int
    guessed: int

    def at(self, one: RecordedSet, header: Header) -> Pose | None:
        """Odom to camera at the image with this header; None where it is not known."""

    def pass_by(self, one: RecordedSet, header: Header, state: Mapping[str, Any] | None) -> None:
        """In the place of `at`, of a set that an interrupted run has had; `state`: the one that
        `load_state_dict` is given after the last of them."""

    def state_dict(self) -> dict[str, object] | None:
        """What the next pose depends on, beside the messages of the bag; plain values."""

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:
        """Go on from `state_dict()`. Raises `StateError`."""


class NoState(ABC):
    """An odometry of which all lies in the bag."""

    @abstractmethod
    def at(self, one: RecordedSet, header: Header) -> Pose | None:
        """See `CameraOdometry`."""

    def pass_by(self, one: RecordedSet, header: Header, state: Mapping[str, Any] | None) -> None:
        """See `CameraOdometry`."""
        self.at(one, header)

    def state_dict(self) -> dict[str, object] | None:
        """See `CameraOdometry`."""
        return None

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:  # noqa: B027 (nothing)
        """See `CameraOdometry`."""


def choose_odometry(bag: Bag, asked: str | None, metric: bool) -> OdometrySource:
    """What `asked` names: a topic, `tf:PARENT:CHILD`, `own`, `none`; None: what there is.

    That is the only nav_msgs/Odometry, else the only frame that /tf moves in `odom`, else our own
    where it is `metric` (stereo, depth). Raises `BagError`, which lists what the bag offers.
    """
    topics = sorted(topic for topic, kind in bag.types.items() if kind == ODOMETRY)
    listed = ", ".join(topics) or "none"
    if asked is None:
        if len(topics) > 1:
            raise BagError(f"{bag.path}: several odometries ({listed}): say which one is meant")
        if topics:
            return OdometrySource(topics[0])
        moved = [ends for ends in _moved(bag) if ends[0] == _ODOM_FRAME]
        if len(moved) > 1:
            found = ", ".join(f"tf:{':'.join(ends)}" for ends in moved)
            raise BagError(f"{bag.path}: several frames move in {_ODOM_FRAME} ({found}): say which")
        if moved:
            return OdometrySource(_DYNAMIC, moved[0])
        return OdometrySource(OWN if metric else NONE)
    if asked == OWN and not metric:
        raise BagError("the odometry of one camera's images has no length: none but stereo or rgbd")
    if asked in (OWN, NONE):
        return OdometrySource(asked)
    if asked.startswith(f"{TF}:"):
        parts = [part.lstrip("/") for part in asked.split(":")[1:]]
        if len(parts) != 2 or not all(parts):
            raise BagError(f"{asked}: a transform is given as tf:PARENT:CHILD")
        ends, known = (parts[0], parts[1]), _moved(bag)
        if ends not in known:
            names = [f"tf:{':'.join(one)}" for one in known]
            raise BagError(
                f"{bag.path}: {_DYNAMIC} has no {asked}{nearest(asked, names)}; "
                f"it has {', '.join(names) or 'nothing'}"
            )
        return OdometrySource(_DYNAMIC, ends)
    topic = "/" + asked.lstrip("/")
    if topic not in topics:
        raise BagError(
            f"{bag.path}: no odometry on {topic}{nearest(topic, topics)}; nav_msgs/Odometry: "
            f"{listed} (or tf:PARENT:CHILD, {OWN}, {NONE})"
        )
    return OdometrySource(topic)


class BagOdometry(NoState):
    """The odometry of a bag, between two messages interpolated. `mount`: place of the camera on
    what it moves; None: from /tf_static. `warn` hears of messages that cannot be."""

    session, guessed = 0, 0

    def __init__(self, bag: Bag, source: OdometrySource, mount: Mount | None, warn: Warn) -> None:
        self._source = f"{bag.path}: {source}"
        self._poses = _poses(bag, source, warn)
        self._next = next(self._poses, None)  # time in the bag (ns), pose
        self._buffer = OdometryBuffer(_MAX_GAP)
        self._mount = mount
        self._static = StaticTransforms() if mount is not None else static_transforms(bag, warn)
        self._epoch: int | None = None
        self.missing = 0

    def at(self, one: RecordedSet, header: Header) -> Pose | None:
        """See `CameraOdometry`. Raises `BagError`: the place of the camera is not known."""
        if one.epoch != self._epoch:
            self._epoch = one.epoch
            self._buffer.clear()
        stamp = header_ns(header)
        self._read_on(stamp, one.time_ns)
        pose = self._buffer.at(stamp)
        if isinstance(pose, Missing):
            self.missing += 1
            return None
        return camera_pose(pose, self._place(pose.child, header.frame_id))

    def _read_on(self, stamp: int, time_ns: int) -> None:
        """Take messages in until the odometry has come to `stamp`."""
        while self._next is not None:
            newest = self._buffer.newest
            recorded, pose = self._next
            if newest is not None and newest.stamp >= stamp:
                return
            if recorded > time_ns + _PATIENCE_NS:
                return
            if newest is not None and pose.stamp < newest.stamp and recorded > time_ns:
                return  # its clock went back: that of the images will, too
            if not self._buffer.add(pose) and newest is not None and pose.stamp < newest.stamp:
                self._buffer.clear()
                self._buffer.add(pose)
            self._next = next(self._poses, None)

    def _place(self, base: str, camera_frame: str) -> Mount:
        if self._mount is not None:
            return self._mount
        found, why = None, "the images have no frame_id"
        if not base:
            why = "the odometry does not say which frame it moves (child_frame_id)"
        elif camera_frame:
            found = self._static.lookup(base, camera_frame)
            why = self._static.explain(base, camera_frame)
        if found is None:
            raise BagError(
                f"{self._source}: the place of the camera on {base!r} is not known: {why}; "
                "give --mount"
            )
        return Mount(base, *found)


class OwnOdometry:
    """That of the images, in metres: stereo or with depth, as `msga bag` has it."""

    def __init__(self, replayer: Replayer, odometry: ResumableOdometry) -> None:
        self._replayer = replayer
        self._odometry = odometry
        self.session = self.missing = self.guessed = 0

    def at(self, one: RecordedSet, header: Header) -> Pose | None:
        """See `CameraOdometry`."""
        outcome = self._replayer.relate(one)
        result = None
        if self._replayer.views:
            result = self._odometry.update(self._replayer.views, outcome, one.epoch)
        if result is None or result.update.pose is None:
            self.missing += 1
            return None
        lost = (OdometryStatus.LOST, OdometryStatus.RESCALED)
        self.guessed += result.update.status in lost
        self.session = result.session
        return Pose(result.update.pose.rotation, result.update.pose.position).inverse()

    def pass_by(self, one: RecordedSet, header: Header, state: Mapping[str, Any] | None) -> None:
        """See `CameraOdometry`. The pairs that the replayer relates are of one set in mode stereo,
        and in mode rgbd the odometry relates what the replayer has not: nothing to take up."""

    def state_dict(self) -> dict[str, object]:
        """See `CameraOdometry`."""
        return {
            "odometry": np.frombuffer(self._odometry.state(), np.uint8),
            "counts": [self.session, self.missing, self.guessed],
        }

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:
        """See `CameraOdometry`."""
        if state is None:
            raise StateError("not the state of an odometry")
        self._odometry.restore(state["odometry"].tobytes())
        self.session, self.missing, self.guessed = state["counts"]


class NoOdometry(NoState):
    """Nobody knows."""

    session, missing, guessed = 0, 0, 0

    def at(self, one: RecordedSet, header: Header) -> Pose | None:
        """See `CameraOdometry`."""
        return None


def _poses(bag: Bag, source: OdometrySource, warn: Warn) -> Iterator[tuple[int, OdometryPose]]:
    said: set[str] = set()
    read: Callable[[Any], OdometryPose]
    for time_ns, message in _messages(bag, source.topic, warn):
        made, read = [message], pose_of_odometry
        if source.ends is not None:
            made = [one for one in message.transforms if ends_of_transform(one) == source.ends]
            read = pose_of_transform
        for one in made:
            try:
                yield time_ns, read(one)
            except BadInput as error:
                if error.text not in said and len(said) < 3:
                    warn(f"{source.topic}: {error.text}")
                said.add(error.text)


def _moved(bag: Bag) -> list[tuple[str, str]]:
    """Parents and children on /tf."""
    if bag.types.get(_DYNAMIC) not in (TF_MESSAGE, OLD_TF_MESSAGE):
        return []
    messages = _messages(bag, _DYNAMIC, lambda _: None)
    return sorted({ends_of_transform(one) for _, found in messages for one in found.transforms})


def _messages(bag: Bag, topic: str, warn: Warn) -> Iterator[tuple[int, Any]]:
    """Time in the bag (ns), and the message; what cannot be read is left out."""
    broken = False
    for raw in bag.messages([topic]):
        try:
            yield raw.time_ns, typestore().deserialize_cdr(raw.data, raw.kind)
        except Exception as error:  # whatever the bytes make of the decoder
            if not broken:
                warn(f"{topic}: a message that cannot be read ({type(error).__name__})")
            broken = True
