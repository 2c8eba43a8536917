"""ORB descriptors of given points, upright: a camera seldom turns about its axis at once."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SIZE = 31  # pixels of the patch that is described


def describe(grey: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Descriptors (N, 32) of `points` (N, 2) in `grey` (H, W)."""
    if len(points) == 0:
        return np.empty((0, 32), np.uint8)
    # The image is extended at its borders, so that points there have a descriptor as well.
    extractor = cv2.ORB_create(nlevels=1, edgeThreshold=0)  # type: ignore[attr-defined]
    keypoints = [cv2.KeyPoint(x, y, _SIZE, 0.0) for x, y in points.tolist()]
    kept, found = extractor.compute(grey, keypoints)
    if found is None or len(kept) != len(points):
        raise ValueError(f"{len(points)} points, of which {len(kept)} lie inside the image")
    return np.asarray(found, np.uint8)
