"""Depth images of 16 bits as files, registered to the colour image of the same size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.sequences.base import SequenceError
from msga_ros.geometry.depth import to_metres


def read_depth(path: Path, unit: float, size: tuple[int, int]) -> NDArray[np.float32]:
    """Depth (H, W) in metres, NaN for none, of a picture in multiples of `unit` metres.

    `size`: width and height of the image that it is registered to. Raises `SequenceError`.
    """
    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if raw is None:
        raise SequenceError(f"{path}: not a readable depth image")
    if raw.dtype != np.uint16 or raw.shape[::-1] != size:
        raise SequenceError(f"{path}: not a depth image of 16 bits and {size}")
    return to_metres(raw, unit)
