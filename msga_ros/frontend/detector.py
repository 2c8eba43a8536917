"""A front end around a detector of OpenCV, or one with the same call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from msga_ros.frontend.base import Descriptors, Features, FrontendError
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.images import ScaledImage, prepare

Locate = Callable[[NDArray[np.float64], NDArray[np.int64], tuple[int, int]], NDArray[np.float64]]
Describe = Callable[[Descriptors], Descriptors]


class Detector(Protocol):
    """What is used of a `cv2.Feature2D`."""

    def detectAndCompute(  # OpenCV's name
        self, image: NDArray[np.uint8], mask: None
    ) -> tuple[Sequence[cv2.KeyPoint], cv2.typing.MatLike | None]: ...


def features_of(
    scaled: ScaledImage,
    points: NDArray[np.floating],
    scores: NDArray[np.float32],
    descriptors: Descriptors,
    angles: NDArray[np.floating],
    diameters: NDArray[np.floating],
) -> Features:
    """`Features`, where `points` (N, 2) and `diameters` (N,) are in pixels of `scaled`."""
    return Features(
        scaled.to_received(points).astype(np.float32),
        scores,
        descriptors,
        scaled.received_size,
        angles.astype(np.float32),
        (diameters * scaled.enlargement).astype(np.float32),
    )


def opencv_failed(name: str, grey: NDArray[np.uint8], error: cv2.error) -> FrontendError:
    """What the front end `name` says where OpenCV raised `error` on the image `grey`."""
    height, width = grey.shape
    return FrontendError(f"{name} failed on a {width} x {height} image: {error}")


def no_features(scaled: ScaledImage, descriptors: Descriptors) -> Features:
    """Of an image without any; `descriptors` (0, D) are of the kind that others have."""
    none = np.empty(0, np.float32)
    return features_of(scaled, np.empty((0, 2)), none, descriptors, none, none)


class DetectorFrontend:
    """Detects and describes with OpenCV, keeps the strongest keypoints.

    `detector(max_keypoints)` makes the detector; `width` and `kind` are the length and the
    type of its final descriptors. `locate(points (N, 2), octaves (N,), (width, height))` undoes a
    bias of the detector's coordinates. `describe` maps the raw descriptors to those that are
    compared.
    """

    def __init__(
        self,
        name: str,
        config: FrontendConfig,
        detector: Callable[[int], Detector],
        width: int,
        kind: DTypeLike,
        locate: Locate | None = None,
        describe: Describe | None = None,
    ) -> None:
        self.name = name
        self._config = config
        self._make_detector = detector
        self._detector = detector(config.max_keypoints)
        self._width = width
        self._kind = kind
        self._locate = locate
        self._describe = describe

    def extract(self, image: NDArray[np.generic]) -> Features:
        scaled = prepare(image, self._config.max_image_size, self._config.max_pixels)
        found, descriptors = self._detect(scaled.pixels)
        if descriptors is None or len(found) == 0:
            return no_features(scaled, np.empty((0, self._width), self._kind))
        scores = np.array([keypoint.response for keypoint in found], np.float32)
        strongest = np.argsort(-scores, kind="stable")[: self._config.max_keypoints]
        points = np.array([found[i].pt for i in strongest], np.float64)
        if self._locate is not None:
            octaves = np.array([found[i].octave for i in strongest], np.int64)
            height, width = scaled.pixels.shape
            points = self._locate(points, octaves, (width, height))
        chosen: Descriptors = np.asarray(descriptors, self._kind)[strongest]
        if self._describe is not None:
            chosen = self._describe(chosen)
        degrees = np.array([found[i].angle for i in strongest], np.float32)
        diameters = np.array([found[i].size for i in strongest], np.float32)
        return features_of(
            scaled,
            points,
            scores[strongest],
            np.ascontiguousarray(chosen, self._kind),
            # OpenCV counts clockwise on the screen, which is from +x towards +y; -1 is unknown.
            np.where(degrees < 0, np.float32(np.nan), np.deg2rad(degrees)),
            diameters,
        )

    def reconfigured(self, config: FrontendConfig) -> DetectorFrontend:
        return DetectorFrontend(
            self.name,
            config,
            self._make_detector,
            self._width,
            self._kind,
            self._locate,
            self._describe,
        )

    def _detect(
        self, grey: NDArray[np.uint8]
    ) -> tuple[Sequence[cv2.KeyPoint], cv2.typing.MatLike | None]:
        if min(grey.shape) < 2:  # nothing to find; some versions of OpenCV raise on such an image
            return (), None
        try:
            return self._detector.detectAndCompute(grey, None)
        except cv2.error as error:
            raise opencv_failed(self.name, grey, error) from error
