"""SIFT at the resolution of the image: its descriptors, on blobs that are found without doubling.

The descriptors are those of `sift`; OpenCV samples them from a pyramid that begins at the image
itself, and of each scale in the coarsest octave that holds it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import Features
from msga_ros.frontend.blob_directions import directions
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.detector import features_of, no_features, opencv_failed
from msga_ros.frontend.difference_of_gaussians import (
    FINEST_SIGMA,
    LEVELS_OF_AN_OCTAVE,
    Blobs,
    LevelMemory,
    blobs,
    level_of,
    scale_space,
)
from msga_ros.frontend.images import prepare
from msga_ros.frontend.sift import root_sift

MATCHER = "nearest"

# Of the first level of the pyramid that is described from: no blob is finer.
_FIRST_LEVEL = 1
_FIRST_SIGMA = FINEST_SIGMA * 2 ** (_FIRST_LEVEL / LEVELS_OF_AN_OCTAVE)


class FastSift:
    """The front end `fast_sift`."""

    name = "fast_sift"

    def __init__(self, config: FrontendConfig) -> None:
        self._config = config
        self._memory = LevelMemory()
        self._describer = cv2.SIFT_create(  # type: ignore[attr-defined]
            nOctaveLayers=LEVELS_OF_AN_OCTAVE, sigma=_FIRST_SIGMA
        )

    def extract(self, image: NDArray[np.generic]) -> Features:
        scaled = prepare(image, self._config.max_image_size, self._config.max_pixels)
        octaves = scale_space(scaled.pixels, self._memory)
        most = self._config.max_keypoints
        found = blobs(octaves, most, self._memory)
        if not len(found.scores):
            return no_features(scaled, np.empty((0, 128), np.float32))
        which, angles = directions(octaves, found)
        which, angles = which[:most], angles[:most]
        turned = Blobs(found.points[which], found.sigmas[which], found.scores[which])
        descriptors = self._described(scaled.pixels, turned, angles)
        return features_of(
            scaled, turned.points, turned.scores, root_sift(descriptors), angles, 2 * turned.sigmas
        )

    def reconfigured(self, config: FrontendConfig) -> FastSift:
        return FastSift(config)

    def _described(
        self, grey: NDArray[np.uint8], found: Blobs, angles: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(N, 128), of `found` (N,) turned by `angles` (N,)."""
        levels = (level_of(found.sigmas) - _FIRST_LEVEL).clip(0)
        octaves, layers = np.divmod(levels, LEVELS_OF_AN_OCTAVE)
        entries = (
            *found.points.T,
            2 * found.sigmas,
            np.rad2deg(angles),
            found.scores,
            octaves | layers << 8,  # as OpenCV packs them
        )
        keypoints = list(map(cv2.KeyPoint, *(entry.tolist() for entry in entries)))
        try:
            return np.asarray(self._describer.compute(grey, keypoints)[1], np.float32)
        except cv2.error as error:
            raise opencv_failed(self.name, grey, error) from error


def create(config: FrontendConfig) -> FastSift:
    """The front end `fast_sift`."""
    return FastSift(config)
