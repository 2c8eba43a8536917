"""Two views of a request: its messages to an `Outcome`, step by step.

Between two steps the worker takes a frame of the live stream, so that none waits for more than one
step. Nothing here remembers anything: reference view, tracks and odometry of the stream are as
before.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msga_ros.frontend.base import EVIDENCE, Features, evidence_columns
from msga_ros.frontend.from_arrays import features_from_arrays
from msga_ros.geometry.camera import Camera, CameraError, CameraInfo
from msga_ros.odometry.observations import Rig
from msga_ros.stream.camera_info import rig_from_camera_info
from msga_ros.stream.cv_bridge_fallback import ImageBridge
from msga_ros.stream.errors import BadInput
from msga_ros.stream.message_types import CompressedImage, Image
from msga_ros.stream.processor import Outcome
from msga_ros.stream.reference_view import View
from msga_ros.stream.request_types import (
    CameraImage,
    FeaturePair,
    FeaturesMessage,
    ImagePair,
    MatchesMessage,
)
from msga_ros.stream.requests import Steps
from msga_ros.stream.settings import Settings
from msga_ros.stream.view_input import camera_from_message, image_and_camera
from msga_ros.two_view.result import TwoViewResult

_SIDES = ("reference", "current")
_NO_IDS = np.empty(0, np.uint64)
_NO_IMAGE = np.empty((0, 0), np.uint8)


class Pipeline(Protocol):
    """What is used of `msga_ros.two_view.pipeline.TwoViewPipeline`."""

    def extract(self, image: NDArray[np.uint8]) -> Features:
        """Features of one image."""

    def relate(
        self, features0: Features, features1: Features, camera0: Camera, camera1: Camera
    ) -> TwoViewResult:
        """The `TwoViewResult` of two views."""

    def relate_features(
        self, features0: Features, features1: Features, camera0: Camera, camera1: Camera
    ) -> TwoViewResult:
        """The same of features of another front end."""

    def relate_matches(
        self,
        keypoints0: ArrayLike,
        keypoints1: ArrayLike,
        camera0: Camera,
        camera1: Camera,
        evidence: ArrayLike | None = None,
        confidence: ArrayLike | None = None,
    ) -> TwoViewResult:
        """The same of finished matches."""


class Relations:
    """The work of the three kinds of request, in the worker's thread. All raise `BadInput`,
    `ArraysError`, `CameraError` or `FrontendError` for what cannot be worked."""

    def __init__(self, pipeline: Pipeline, bridge: ImageBridge) -> None:
        self._pipeline = pipeline
        self._bridge = bridge

    def images(self, pair: ImagePair, settings: Settings) -> Steps:
        """An `ImagePair`: both are decoded before the first is extracted."""
        rig = _rig(pair.reference.camera_info, pair.current.camera_info, pair)
        decoded = []
        for side in _SIDES:
            view = getattr(pair, side)
            message = the_image(view, side)
            image, camera = image_and_camera(
                message,
                view.camera_info,
                pair.rectified,
                settings["max_image_pixels"],
                self._bridge,
                f"{side} image",
                side,
            )
            decoded.append((message.header, image, camera))
            yield
        views = []
        for header, image, camera in decoded:
            views.append(View(header, image, camera, self._pipeline.extract(image)))
            yield
        reference, current = views
        result = self._pipeline.relate(
            reference.features, current.features, reference.camera, current.camera
        )
        return _outcome(reference, current, result, _NO_IDS, pair, rig)

    def features(self, pair: FeaturePair, settings: Settings) -> Steps:
        """A `FeaturePair`."""
        rig = _rig(pair.reference.camera_info, pair.current.camera_info, pair)
        cameras = [
            camera_from_message(getattr(pair, side).camera_info, pair.rectified, side)
            for side in _SIDES
        ]
        reference, current = _feature_views(pair, cameras, settings["requests.max_points"])
        yield
        result = self._pipeline.relate_features(reference.features, current.features, *cameras)
        return _outcome(reference, current, result, _NO_IDS, pair, rig)

    def matches(self, matches: MatchesMessage, settings: Settings) -> Steps:
        """A message `Matches`."""
        rig = _rig(matches.reference_camera_info, matches.camera_info, matches)
        most = settings["requests.max_points"]
        points0 = _points(matches.reference_points, "reference_points", most)
        points1 = _points(matches.points, "points", most)
        count = len(points0)
        columns = [_column(matches, name, count, "evidence") for name in EVIDENCE]
        evidence = None
        if any(column is not None for column in columns):
            evidence = evidence_columns(count, *columns)
        confidence = _column(matches, "confidence", count, "confidence")
        ids = np.asarray(matches.track_ids, np.uint64)
        if len(ids) not in (0, count):
            raise BadInput("track_ids", f"{len(ids)} track_ids for {count} matches")
        views = []
        for header, info, side in (
            (matches.reference_header, matches.reference_camera_info, "reference"),
            (matches.header, matches.camera_info, "current"),
        ):
            camera = camera_from_message(info, matches.rectified, side)
            none = Features.without_keypoints((camera.width, camera.height), None)
            views.append(View(header, _NO_IMAGE, camera, none))
        yield
        reference, current = views
        result = self._pipeline.relate_matches(
            points0, points1, reference.camera, current.camera, evidence, confidence
        )
        if len(ids):
            ids = np.where(result.inlier, ids, np.uint64(0))
        return _outcome(reference, current, result, ids, matches, rig)


def _rig(
    reference: CameraInfo, current: CameraInfo, pair: ImagePair | FeaturePair | MatchesMessage
) -> Rig | None:
    """The rig that the two `camera_info` tell of; None where no rig is meant."""
    if not pair.stereo:
        return None
    try:
        rig = rig_from_camera_info(reference, current, pair.rectified)
    except CameraError as error:
        raise BadInput("camera_info", str(error)) from None
    if rig is None:
        raise BadInput("camera_info", "P has no baseline, but `stereo` says that there is one")
    return rig


def _outcome(
    reference: View,
    current: View,
    result: TwoViewResult,
    ids: NDArray[np.uint64],
    pair: ImagePair | FeaturePair | MatchesMessage,
    rig: Rig | None,
) -> Outcome:
    baseline = None if rig is None else rig.baseline
    return Outcome(reference, current, result, ids, pair.stereo, pair.rectified, baseline, rig)


def the_image(view: CameraImage, side: str) -> Image | CompressedImage:
    """The one of the two image fields that holds an image. Raises `BadInput`."""
    raw, compressed = len(view.image.data) > 0, len(view.compressed_image.data) > 0
    if raw and compressed:
        raise BadInput("two_images", "both `image` and `compressed_image` hold data", side)
    if not (raw or compressed):
        raise BadInput("no_image", "neither `image` nor `compressed_image` holds data", side)
    return view.image if raw else view.compressed_image


def _feature_views(pair: FeaturePair, cameras: list[Camera], most: int) -> list[View]:
    messages = [getattr(pair, side) for side in _SIDES]
    points = [
        _points(one.keypoints, f"{side} keypoints", most)
        for one, side in zip(messages, _SIDES, strict=True)
    ]
    tables = [
        _descriptors(one, len(found), side)
        for one, found, side in zip(messages, points, _SIDES, strict=True)
    ]
    # An image without keypoints has descriptors of no kind: those of the other view will do.
    kind = next((table for table in tables if len(table)), tables[0])
    views = []
    for message, found, table, camera in zip(messages, points, tables, cameras, strict=True):
        known = {
            name: _column(message, name, len(found), "points")
            for name in ("scores", "angles", "sizes")
        }
        features = features_from_arrays(
            found, table if len(table) else kind[:0], (camera.width, camera.height), **known
        )
        views.append(View(message.header, _NO_IMAGE, camera, features))
    return views


def _points(values: ArrayLike, name: str, most: int) -> NDArray[np.float32]:
    """`(N, 2)` of u0, v0, u1, v1, ..."""
    flat = np.asarray(values, np.float32)
    if len(flat) % 2:
        raise BadInput("points", f"{name} have an odd number of entries ({len(flat)})")
    if len(flat) // 2 > most:
        raise BadInput(
            "oversized", f"{len(flat) // 2} {name}, more than requests.max_points ({most})"
        )
    return flat.reshape(-1, 2)


def _descriptors(
    message: FeaturesMessage, count: int, side: str
) -> NDArray[np.float32] | NDArray[np.uint8]:
    """`(count, D)` of whichever field holds them."""
    real = np.asarray(message.descriptors, np.float32)
    binary = np.asarray(message.binary_descriptors, np.uint8)
    if len(real) and len(binary):
        raise BadInput("descriptors", "both kinds of descriptors are given", side)
    given = binary if len(binary) else real
    if count == 0 and not len(given):
        return np.empty((0, 1), np.float32)
    if count == 0 or not len(given) or len(given) % count:
        raise BadInput(
            "descriptors", f"{len(given)} entries of descriptors for {count} keypoints", side
        )
    return given.reshape(count, -1)


def _column(
    message: FeaturesMessage | MatchesMessage, name: str, count: int, kind: str
) -> NDArray[np.float32] | None:
    """The values of an optional field; None where it is empty."""
    values = np.asarray(getattr(message, name), np.float32)
    if not len(values):
        return None
    if len(values) != count:
        raise BadInput(kind, f"{len(values)} values of {name} for {count} points")
    return values
