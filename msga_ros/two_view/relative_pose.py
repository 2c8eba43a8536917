"""The pose stage of the pipeline: the network's scores to a motion, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from msga_ros.geometry.covariance import covariance_of_either, relative_pose_covariance
from msga_ros.geometry.epipolar import symmetric_epipolar_distance_squared
from msga_ros.geometry.pose import PoseError, median_parallax, pose_from_essential
from msga_ros.geometry.robust.base import RobustEstimate, verified
from msga_ros.geometry.robust.refinement import Motions, refined
from msga_ros.geometry.significance import chance_of_agreement, expected_false_alarms, spread
from msga_ros.geometry.triangulation import parallax_angles
from msga_ros.geometry.turn import parallax_over_noise
from msga_ros.network.inference import MatchScores
from msga_ros.two_view.config import NO_REFINEMENT, PipelineConfig
from msga_ros.two_view.motion import Motion
from msga_ros.two_view.robust_pose import robust_estimate

Array = NDArray[np.float64]

# Matches of a network that looks at all of them are independent at this distance, normalised units:
# some 25 pixels of an image of 640. Chosen on the development places.
CONTEXT = 0.04
_FEWEST = 8  # matches that a motion is refined from
_WIDE = 3.0  # times the distance of an inlier: what a motion is off by before it is refined


def estimate_motion(
    scores: MatchScores,
    correspondences: Array,
    config: PipelineConfig,
    mean_focal: float,
    independent: bool = True,
) -> Motion:
    """The motion in the network's own solution, or a robust estimate from its best matches.

    Args:
        scores: of the network on the matches.
        correspondences: (N, 4), normalised coordinates; NaN rows are never inliers.
        config: `pose.refine` says how; where that finds no motion, the network's own stands.
        mean_focal: pixels, to turn `pose.threshold_px` into normalised units.
        independent: see `Matches`; of others, those far from each other alone are evidence.

    Inliers are candidates that agree with the motion: with a robust estimator, those that it calls
    so; without one, all but the matches that would clearly lie behind a camera.
    """
    threshold = config.pose.threshold_px / mean_focal
    solution = None
    if config.pose.refine != NO_REFINEMENT:
        solution = _refined(scores, correspondences, config, threshold)
    if solution is None:
        solution = _own(scores, correspondences, config, threshold)
    return _motion(solution, correspondences, config, threshold, independent)


def unsought_motion(
    scores: MatchScores,
    correspondences: Array,
    config: PipelineConfig,
    mean_focal: float,
    independent: bool = True,
) -> Motion:
    """No motion, where none is looked for. The arguments are those of `estimate_motion`."""
    candidate = scores.candidates(config.network.score_threshold)
    nan = np.full((3, 3), np.nan)
    nobody = np.zeros(int(candidate.sum()), dtype=bool)
    threshold = config.pose.threshold_px / mean_focal
    solution = _Solution(scores.essential, nan, nan[0], candidate, nobody, threshold)
    return _motion(solution, correspondences, config, threshold, independent)


def continued_motion(
    rotation: Array,
    translation: Array,
    valid: NDArray[np.bool_],
    correspondences: Array,
    config: PipelineConfig,
    mean_focal: float,
    agreeing: float,
) -> Motion | None:
    """The motion near `rotation` (3, 3) and `translation` (3,), all matches being candidates.

    Nothing is sampled. None where less than the share `agreeing` of the `valid` (N,) matches agree
    with it. The other arguments are those of `estimate_motion`.
    """
    threshold = config.pose.threshold_px / mean_focal
    rows = correspondences[valid]
    if len(rows) < _FEWEST:
        return None
    motion = Motions(rotation[None], translation[None])
    motion = refined(motion, rows, _WIDE * threshold, "CAUCHY", 10)
    motion = refined(motion, rows, threshold, "TRUNCATED", 10)
    found = verified(motion.essential[0], rows[:, :2], rows[:, 2:], threshold)
    if not found.success or found.inlier.sum() < agreeing * len(rows):
        return None
    solution = _Solution(
        found.essential, found.rotation, found.translation, valid, found.inlier, threshold
    )
    return _motion(solution, correspondences, config, threshold)


@dataclass(frozen=True)
class _Solution:
    """A motion (NaN where there is none) and the matches behind it."""

    essential: Array
    rotation: Array
    translation: Array
    candidate: NDArray[np.bool_]  # (N,)
    agree: NDArray[np.bool_]  # (M,), over the candidates
    reach: float  # epipolar distance, normalised, within which a candidate agrees
    other: RobustEstimate | None = None  # a motion that explains the candidates as well


def _refined(
    scores: MatchScores, correspondences: Array, config: PipelineConfig, threshold: float
) -> _Solution | None:
    candidate = scores.candidates(config.network.score_threshold)
    found, other = robust_estimate(
        config.pose.refine,
        scores,
        correspondences,
        config.network.score_threshold,
        threshold,
        config.pose,
    )
    if not found.success:
        return None
    return _Solution(
        found.essential,
        found.rotation,
        found.translation,
        candidate,
        found.inlier,
        threshold,
        other,
    )


def _own(
    scores: MatchScores, correspondences: Array, config: PipelineConfig, threshold: float
) -> _Solution:
    candidate = scores.inliers(config.network.inlier_threshold)
    points0, points1 = correspondences[candidate, :2], correspondences[candidate, 2:]
    reach = float(np.sqrt(config.network.inlier_threshold / 2))
    try:
        pose = pose_from_essential(scores.essential, points0, points1)
    except PoseError:  # NaN, or a rank below 2: the candidates do not determine a motion
        nan = np.full((3, 3), np.nan)
        everybody = np.ones(int(candidate.sum()), dtype=bool)
        return _Solution(nan, nan, nan[0], candidate, everybody, reach)
    # The sign of a depth says nothing where the rays are parallel but for the noise.
    certain = parallax_angles(points0, points1, pose.rotation) > 2 * threshold
    return _Solution(
        scores.essential,
        pose.rotation,
        pose.translation,
        candidate,
        pose.in_front | ~certain,
        reach,
    )


def _motion(
    solution: _Solution,
    correspondences: Array,
    config: PipelineConfig,
    threshold: float,
    independent: bool = True,
) -> Motion:
    """The solution with all that follows from it."""
    inlier = solution.candidate.copy()
    inlier[solution.candidate] = solution.agree
    points0, points1 = correspondences[inlier, :2], correspondences[inlier, 2:]
    rotation, translation = solution.rotation, solution.translation
    known = bool(np.isfinite(rotation).all())
    distance = symmetric_epipolar_distance_squared(
        torch.from_numpy(correspondences), torch.from_numpy(solution.essential)
    ).numpy()
    distance = np.where(np.isfinite(distance), distance, np.inf)
    covariance: Array = np.full((6, 6), np.nan)
    if known:
        covariance = relative_pose_covariance(
            points0, points1, rotation, translation, minimum_sigma=threshold
        )
    if solution.other is not None:
        covariance = covariance_of_either(
            covariance, rotation, translation, solution.other.rotation, solution.other.translation
        )
    return Motion(
        essential=solution.essential / np.linalg.norm(solution.essential),
        rotation=rotation,
        translation=translation,
        covariance=covariance,
        candidate=solution.candidate,
        inlier=inlier,
        inlier_probability=1.0 / (1.0 + distance / config.network.inlier_threshold),
        median_parallax=median_parallax(points0, points1, rotation) if known else float("nan"),
        parallax_over_noise=parallax_over_noise(points0, points1, distance[inlier]),
        false_alarms=_false_alarms(solution, correspondences, independent),
        independent=independent,
        ambiguous=solution.other is not None,
    )


def _false_alarms(solution: _Solution, correspondences: Array, independent: bool) -> float:
    """Of the candidates; of dependent matches among all, as a sieve picks what is alike, too."""
    asked, agree = correspondences[solution.candidate], solution.agree
    chance = chance_of_agreement(asked[:, 2:], solution.reach)
    if not independent:
        inlier = solution.candidate.copy()
        inlier[solution.candidate] = agree
        valid = np.isfinite(correspondences).all(1)
        agree = inlier[valid][spread(correspondences[valid], CONTEXT)]
    return expected_false_alarms(len(agree), int(agree.sum()), chance)
