"""Which of several motions is the most likely one, given how far each match is to be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.special import expit

from msga_ros.geometry.epipolar import sampson_distance_squared
from msga_ros.geometry.robust.base import Array, RobustEstimate

# Chosen on the development places, and flat around: how many thresholds of an inlier true matches
# are off, and over how many wrong ones spread; the score of a match that may be either.
_NOISE = 2.0
_SPREAD = 500.0
_EVEN = 1.0
_SURE = 8.0  # scores count up to this, either way


def most_likely(
    estimates: Sequence[RobustEstimate], correspondences: Array, score: Array, threshold: float
) -> RobustEstimate | None:
    """The successful estimate under which the matches are the least surprising, None without one.

    Args:
        estimates: of any part of the matches.
        correspondences: (N, 4), normalised coordinates, finite.
        score: (N,) logits of being a true match.
        threshold: largest Sampson distance of an inlier, normalised units.

    Each match is true with the probability that its score says, and then its distance to the motion
    is normally distributed; else it is uniform. Sampling maximises the number of inliers instead,
    which counts a match that is hardly believed as much as one that is certain.
    """
    found = [estimate for estimate in estimates if estimate.success]
    if not found:
        return None
    true = expit(np.clip(score, -_SURE, _SURE) - _EVEN)
    rows = torch.from_numpy(np.ascontiguousarray(correspondences))

    def log_likelihood(estimate: RobustEstimate) -> float:
        squared = sampson_distance_squared(rows, torch.from_numpy(estimate.essential)).numpy()
        distance = squared / (_NOISE * threshold) ** 2
        density = np.exp(-0.5 * distance) / (np.sqrt(2 * np.pi) * _NOISE)
        return float(np.log(true * density + (1 - true) / _SPREAD).sum())

    return max(found, key=log_likelihood)
