"""One set of messages in, one outcome out: decoding, features, relation to the reference view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import Features
from msga_ros.frontend.images import extraction_size, reduced_text
from msga_ros.geometry.camera import Camera, CameraError, CameraInfo
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.rig import told_translation
from msga_ros.odometry.tracks import ids_of_features
from msga_ros.stream.calibration_check import (
    DirectionCheck,
    SaidOnce,
    camera_doubts,
    rig_doubts,
)
from msga_ros.stream.camera_info import rig_from_camera_info
from msga_ros.stream.change_monitor import StreamChangeMonitor
from msga_ros.stream.cv_bridge_fallback import CvBridge, ImageBridge
from msga_ros.stream.errors import BadInput
from msga_ros.stream.message_set import MessageSet
from msga_ros.stream.message_types import Header
from msga_ros.stream.reference_view import View
from msga_ros.stream.settings import Settings
from msga_ros.stream.stage_times import StageTimes
from msga_ros.stream.view_input import image_and_camera
from msga_ros.two_view.result import TwoViewResult


class Pipeline(Protocol):
    """What the node needs of `msga_ros.two_view.pipeline.TwoViewPipeline`."""

    def follow(self, previous: Features | None, image: NDArray[np.uint8]) -> Features:
        """Features of an image; `previous`: those of the one before it, None for the first."""

    def beside(self, left: Features, image: NDArray[np.uint8]) -> Features:
        """Features of the right image of a pair whose left one has the features `left`."""

    def relate(
        self, features0: Features, features1: Features, camera0: Camera, camera1: Camera
    ) -> TwoViewResult:
        """The motion between two views, and their matches."""


@dataclass(frozen=True)
class Outcome:
    """What there is to publish about two views. `baseline`: metres, None where unknown.

    `track_ids`: see `track_ids.py`; until then zeros, and empty of a stereo pair.
    """

    reference: View
    current: View
    result: TwoViewResult
    track_ids: NDArray[np.uint64]
    stereo: bool
    rectified: bool
    baseline: float | None
    rig: Rig | None = None  # of a stereo pair whose camera_info has a baseline
    rig_problem: str = ""  # what is implausible about it, or contradicts the images


@dataclass(frozen=True)
class Processed:
    """What became of a set: `outcome` is None where there is nothing to publish.

    `usable`: its input was; `milliseconds` of the stages that it went through.
    """

    outcome: Outcome | None
    usable: bool
    milliseconds: Mapping[str, float]


@dataclass(frozen=True)
class PreparedImage:
    """An image that is decoded and checked. `name`: of its input; `image`: (H, W[, 3]) uint8."""

    name: str
    header: Header
    image: NDArray[np.uint8]
    camera: Camera


Complain = Callable[[str, str, str], None]
Extract = Callable[[NDArray[np.uint8]], Features]


class Processor:
    """Runs in the worker thread alone. `complain(kind, topic, text)` reports what is wrong.

    `topics` gives the resolved topic of every input, for the messages; `calibrations`, by the name
    of a camera_info input, what takes the place of its messages. A set of a new epoch (reset, jump
    back in time) starts without a reference view.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        topics: Mapping[str, str],
        complain: Complain,
        bridge: ImageBridge | None = None,
        calibrations: Mapping[str, CameraInfo] | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._topics = topics
        self._complain = complain
        self._calibrations = calibrations or {}
        self._bridge = bridge if bridge is not None else CvBridge()
        self._reference: View | None = None
        self._latest: View | None = None  # of the left, or only, camera
        self._epoch = 0
        self._times = StageTimes()
        self._changes = StreamChangeMonitor(complain)
        self._said: set[tuple[str, tuple[int, int], tuple[int, int]]] = set()
        self._doubts = SaidOnce(complain)
        self._direction = DirectionCheck()
        self._contradiction = ""

    def process(self, message_set: MessageSet, settings: Settings) -> Processed:
        """Relate the views of `message_set`.

        Bad input is reported and leaves the reference view as it was.
        """
        if message_set.epoch != self._epoch:
            self._epoch = message_set.epoch
            self._reference = self._latest = None
        self._times = StageTimes()
        outcome, usable = None, True
        try:
            if settings.stereo:
                outcome = self._stereo(message_set, settings)
            else:
                outcome = self._temporal(message_set, settings)
        except BadInput as error:
            usable = False
            self._complain(error.kind, error.topic, error.text)
        return Processed(outcome, usable, self._times.milliseconds)

    def _stereo(self, message_set: MessageSet, settings: Settings) -> Outcome:
        prepared = [self._prepare(message_set, side, settings) for side in ("left/", "right/")]
        rig = self._rig(message_set, settings)
        baseline = None if rig is None else rig.baseline
        left = self._next_view(prepared[0], settings)
        right = self._view(
            prepared[1], settings, lambda image: self._pipeline.beside(left.features, image)
        )
        result = self._relate(left, right)
        ids = ids_of_features(left.features, result.indices0)
        if ids is None:
            ids = np.empty(0, dtype=np.uint64)
        problem = ""
        if rig is not None:
            measured = _measured_translation(left, right, result, rig, settings)
            problem = self._rig_problem(message_set, settings, rig, measured)
        return Outcome(
            left, right, result, ids, True, settings["rectified"], baseline, rig, problem
        )

    def _temporal(self, message_set: MessageSet, settings: Settings) -> Outcome | None:
        current = self._next_view(self._prepare(message_set, "", settings), settings)
        reference = self._reference
        if reference is not None and reference.size != current.size:
            reference = self._reference = None  # the change was reported
        if reference is None:
            self._reference = current if settings.reference.usable(current) else None
            return None
        result = self._relate(reference, current)
        ids = ids_of_features(current.features, result.indices1, result.inlier)
        if ids is None:
            ids = np.zeros(len(result.inlier), dtype=np.uint64)
        if settings.reference.replaces(current, result):
            self._reference = current
        return Outcome(reference, current, result, ids, False, settings["rectified"], None)

    def _prepare(self, message_set: MessageSet, prefix: str, settings: Settings) -> PreparedImage:
        """Decode and check the image `prefix`image and its camera_info."""
        with self._times.stage("convert"):
            return self._prepared(message_set, prefix, settings)

    def _prepared(self, message_set: MessageSet, prefix: str, settings: Settings) -> PreparedImage:
        name = prefix + "image"
        message, info = message_set.image(prefix), self._camera_info(message_set, prefix)
        info_topic = self._topics[prefix + "camera_info"]
        image, camera = image_and_camera(
            message,
            info,
            settings["rectified"],
            settings["max_image_pixels"],
            self._bridge,
            self._topics[name],
            info_topic,
        )
        height, width = image.shape[:2]
        self._doubts.say(info_topic, camera_doubts(info, camera, settings["rectified"]))
        encoding = message.format if hasattr(message, "format") else message.encoding
        self._changes.observe(self._topics[name], (width, height), encoding, camera)
        return PreparedImage(name, message.header, image, camera)

    def _next_view(self, prepared: PreparedImage, settings: Settings) -> View:
        """The view of the left, or only, camera that comes after the latest one."""
        previous = None if self._latest is None else self._latest.features
        self._latest = self._view(
            prepared, settings, lambda image: self._pipeline.follow(previous, image)
        )
        return self._latest

    def _view(
        self,
        prepared: PreparedImage,
        settings: Settings,
        extract: Extract,
    ) -> View:
        self._say_reduced(prepared, settings)
        with self._times.stage("extract"):
            features = extract(prepared.image)
        view = View(prepared.header, prepared.image, prepared.camera, features)
        if not settings.reference.usable(view):
            text = f"{len(features)} features in the image (black, overexposed or without texture?)"
            self._complain("no_features", self._topics[prepared.name], text)
        return view

    def _say_reduced(self, prepared: PreparedImage, settings: Settings) -> None:
        """Once for each topic and size."""
        limits = settings.pipeline.frontend
        height, width = prepared.image.shape[:2]
        received = (width, height)
        size = extraction_size(received, limits.max_image_size, limits.max_pixels)
        found = (prepared.name, received, size)
        if size != extraction_size(received, limits.max_image_size, 0) and found not in self._said:
            self._said.add(found)
            self._complain("image_reduced", self._topics[prepared.name], reduced_text(*found[1:]))

    def _relate(self, view0: View, view1: View) -> TwoViewResult:
        result = self._pipeline.relate(view0.features, view1.features, view0.camera, view1.camera)
        for stage, value in result.timings.items():
            if stage not in ("extract", "total"):
                self._times.add(stage, value)
        return result

    def _camera_info(self, message_set: MessageSet, prefix: str) -> CameraInfo:
        given = self._calibrations.get(prefix + "camera_info")
        return message_set.camera_info(prefix) if given is None else given

    def _rig_problem(
        self,
        message_set: MessageSet,
        settings: Settings,
        rig: Rig,
        measured: NDArray[np.float64] | None,
    ) -> str:
        """What contradicts the calibration of the pair; said once, and as long as it lasts.

        `measured`: translation (3,) of the pair; None where it tells none.
        """
        left, right = (self._camera_info(message_set, side) for side in ("left/", "right/"))
        doubts = rig_doubts(left, right, rig, settings["rectified"])
        if measured is not None:
            self._contradiction = self._direction.update(rig, measured)
        if self._contradiction:
            doubts.append(self._contradiction)
        self._doubts.say("stereo rig", doubts)
        return "; ".join(doubts)

    def _rig(self, message_set: MessageSet, settings: Settings) -> Rig | None:
        left, right = (self._camera_info(message_set, side) for side in ("left/", "right/"))
        try:
            return rig_from_camera_info(left, right, settings["rectified"])
        except CameraError as error:
            topic = self._topics["right/camera_info"]
            raise BadInput("camera_info", str(error), topic) from None


def _measured_translation(
    left: View, right: View, result: TwoViewResult, rig: Rig, settings: Settings
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
    threshold = settings["pose.threshold_px"] / left.camera.mean_focal
    return told_translation(seen[known], matched[known], rig, threshold)
