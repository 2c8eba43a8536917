"""ORB: oriented FAST corners with binary descriptors; about twenty times as quick as SIFT.

Rublee, Rabaud, Konolige and Bradski, "ORB: an efficient alternative to SIFT or SURF", ICCV 2011.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.detector import DetectorFrontend

_SCALE_FACTOR = 1.2

# Below OpenCV's default of 20: the strongest `max_keypoints` are kept anyway, and an indoor image
# of 640 x 480 has too few corners of that contrast to fill them.
_FAST_THRESHOLD = 5

MATCHER = "nearest"


def create(config: FrontendConfig) -> DetectorFrontend:
    """The front end `orb`."""
    return DetectorFrontend("orb", config, _detector, 32, np.uint8, _locate)


def _detector(max_keypoints: int) -> cv2.Feature2D:
    return cv2.ORB_create(  # type: ignore[attr-defined]
        nfeatures=max_keypoints, scaleFactor=_SCALE_FACTOR, fastThreshold=_FAST_THRESHOLD
    )


def _locate(
    points: NDArray[np.float64], octaves: NDArray[np.int64], size: tuple[int, int]
) -> NDArray[np.float64]:
    """OpenCV multiplies by the nominal scale of a level; real are the sizes of the levels."""
    scale = np.power(_SCALE_FACTOR, octaves)[:, None]
    received = np.array(size, np.float64)
    level = np.rint(received / scale)
    return (points / scale + 0.5) * (received / level) - 0.5
