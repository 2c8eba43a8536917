"""Pictures with a detail everywhere."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def textured(height: int, width: int) -> NDArray[np.uint8]:
    """Smooth noise, a new grey level every four pixels."""
    noise = np.random.default_rng(0).uniform(0, 255, (height // 4, width // 4)).astype(np.float32)
    large = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return large.clip(0, 255).astype(np.uint8)
