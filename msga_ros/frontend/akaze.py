"""AKAZE: keypoints of a nonlinear scale space with binary descriptors.

Alcantarilla, Nuevo and Bartoli, "Fast explicit diffusion for accelerated features in nonlinear
scale spaces", BMVC 2013.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import FrontendError
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.detector import DetectorFrontend

# A tenth of OpenCV's default, which finds some 500 to 900 keypoints in an image of 640 x 480; with
# this one there are about 2000, and the strongest `max_keypoints` are kept anyway.
_THRESHOLD = 1e-4

MATCHER = "nearest"


def create(config: FrontendConfig) -> DetectorFrontend:
    """The front end `akaze`. `FrontendError` where OpenCV has none."""
    return DetectorFrontend("akaze", config, _detector, 61, np.uint8, _locate)


def _detector(_: int) -> cv2.Feature2D:
    if not hasattr(cv2, "AKAZE_create"):  # since OpenCV 5
        raise FrontendError(f"frontend.name: OpenCV {cv2.__version__} has no akaze, OpenCV 4 does")
    return cv2.AKAZE_create(threshold=_THRESHOLD)  # type: ignore[attr-defined]


def _locate(
    points: NDArray[np.float64], octaves: NDArray[np.int64], size: tuple[int, int]
) -> NDArray[np.float64]:
    """OpenCV doubles per octave, but an odd size halves to less than its half.

    At the foot of an image of 683 rows that is a pixel in the second octave.
    """
    scale = np.left_shift(1, octaves)[:, None]
    received = np.array(size)
    return (points + 0.5) * (received / (scale * (received // scale))) - 0.5
