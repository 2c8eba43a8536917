"""One set of messages in, one outcome out: decoding, features, relation to the reference view."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.camera import Camera, CameraError, stereo_baseline
from msga_ros.odometry.tracks import Tracks
from msga_ros.stream.change_monitor import StreamChangeMonitor
from msga_ros.stream.cv_bridge_fallback import CvBridge, ImageBridge
from msga_ros.stream.errors import BadInput
from msga_ros.stream.image_conversion import image_from_message
from msga_ros.stream.message_set import MessageSet
from msga_ros.stream.reference_view import View
from msga_ros.stream.settings import Settings


class Pipeline(Protocol):
    """What the node needs of `msga_ros.two_view.pipeline.TwoViewPipeline`."""

    def extract(self, image: NDArray[np.uint8]) -> Any:
        """Features of one image."""

    def relate(self, features0: Any, features1: Any, camera0: Camera, camera1: Camera) -> Any:
        """The `TwoViewResult` of two views."""


@dataclass(frozen=True)
class Outcome:
    """What there is to publish about two views. `baseline`: metres, None where unknown.

    `track_ids` is empty where no tracks are kept: of a stereo pair the odometry keeps them.
    """

    reference: View
    current: View
    result: Any
    track_ids: NDArray[np.uint64]
    stereo: bool
    rectified: bool
    baseline: float | None


Complain = Callable[[str, str, str], None]


class Processor:
    """Runs in the worker thread alone. `complain(kind, topic, text)` reports what is wrong.

    `topics` gives the resolved topic of every input, for the messages. A set of a new epoch (reset,
    jump back in time) starts without a reference view.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        topics: Mapping[str, str],
        complain: Complain,
        bridge: ImageBridge | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._topics = topics
        self._complain = complain
        self._bridge = bridge if bridge is not None else CvBridge()
        self._reference: View | None = None
        self._epoch = 0
        self._tracks = Tracks()
        self._changes = StreamChangeMonitor(complain)

    def process(
        self, message_set: MessageSet, settings: Settings, timings: dict[str, float]
    ) -> tuple[Outcome | None, bool]:
        """The outcome of `message_set` (None: nothing to publish) and whether its input was usable.

        Adds the milliseconds of the stages to `timings`. Bad input is reported and leaves the
        reference view as it was.
        """
        if message_set.epoch != self._epoch:
            self._epoch = message_set.epoch
            self._reference = None
        try:
            if settings.stereo:
                return self._stereo(message_set, settings, timings), True
            return self._temporal(message_set, settings, timings), True
        except BadInput as error:
            self._complain(error.kind, error.topic, error.text)
            return None, False

    def _stereo(
        self, message_set: MessageSet, settings: Settings, timings: dict[str, float]
    ) -> Outcome:
        prepared = [
            self._prepare(message_set, side + "/", settings, timings) for side in ("left", "right")
        ]
        baseline = self._baseline(message_set)
        left, right = (self._view(*one, settings, timings) for one in prepared)
        result = self._relate(left, right, timings)
        none = np.empty(0, dtype=np.uint64)
        return Outcome(left, right, result, none, True, settings["rectified"], baseline)

    def _temporal(
        self, message_set: MessageSet, settings: Settings, timings: dict[str, float]
    ) -> Outcome | None:
        current = self._view(*self._prepare(message_set, "", settings, timings), settings, timings)
        reference = self._reference
        if reference is not None and reference.size != current.size:
            reference = self._reference = None  # the change was reported
        if reference is None:
            self._reference = current if settings.reference.usable(current) else None
            return None
        result = self._relate(reference, current, timings)
        ids: NDArray[np.uint64] = np.zeros(len(result.inlier), dtype=np.uint64)
        if result.indices0 is not None:  # else no feature could be followed
            ids = self._tracks.follow(reference, current, result)
        if settings.reference.replaces(current, result):
            self._reference = current
        return Outcome(reference, current, result, ids, False, settings["rectified"], None)

    def _prepare(
        self, message_set: MessageSet, prefix: str, settings: Settings, timings: dict[str, float]
    ) -> tuple[str, Any, NDArray[np.uint8], Camera]:
        """Decode and check the image `prefix`image and its camera_info."""
        name = prefix + "image"
        message, info = message_set.messages[name], message_set.messages[prefix + "camera_info"]
        started = time.perf_counter()
        try:
            camera = Camera.from_camera_info(info, settings["rectified"])
        except CameraError as error:
            topic = self._topics[prefix + "camera_info"]
            raise BadInput("camera_info", str(error), topic) from None
        try:
            image = image_from_message(message, self._bridge, settings["max_image_pixels"])
        except BadInput as error:
            raise error.on(self._topics[name]) from None
        height, width = image.shape[:2]
        # Binning may round the size either way.
        off = max(abs(camera.width - width), abs(camera.height - height))
        if camera.width and camera.height and off > 1:
            raise BadInput(
                "image_size",
                f"the image is {width}x{height}, its camera_info says "
                f"{camera.width}x{camera.height}",
                self._topics[name],
            )
        encoding = message.format if hasattr(message, "format") else message.encoding
        self._changes.observe(self._topics[name], (width, height), encoding, camera)
        _add(timings, "convert", started)
        return name, message.header, image, camera

    def _view(
        self,
        name: str,
        header: Any,
        image: NDArray[np.uint8],
        camera: Camera,
        settings: Settings,
        timings: dict[str, float],
    ) -> View:
        started = time.perf_counter()
        features = self._pipeline.extract(image)
        _add(timings, "extract", started)
        view = View(header, image, camera, features)
        if not settings.reference.usable(view):
            text = f"{len(features)} features in the image (black, overexposed or without texture?)"
            self._complain("no_features", self._topics[name], text)
        return view

    def _relate(self, view0: View, view1: View, timings: dict[str, float]) -> Any:
        result = self._pipeline.relate(view0.features, view1.features, view0.camera, view1.camera)
        for stage, value in result.timings.items():
            if stage not in ("extract", "total"):
                timings[stage] = timings.get(stage, 0.0) + value
        return result

    def _baseline(self, message_set: MessageSet) -> float | None:
        try:
            baseline = stereo_baseline(message_set.messages["right/camera_info"])
        except CameraError as error:
            topic = self._topics["right/camera_info"]
            raise BadInput("camera_info", str(error), topic) from None
        return baseline if baseline > 0 else None


def _add(timings: dict[str, float], stage: str, started: float) -> None:
    timings[stage] = timings.get(stage, 0.0) + 1e3 * (time.perf_counter() - started)
