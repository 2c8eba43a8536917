"""A solver on the matches that a sieve lets through, and whether another motion fits as well."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.covariance import relative_pose_covariance
from msga_ros.geometry.robust.base import (
    MINIMAL_SAMPLE,
    RobustEstimate,
    failure,
    uses_scores,
)
from msga_ros.geometry.robust.rival import strongest_rival
from msga_ros.geometry.robust.selection import at_most_likely, most_likely
from msga_ros.network.inference import MatchScores
from msga_ros.two_view.chosen_stages import solver
from msga_ros.two_view.config import PoseConfig

Array = NDArray[np.float64]

# A solver that does not use scores is asked about the matches with a score so far from the
# threshold, with so many times the distance of an inlier. Chosen on the development places.
_SCORE_MARGINS = (-0.75, 0.75)
_SAMPLING_REACH = 1.5
# Another motion is one that the covariance does not stand for: so many standard deviations away,
# but within these limits.
_DIFFERENT_SIGMAS = 5.0
_DIFFERENT_DEG = (3.0, 20.0)
# Not every sample of true matches gives a motion that they all agree with: they are noisy.
_NOISY_SAMPLES = 3.0
_FEWEST_SAMPLES = 300


def solve(
    method: str,
    correspondences: Array,
    threshold: float,
    config: PoseConfig,
    score: Array | None = None,
    essential: Array | None = None,
) -> RobustEstimate:
    """The motion of `correspondences` (N, 4) that `method` of `SOLVERS` finds.

    `threshold` is in normalised units; `config` says how long to sample, and from which seed.
    `score` (N,) and `essential` (3, 3): what a sieve knows.
    """
    return solver(method)(
        correspondences[:, :2],
        correspondences[:, 2:],
        threshold,
        score=score,
        essential=essential,
        seed=config.seed,
        confidence=config.confidence,
        max_iterations=config.max_iterations,
    )


def robust_estimate(
    method: str,
    scores: MatchScores,
    correspondences: Array,
    score_threshold: float,
    threshold: float,
    config: PoseConfig,
) -> tuple[RobustEstimate, RobustEstimate | None]:
    """The motion of the candidates, matches above `score_threshold`, and which of *these* agree.

    `method` is a name of `SOLVERS`; `correspondences` (N, 4), normalised, are those of `scores`;
    `score_threshold` is a logit, `threshold` the epipolar distance of an inlier, normalised.
    Second comes a quite different motion that explains the matches as well, if there is one (see
    `config.min_lead`); one that explains them better, by cost and by number, takes the place of the
    first.
    """
    candidate = scores.candidates(score_threshold)
    points0, points1 = correspondences[candidate, :2], correspondences[candidate, 2:]
    if not uses_scores(solver(method)):
        found = _sampled(method, scores, correspondences, score_threshold, threshold, config)
    else:
        found = solve(
            method,
            correspondences[candidate],
            threshold,
            config,
            scores.score[candidate],
            scores.essential,
        )
    if not found.success or not config.min_lead > 0:
        return found, None
    different = _different_deg(found, points0, points1, threshold)
    rival = strongest_rival(points0, points1, found, threshold, different)
    if rival is None:
        return found, None
    other = dataclasses.replace(rival.motion, iterations=found.iterations)
    # The cost does not ask on which side of the cameras a match lies, the inliers do: the other
    # motion is taken only where both prefer it.
    if rival.deficit < 0 and other.inlier.sum() >= found.inlier.sum():
        return other, found if -rival.deficit < config.min_lead else None
    return found, other if rival.deficit < config.min_lead else None


def sampling_for(config: PoseConfig, widest: int, fewest: int) -> PoseConfig:
    """With no more samples than find a motion that `fewest` of `widest` matches agree with: a
    motion of fewer is not asked for. `widest`: what a solver is asked about at most."""
    share = min(fewest / max(widest, 1), 1.0)
    if not 0 < share < 1:
        return config
    needed = math.log(1 - config.confidence) / math.log1p(-(share**MINIMAL_SAMPLE))
    limit = max(_FEWEST_SAMPLES, math.ceil(_NOISY_SAMPLES * needed))
    return dataclasses.replace(config, max_iterations=min(config.max_iterations, limit))


def widest_limit(score_threshold: float) -> float:
    """The score above which a match goes to a solver that does not use scores."""
    return score_threshold + min(_SCORE_MARGINS)


def _different_deg(
    found: RobustEstimate, points0: Array, points1: Array, threshold: float
) -> float:
    """From which angle on, in degrees, a motion is another one than `found`."""
    covariance = relative_pose_covariance(
        points0[found.inlier],
        points1[found.inlier],
        found.rotation,
        found.translation,
        minimum_sigma=threshold,
    )
    least, most = _DIFFERENT_DEG
    if not np.isfinite(covariance).all():
        return most
    largest = [np.linalg.eigvalsh(block)[-1] for block in (covariance[:3, :3], covariance[3:, 3:])]
    sigma_deg = np.rad2deg(np.sqrt(max(largest)))
    return float(np.clip(_DIFFERENT_SIGMAS * sigma_deg, least, most))


def _sampled(
    method: str,
    scores: MatchScores,
    correspondences: Array,
    score_threshold: float,
    threshold: float,
    config: PoseConfig,
) -> RobustEstimate:
    """The motion of a solver that does not use scores: it is asked twice, about more matches than
    the candidates and about fewer, and the scores decide between the answers."""
    candidate = scores.candidates(score_threshold)
    usable = np.isfinite(scores.score) & np.isfinite(correspondences).all(1)
    limits = [score_threshold + margin for margin in _SCORE_MARGINS]
    parts = [usable & scores.candidates(limit) for limit in limits]
    if np.array_equal(parts[0], parts[1]):
        parts = parts[:1]
    reach = _SAMPLING_REACH * threshold
    answers = [solve(method, correspondences[part], reach, config) for part in parts]
    best = most_likely(answers, correspondences[usable], scores.score[usable], threshold)
    drawn = sum(answer.iterations for answer in answers)
    if best is None:
        return failure(int(candidate.sum()), drawn)
    points0, points1 = correspondences[candidate, :2], correspondences[candidate, 2:]
    found = at_most_likely(best, points0, points1, threshold)
    return dataclasses.replace(found, iterations=drawn)
