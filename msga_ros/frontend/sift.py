"""SIFT keypoints with RootSIFT descriptors, as in the published dumps of correspondences.

Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004; Arandjelovic and
Zisserman, "Three things everyone should know to improve object retrieval", CVPR 2012.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import Descriptors
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.detector import DetectorFrontend

# Nearly no threshold: the strongest `max_keypoints` are kept anyway, and OpenCV's default of 0.04
# leaves an indoor image of 640 x 480 with fewer than 900.
_CONTRAST_THRESHOLD = 1e-5

# OpenCV doubles the image before the first octave by a bilinear resize, which moves every keypoint
# by a quarter of a pixel towards the bottom right (since 4.8 there is an option against it).
_DOUBLING_BIAS = 0.25

MATCHER = "nearest"


def create(config: FrontendConfig) -> DetectorFrontend:
    """The front end `sift`."""
    return DetectorFrontend("sift", config, _detector, 128, np.float32, _locate, root_sift)


def _detector(max_keypoints: int) -> cv2.Feature2D:
    return cv2.SIFT_create(  # type: ignore[attr-defined]
        nfeatures=max_keypoints, contrastThreshold=_CONTRAST_THRESHOLD
    )


def root_sift(descriptors: Descriptors) -> NDArray[np.float32]:
    """Square root of the descriptors (N, 128) divided by their sum; of Euclidean length 1."""
    positive = np.maximum(descriptors.astype(np.float32), 0.0)
    total = positive.sum(axis=1, keepdims=True)
    return np.sqrt(positive / np.maximum(total, np.finfo(np.float32).tiny))


def _locate(
    points: NDArray[np.float64], octaves: NDArray[np.int64], size: tuple[int, int]
) -> NDArray[np.float64]:
    return points - _DOUBLING_BIAS
