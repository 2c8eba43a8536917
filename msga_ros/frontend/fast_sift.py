"""SIFT at the resolution of the image: its descriptors, on blobs that are found without doubling.

The descriptors are those of `sift`; OpenCV samples them from a pyramid that begins at the image
itself, and of each scale in the coarsest octave that holds it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.detector import DetectorFrontend
from msga_ros.frontend.difference_of_gaussians import (
    FINEST_SIGMA,
    LEVELS_OF_AN_OCTAVE,
    Blobs,
    blobs,
)
from msga_ros.frontend.sift import root_sift

MATCHER = "nearest"

# Of the first level of the pyramid that is described from: no blob is finer.
_FIRST_SIGMA = FINEST_SIGMA * 2 ** (1 / LEVELS_OF_AN_OCTAVE)


def create(config: FrontendConfig) -> DetectorFrontend:
    """The front end `fast_sift`."""
    return DetectorFrontend(
        "fast_sift", config, _BlobsWithDescriptors, 128, np.float32, describe=root_sift
    )


class _BlobsWithDescriptors:
    """What `DetectorFrontend` asks of a detector of OpenCV."""

    def __init__(self, max_keypoints: int) -> None:
        self._most = max_keypoints
        self._sift = cv2.SIFT_create(  # type: ignore[attr-defined]
            nOctaveLayers=LEVELS_OF_AN_OCTAVE, sigma=_FIRST_SIGMA
        )

    def detectAndCompute(  # OpenCV's name
        self, image: NDArray[np.uint8], mask: None
    ) -> tuple[Sequence[cv2.KeyPoint], cv2.typing.MatLike | None]:
        found = blobs(image, self._most)
        if not len(found.scores):
            return (), None
        keypoints, descriptors = self._sift.compute(image, _keypoints(found))
        return keypoints, descriptors


def _keypoints(found: Blobs) -> list[cv2.KeyPoint]:
    levels = np.rint(LEVELS_OF_AN_OCTAVE * np.log2(found.sigmas / _FIRST_SIGMA))
    octaves, layers = np.divmod(levels.astype(np.int64).clip(0), LEVELS_OF_AN_OCTAVE)
    entries = (
        *found.points.T,
        2 * found.sigmas,
        np.rad2deg(found.angles),
        found.scores,
        octaves | layers << 8,  # as OpenCV packs them
    )
    return list(map(cv2.KeyPoint, *(entry.tolist() for entry in entries)))
