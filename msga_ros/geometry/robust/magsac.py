"""OpenCV's USAC with the MAGSAC++ score and the five-point solver."""

from __future__ import annotations

import cv2
import numpy as np

from msga_ros.geometry.robust.base import Array, RobustEstimate, failure, guarded, verified

# OpenCV's optimisation is tuned to pixels: in normalised units (threshold 0.003), and at a
# threshold of 30 pixels, it was measured to give several times the error. So the points are scaled
# to a camera in which the threshold is OpenCV's default.
_THRESHOLD_PX = 1.5


def _solve(
    points0: Array,
    points1: Array,
    threshold: float,
    seed: int,
    confidence: float,
    max_iterations: int,
) -> RobustEstimate:
    """Relative pose by `cv2.findEssentialMat`. See `guarded`.

    The call may return several essential matrices, stacked `(3k, 3)`; that with most matches that
    are both within the threshold and in front of the cameras is taken. OpenCV does not say how
    many samples it drew: `iterations` is 0.
    """
    options = cv2.UsacParams()
    options.score = cv2.SCORE_METHOD_MAGSAC
    options.loMethod = cv2.LOCAL_OPTIM_SIGMA
    options.sampler = cv2.SAMPLING_UNIFORM
    options.threshold = _THRESHOLD_PX
    options.confidence = confidence
    options.maxIterations = max_iterations
    options.randomGeneratorState = seed
    focal = _THRESHOLD_PX / threshold
    k = np.diag([focal, focal, 1.0])
    try:
        stacked, _ = cv2.findEssentialMat(
            focal * points0, focal * points1, k, k, None, None, params=options
        )
    except cv2.error:  # raised from inside for some degenerate sets: there is no model
        return failure(len(points0))
    if stacked is None:
        return failure(len(points0))

    best: RobustEstimate | None = None
    for candidate in stacked.astype(np.float64).reshape(-1, 3, 3):
        estimate = verified(candidate, points0, points1, threshold)
        if best is None or estimate.inlier.sum() > best.inlier.sum():
            best = estimate
    return best if best is not None and best.success else failure(len(points0))


estimate = guarded(_solve)
