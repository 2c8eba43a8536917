"""How many inliers would chance alone have given? The a-contrario test of a two-view motion."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc  # type: ignore[import-untyped]

_SAMPLE = 5  # matches that determine an essential matrix


def expected_false_alarms(matches: int, inliers: int, probability: float) -> float:
    """Expected number of motions with as many inliers among `matches` unrelated points.

    Args:
        matches: how many matches an estimator had to choose from.
        inliers: how many of them agree with its motion.
        probability: of an unrelated match to agree with a given motion, see
            `chance_of_agreement`.

    Returns:
        Well below 1: the motion is no accident. inf for as few inliers as determine a motion.

    Source: Moisan and Stival, "A probabilistic criterion to detect rigid point matches between two
    images and estimate the fundamental matrix", IJCV 2004, eq. 13, for samples of five.
    """
    if inliers <= _SAMPLE or matches < inliers:
        return math.inf
    log_expected = (
        math.log(max(matches - _SAMPLE, 1))
        + _log_choose(matches, inliers)
        + _log_choose(inliers, _SAMPLE)
        + (inliers - _SAMPLE) * math.log(min(max(probability, 1e-12), 1.0))
    )
    return math.exp(min(log_expected, 700.0))


def chance_of_as_many(matches: int, inliers: int, probability: float) -> float:
    """Probability that so many of `matches` unrelated points, or more, agree with a given motion.

    `probability`: of one of them, see `chance_of_agreement`. Unlike `expected_false_alarms` this is
    of a motion that was found without these matches: nothing was chosen to suit them.
    """
    return float(bdtrc(inliers - 1, matches, min(max(probability, 0.0), 1.0)))


def chance_of_agreement(points: NDArray[np.float64], threshold: float) -> float:
    """Probability that a point somewhere among `points` (N, 2) lies within `threshold` of a line
    across them: the area of the strip over that of the box around the points.

    Source: Moisan and Stival, section 3.2.
    """
    if len(points) < 2:
        return 1.0
    width, height = np.ptp(points, axis=0)
    area = width * height
    return float(min(1.0, 2 * threshold * math.hypot(width, height) / area)) if area > 0 else 1.0


def spread(correspondences: NDArray[np.float64], cell: float) -> NDArray[np.bool_]:
    """`(N,)` bool: the first of `correspondences` (N, 4) in each square cell of each image.

    Matches whose maker looks at their neighbours err together: a patch laid on a similar one is
    many matches and a single accident. The test above wants independent ones: those that are at
    least about `cell` apart, in the units of the points.
    """
    kept = np.arange(len(correspondences))
    for columns in (slice(0, 2), slice(2, 4)):
        cells = np.floor(correspondences[kept, columns] / cell)
        first = np.unique(cells, axis=0, return_index=True)[1]
        kept = kept[np.sort(first)]
    mask = np.zeros(len(correspondences), np.bool_)
    mask[kept] = True
    return mask


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
