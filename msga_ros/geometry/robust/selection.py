"""Which motion is the most likely one, given how far each match is to be trusted.

True matches lie about their motion as Cauchy's distribution says: most are much closer than what is
called an inlier, and a few are not. The choice between motions and the last refinement share it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.special import expit

from msga_ros.geometry.epipolar import sampson_distance_squared
from msga_ros.geometry.robust.base import MINIMAL_SAMPLE, Array, RobustEstimate, verified
from msga_ros.geometry.robust.refinement import Motions, refined

# Chosen on the development places, with three sets of weights and three front ends, and flat
# around. All in thresholds of an inlier: the distance that half of the true matches are within,
# the width that wrong ones spread over, and the distance up to which a refinement looks at matches.
_NOISE = 0.4
_SPREAD = 500.0
_REACH = 4.0
_SURE = 8.0  # scores count up to this, either way
_ITERATIONS = 25


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
    follows Cauchy's distribution; else it is uniform. Sampling maximises the number of inliers
    instead, which counts a match that is hardly believed as much as one that is certain.
    """
    found = [estimate for estimate in estimates if estimate.success]
    if not found:
        return None
    essentials = np.stack([estimate.essential for estimate in found])
    return found[int(log_likelihoods(essentials, correspondences, score, threshold).argmax())]


def log_likelihoods(
    essentials: Array, correspondences: Array, score: Array, threshold: float
) -> Array:
    """`(S,)`: of the matches under each of the motions `essentials` (S, 3, 3), as `most_likely`
    says, which also describes the other arguments."""
    true = expit(np.clip(score, -_SURE, _SURE))
    rows = torch.from_numpy(np.ascontiguousarray(correspondences))
    logs = []
    for essential in torch.from_numpy(essentials):
        squared = sampson_distance_squared(rows, essential).numpy()
        density = 1 / (np.pi * _NOISE * (1 + squared / (_NOISE * threshold) ** 2))
        logs.append(np.log(true * density + (1 - true) / _SPREAD).sum())
    return np.array(logs)


def at_most_likely(
    estimate: RobustEstimate, points0: Array, points1: Array, threshold: float
) -> RobustEstimate:
    """The motion near a successful `estimate` under which the matches are the most likely.

    `points0`, `points1`: (N, 2), normalised coordinates, finite, all trusted alike. Sampling leaves
    a motion that all its inliers pull at alike; here those that are close count most.
    """
    rows = np.hstack([points0, points1])
    squared = sampson_distance_squared(
        torch.from_numpy(rows), torch.from_numpy(estimate.essential)
    ).numpy()
    near = rows[squared < (_REACH * threshold) ** 2]
    if len(near) <= MINIMAL_SAMPLE:
        return verified(estimate.essential, points0, points1, threshold)
    motion = Motions(estimate.rotation[None], estimate.translation[None])
    motion = refined(motion, near, _NOISE * threshold, "CAUCHY", _ITERATIONS)
    return verified(motion.essential[0], points0, points1, threshold)
