"""Graduated non-convexity from many starts: a robust estimate of the motion without sampling.

What a network knows of each match replaces random samples. From some fifty starting motions (see
`starts`) a local refinement runs under a robust loss whose scale shrinks from a few thresholds to
one and whose form goes from Cauchy's to the truncated one; after each stage only the best go on,
first on a part of the matches, at last on all. Nothing is drawn at random: the same matches always
give the same motion, and there is no confidence or number of iterations to choose.

Sources: Blake and Zisserman, Visual Reconstruction, 1987; Yang et al., "Graduated non-convexity for
robust spatial perception", RA-L 2020. The cost that decides who goes on is that of MSAC (see
`refinement`); of the last few, the motion wins under which the matches are the most likely, each
trusted as its score says (see `selection`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.robust.base import Array, RobustEstimate, failure, verified
from msga_ros.geometry.robust.refinement import (
    Motions,
    best_distinct,
    joined,
    refined,
    thinned,
    truncated_costs,
)
from msga_ros.geometry.robust.selection import log_likelihoods
from msga_ros.geometry.robust.starts import starts

MINIMUM = 8  # different matches, as the eight-point starts ask

# Chosen on every twentieth pair of the training dumps; each entry is on a plateau.
_FEWEST_SURE = 16  # the better-scored half of the matches, but not fewer
_MOST_SURE = 100  # matches looked at while the motions are many, evenly over the scores
_MOST = 150
_ALIKE = np.deg2rad(3.0)  # motions closer than this are one


@dataclass(frozen=True)
class _Stage:
    """A refinement of all motions that are left, after which the best few go on."""

    loss: Literal["CAUCHY", "TRUNCATED"]
    scale: float  # of the loss, thresholds
    iterations: int
    keep: int


_ON_SURE = _Stage("CAUCHY", 3.0, 5, 30)
_ON_PART = (_Stage("CAUCHY", 2.0, 6, 8), _Stage("CAUCHY", 0.7, 8, 8))
# At last the closest matches count most: keypoints are mostly more precise than the threshold.
_ON_ALL = (
    _Stage("TRUNCATED", 2.0, 8, 4),
    _Stage("TRUNCATED", 1.0, 15, 4),
    _Stage("CAUCHY", 0.3, 15, 4),
)


def estimate(
    points0: npt.ArrayLike,
    points1: npt.ArrayLike,
    score: npt.ArrayLike,
    threshold: float,
    essential: npt.ArrayLike | None = None,
) -> RobustEstimate:
    """The motion that most of the well-scored matches agree with.

    Args:
        points0, points1: `(N, 2)`, normalised coordinates. Rows with NaN are never inliers.
        score: `(N,)`, logit of each match of being an inlier; NaN and -inf: never one. It orders
            the matches, weighs the starts and decides between the last few motions, each of which
            is the best for all matches alike: hand in those that may be right, not every match.
        threshold: largest Sampson distance of an inlier, normalised units (pixels divided by the
            mean focal length).
        essential: `(3, 3)`, one more start, such as the network's own solution; NaN: none.

    Fewer than eight different matches, or no motion that five agree with: `success` is False, no
    exception. `iterations` is 0: no sample is drawn. Raises `ValueError` for arrays of a wrong
    shape and a threshold that is not positive.
    """
    first, second = np.asarray(points0, np.float64), np.asarray(points1, np.float64)
    logit = np.asarray(score, np.float64)
    if first.ndim != 2 or first.shape[1] != 2 or first.shape != second.shape:
        raise ValueError(f"points must be (N, 2) twice, not {first.shape}, {second.shape}")
    if logit.shape != (len(first),):
        raise ValueError(f"score must be ({len(first)},), not {logit.shape}")
    if not threshold > 0:
        raise ValueError(f"the threshold must be positive, not {threshold}")
    rows = np.hstack([first, second])
    usable = np.flatnonzero(np.isfinite(rows).all(1) & (logit > -np.inf))
    order = usable[np.argsort(-logit[usable], kind="stable")]
    if len(np.unique(rows[order], axis=0)) < MINIMUM:
        return failure(len(first))
    known = None if essential is None else np.asarray(essential, np.float64)
    found = _search(rows[order], logit[order], threshold, known)
    # The cost counts a match that is hardly believed as much as one that is certain.
    likely = log_likelihoods(found.essential, rows[order], logit[order], threshold)
    return verified(found.essential[likely.argmax()], first, second, threshold)


def solve(
    points0: npt.ArrayLike,
    points1: npt.ArrayLike,
    threshold: float,
    *,
    score: npt.ArrayLike | None = None,
    essential: npt.ArrayLike | None = None,
    seed: int = 0,
    confidence: float = 0.9999,
    max_iterations: int = 10_000,
) -> RobustEstimate:
    """`estimate` as a `Solver` of the pipeline; without `score` all matches are alike."""
    alike = np.zeros(len(np.asarray(points0))) if score is None else score
    return estimate(points0, points1, alike, threshold, essential)


def _search(rows: Array, logit: Array, threshold: float, essential: Array | None) -> Motions:
    """The few motions `(S,)` of least cost for the matches `rows` (N, 4), the best-scored first."""
    sure = thinned(rows[: max(len(rows) // 2, min(_FEWEST_SURE, len(rows)))], _MOST_SURE)
    motions = _advanced(starts(rows, logit, essential), sure, threshold, _ON_SURE)
    parts = []
    for part in (sure, thinned(rows, _MOST)):  # right matches may score low, wrong ones high
        found = motions
        for stage in _ON_PART:
            found = _advanced(found, part, threshold, stage)
        parts.append(found)
    found = joined(parts)
    found = found[_best(found, rows, threshold, _ON_ALL[0].keep)]
    for stage in _ON_ALL:
        found = _advanced(found, rows, threshold, stage)
    return found


def _advanced(motions: Motions, rows: Array, threshold: float, stage: _Stage) -> Motions:
    scale = stage.scale * threshold
    found = refined(motions, rows, scale, stage.loss, stage.iterations)
    return found[_best(found, rows, max(scale, threshold), stage.keep)]


def _best(motions: Motions, rows: Array, threshold: float, keep: int) -> npt.NDArray[np.int64]:
    costs = truncated_costs(motions, rows, threshold).sum(1)
    return best_distinct(motions, costs, keep, _ALIKE)
