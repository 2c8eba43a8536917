"""OpenCV's RANSAC as a solver: it samples, and does not look at the scores."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike

from msga_ros.geometry.robust.base import RobustEstimate, failure, verified

calls: list[tuple[int, float]] = []  # how many matches came, and with which threshold


def solve(
    points0: ArrayLike, points1: ArrayLike, threshold: float, **options: object
) -> RobustEstimate:
    first, second = np.asarray(points0, np.float64), np.asarray(points1, np.float64)
    calls.append((len(first), threshold))
    cv2.setRNGSeed(int(str(options["seed"])))
    found, _ = cv2.findEssentialMat(first, second, np.eye(3), cv2.RANSAC, 0.999, threshold)
    if found is None:
        return failure(len(first))
    return verified(found[:3], first, second, threshold)


solve.uses_scores = False  # type: ignore[attr-defined]
