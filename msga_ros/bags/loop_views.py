"""The views of a bag for a map of loops: its images with calibration and odometry, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from msga_ros.bags.complaints import Complaints, Warn
from msga_ros.bags.errors import BagError
from msga_ros.bags.loop_odometry import (
    NONE,
    OWN,
    BagOdometry,
    CameraOdometry,
    NoOdometry,
    NoState,
    OdometrySource,
    OwnOdometry,
    choose_odometry,
)
from msga_ros.bags.reading import Bag
from msga_ros.bags.replay import RecordedSet, Replayer, message_sets
from msga_ros.bags.resumable_odometry import ResumableOdometry
from msga_ros.bags.summary import Tally
from msga_ros.bags.topics import Topics, choose_topics
from msga_ros.calibration.base import CalibrationError
from msga_ros.geometry.camera_pose import Pose
from msga_ros.loops.reports import View
from msga_ros.odometry.mount import Mount
from msga_ros.stream.calibration_files import CalibrationFiles
from msga_ros.stream.cv_bridge_fallback import CvBridge
from msga_ros.stream.errors import BadInput
from msga_ros.stream.loops.views import ViewReader
from msga_ros.stream.message_set import header_ns
from msga_ros.stream.message_types import Header
from msga_ros.stream.processor import Pipeline
from msga_ros.stream.settings import Settings


@dataclass(frozen=True)
class Request:
    """`topics`: by input name, for those that are not the node's own names. `odometry`: see
    `choose_odometry`. `mount`: place of the camera on what the odometry moves; None: /tf_static.
    `every`: every so many-th of the first `at_most` sets (0: all) is looked at. `poses`: a
    trajectory that takes the place of the bag's odometry, stamp (s) to odom-to-camera."""

    source: Path
    settings: Settings
    topics: Mapping[str, str] = field(default_factory=dict)
    odometry: str | None = None
    mount: Mount | None = None
    every: int = 1
    at_most: int = 0
    poses: Callable[[float], Pose | None] | None = None


class BagViews:
    """An opened bag. Raises `BagError`, which names the topics that there are."""

    def __init__(self, request: Request, warn: Warn) -> None:
        self._request = request
        self._warn = warn
        self._bag = Bag(request.source, warn)
        settings = request.settings
        try:
            self._calibration = CalibrationFiles.read(settings)
        except CalibrationError as error:
            raise BagError(str(error)) from None
        self._topics = choose_topics(
            settings["mode"], request.topics, self._bag.types, self._calibration.sources
        )
        self._complaints = Complaints(warn)
        self.source = OdometrySource("the given trajectory")
        if request.poses is None:
            self.source = choose_odometry(self._bag, request.odometry, settings.metric)
        self.tally = Tally()
        self._odometry: CameraOdometry | None = None

    def state(self) -> dict[str, object] | None:
        """What the odometry of the views after the last one depends on, but for their messages;
        None: nothing, or there has been no view yet."""
        return None if self._odometry is None else self._odometry.state_dict()

    def views(
        self, pipeline: Pipeline, done: int = 0, state: Mapping[str, Any] | None = None
    ) -> Iterator[View]:
        """Once; `pipeline`: for an odometry of our own. Those after the first `done`, which an
        interrupted run has had, with the `state` that there was after them.

        Raises `BagError` where there are none, `StateError` for what is no state.
        """
        request, odometry = self._request, self._opened_odometry(pipeline)
        self._odometry = odometry
        side = "left/" if request.settings.stereo else ""
        reader = ViewReader(
            self._topics.sources, self._complaints, CvBridge(), self._calibration.infos, side
        )
        made = 0
        sets = message_sets(self._bag, self._topics, request.settings, self.tally, self._warn)
        for one in sets:
            if request.at_most and one.number >= request.at_most:
                break
            if one.number % request.every:
                continue
            try:
                header = one.messages[f"{side}image"].header
                if made < done:
                    odometry.pass_by(one, header, state)
                    reader.read(one.messages, None, request.settings)
                    made += 1
                    if made == done:
                        odometry.load_state_dict(state)
                    continue
                view = reader.read(one.messages, odometry.at(one, header), request.settings)
            except BadInput as error:
                self._complaints(error.kind, error.topic, error.text)
                continue
            made += 1
            yield replace(view, session=odometry.session)
        if not made:
            raise BagError(f"{request.source}: no view: {_why(self._topics, self.tally)}")
        if odometry.missing:
            self._warn(f"{odometry.missing} of {made} images have no odometry ({self.source})")
        if odometry.guessed:
            self._warn(f"the motion of {odometry.guessed} of {made} images is guessed")

    def _opened_odometry(self, pipeline: Pipeline) -> CameraOdometry:
        request, settings = self._request, self._request.settings
        if request.poses is not None:
            return _Given(request.poses)
        if self.source.topic == NONE:
            return NoOdometry()
        if self.source.topic != OWN:
            return BagOdometry(self._bag, self.source, request.mount, self._warn)
        infos = self._calibration.infos
        replayer = Replayer(pipeline, self._topics, settings, self._complaints, infos)
        odometry = ResumableOdometry(pipeline, settings["mode"], settings.odometry)
        return OwnOdometry(replayer, odometry)


class _Given(NoState):
    """A trajectory from elsewhere."""

    session, guessed = 0, 0

    def __init__(self, poses: Callable[[float], Pose | None]) -> None:
        self._poses = poses
        self.missing = 0

    def at(self, one: RecordedSet, header: Header) -> Pose | None:
        """See `CameraOdometry`."""
        pose = self._poses(header_ns(header) * 1e-9)
        self.missing += pose is None
        return pose


def _why(topics: Topics, tally: Tally) -> str:
    """What came of the messages."""
    received = [f"{topic}: {tally.received[topic]} messages" for topic in topics.by_topic]
    refused = [
        f"{count} of {topic} refused ({reason})"
        for (topic, reason), count in sorted(tally.refused.items())
    ]
    broken = [f"{count} of {topic} not readable" for topic, count in tally.unreadable.items()]
    return "; ".join([*received, *refused, *broken, f"{tally.sets} complete sets"])
