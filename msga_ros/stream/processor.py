"""One set of messages in, one outcome out: decoding, features, relation to the reference view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import Features
from msga_ros.frontend.images import extraction_size, reduced_text
from msga_ros.geometry.camera import Camera, CameraInfo
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.poses import UncertainPose
from msga_ros.odometry.tracks import ids_of_features
from msga_ros.stream.calibration_check import SaidOnce, camera_doubts
from msga_ros.stream.change_monitor import StreamChangeMonitor
from msga_ros.stream.cv_bridge_fallback import CvBridge, ImageBridge
from msga_ros.stream.depth_input import ColourImage, DepthInput
from msga_ros.stream.depth_motion import in_metres
from msga_ros.stream.errors import BadInput
from msga_ros.stream.message_set import DEPTH_INPUT, MessageSet
from msga_ros.stream.message_types import Header
from msga_ros.stream.reference_view import View
from msga_ros.stream.rig_input import RigInput, measured_translation, read_rig
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
        self,
        features0: Features,
        features1: Features,
        camera0: Camera,
        camera1: Camera,
        *,
        ask_second: bool = True,
    ) -> TwoViewResult:
        """The motion between two views, and their matches; not `ask_second`: of the features."""


@dataclass(frozen=True)
class Outcome:
    """What there is to publish about two views. `baseline`: metres, None where unknown.

    `track_ids`: see `track_ids.py`; until then zeros, and empty of a stereo pair. Length 1 of the
    result's translation is `baseline` metres.
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
    metric: UncertainPose | None = None  # mode rgbd: of the current view in the reference, m


@dataclass(frozen=True)
class Processed:
    """What became of a set: `outcome` is None where there is nothing to publish.

    `usable`: its input was; `milliseconds` of the stages that it went through. `view`: of the left,
    or only, camera; None where it was not usable.
    """

    outcome: Outcome | None
    usable: bool
    milliseconds: Mapping[str, float]
    view: View | None = None


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
        self._rig_input = RigInput(self._doubts)
        self._depth_input = DepthInput(complain)

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
        view = self._latest if usable else None
        return Processed(outcome, usable, self._times.milliseconds, view)

    def _stereo(self, message_set: MessageSet, settings: Settings) -> Outcome:
        prepared = [self._prepare(message_set, side, settings) for side in ("left/", "right/")]
        infos = self._camera_info(message_set, "left/"), self._camera_info(message_set, "right/")
        rectified = bool(settings["rectified"])
        rig = read_rig(*infos, rectified, self._topics["right/camera_info"])
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
            threshold = settings["pose.threshold_px"]
            measured = measured_translation(left, right, result, rig, threshold)
            problem = self._rig_input.problem(*infos, rig, rectified, measured)
        return Outcome(left, right, result, ids, True, rectified, baseline, rig, problem)

    def _temporal(self, message_set: MessageSet, settings: Settings) -> Outcome | None:
        current = self._only_view(message_set, settings)
        reference = self._reference
        if reference is not None and reference.size != current.size:
            reference = self._reference = None  # the change was reported
        if reference is None:
            self._reference = current if settings.reference.usable(current) else None
            return None
        result = self._relate(reference, current)
        with self._times.stage("pose"):
            result, metric = in_metres(result, reference, current, settings.odometry)
        ids = ids_of_features(current.features, result.indices1, result.inlier)
        if ids is None:
            ids = np.zeros(len(result.inlier), dtype=np.uint64)
        if settings.reference.replaces(current, result):
            self._reference = current
        length = 0.0 if metric is None else float(np.linalg.norm(metric.position))
        return Outcome(
            reference,
            current,
            result,
            ids,
            False,
            settings["rectified"],
            length or None,
            metric=metric,
        )

    def _only_view(self, message_set: MessageSet, settings: Settings) -> View:
        """The view of the only camera, with its depth image in mode rgbd."""
        prepared = self._prepare(message_set, "", settings)
        depth = None
        if settings.rgbd:
            height, width = prepared.image.shape[:2]
            colour = ColourImage(self._topics["image"], prepared.header, (width, height))
            message, topic = message_set.image("depth/"), self._topics[DEPTH_INPUT]
            with self._times.stage("convert"):
                depth = self._depth_input.read(message, topic, colour, settings)
        view = self._next_view(prepared, settings)
        view.depth = depth
        return view

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
