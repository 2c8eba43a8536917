"""Estimators of two-view motion that are judged on the same putative matches.

A name is `PRUNER+SOLVER`, or one that takes no random sample: a sieve (`msga`, ...) followed by
`msga_ros.geometry.robust.graduated` on its scores, and `msga-linear`, the weighted eight-point
solution inside the network. The others:

- pruners: a sieve such as `msga` (what scores above `network.score_threshold`), `ratio` (ratio test
  0.8), `mutual+ratio` (mutual check and ratio test 0.9), and three bounds that no pruner can know:
  `oracle` (true inliers at the published threshold of 1e-4), `oracle-tight` (at 1e-5) and
  `oracle-prefiltered` (those of `oracle` among the matches that a sieve is shown);
- solvers: those of `msga_ros.geometry.robust` that sample (`poselib`, `magsac`, ...).

Whatever the estimator, its inliers are *all* matches within the published threshold of its
essential matrix (full-size verification), so that precision and recall compare like with like; but
for a network without it, which answers for the matches that it kept alone.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from msga_ros.datasets.dumps import INLIER_THRESHOLD, Pair
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.matching import passing
from msga_ros.geometry.epipolar import symmetric_epipolar_distance_squared
from msga_ros.geometry.pose import PoseError, essential_matrix, pose_from_essential
from msga_ros.geometry.robust import SOLVERS
from msga_ros.geometry.robust.base import RobustEstimate
from msga_ros.network.match_scores import MatchScores
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.robust_pose import robust_estimate, solve
from msga_ros.two_view.sieves import SIEVES
from msga_ros.two_view.stages import NormalisedMatches, Sieve

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NETWORK = "msga"
LINEAR = "msga-linear"
GRADUATED = "graduated"  # what follows a sieve that is named alone
DEFAULT_ESTIMATORS = ("msga", "msga+poselib", "ratio+magsac", "ratio+poselib")


class EstimatorError(ValueError):
    """An unknown estimator, or a pair that lacks what one needs; the message says what."""


@dataclass(frozen=True)
class Estimate:
    """What an estimator says about one pair.

    Attributes:
        success: whether there is a pose.
        rotation, translation: `(3, 3)` and unit `(3,)`, `x' = R x + t`; NaN without success.
        inlier: `(N,)` bool over all matches of the pair, by full-size verification.
        milliseconds: from the matches to the pose (for the network: on its device).
        iterations: of the robust estimator; 0 where none ran.
    """

    success: bool
    rotation: Floats
    translation: Floats
    inlier: Bools
    milliseconds: float
    iterations: int


class Estimator(Protocol):
    """An estimator: putative matches to a relative pose."""

    name: str

    def __call__(self, pair: Pair) -> Estimate: ...


@dataclass(frozen=True)
class _Motion:
    """A pose and the matrix that inliers are verified against."""

    rotation: Floats
    translation: Floats
    essential: Floats
    iterations: int = 0


def _prefilter(pair: Pair, config: FrontendConfig) -> Bools:
    return passing(pair.ratios, pair.mutuals, config.ratio, config.mutual, config.max_matches)


def _true(pair: Pair, share: float = 1.0) -> Bools:
    return pair.residual < share * INLIER_THRESHOLD


_PRUNERS: dict[str, Callable[[Pair, FrontendConfig], Bools]] = {
    "ratio": lambda pair, _: pair.ratios < 0.8,
    "mutual+ratio": lambda pair, _: pair.mutuals & (pair.ratios < 0.9),
    "oracle": lambda pair, _: _true(pair),
    "oracle-tight": lambda pair, _: _true(pair, 0.1),
    "oracle-prefiltered": lambda pair, config: _true(pair) & _prefilter(pair, config),
}


def available() -> tuple[str, ...]:
    """All names that `create` knows."""
    sieves = SIEVES.names()
    pruned = (f"{pruner}+{solver}" for pruner in (*sieves, *_PRUNERS) for solver in solvers())
    return (*sieves, LINEAR, *pruned)


def sieve_of(name: str) -> str:
    """The sieve that the estimator starts with; "" for what needs none."""
    first = NETWORK if name == LINEAR else name.split("+")[0]
    return first if first in SIEVES else ""


def solvers() -> tuple[str, ...]:
    """The solvers that draw random samples: what can follow a pruner by name."""
    return tuple(name for name in SOLVERS.names() if name != GRADUATED)


def create(name: str, config: PipelineConfig, sieve: SharedSieve | None = None) -> Estimator:
    """The estimator of that name.

    Args:
        name: one of `available()`.
        config: `frontend.ratio`, `mutual` and `max_matches` filter what a sieve sees,
            `network.score_threshold` what it hands to a solver; `pose.threshold_px`, `confidence`,
            `max_iterations` and `seed` are the solver's.
        sieve: that of `sieve_of(name)`, where that is one.

    Raises:
        EstimatorError: unknown name, or no sieve where one is needed.
    """
    if name not in available():
        raise EstimatorError(f"unknown estimator {name!r}; there are: {', '.join(available())}")
    pruner, _, solver = name.rpartition("+")
    if not sieve_of(name):
        return _PrunedEstimator(name, _PRUNERS[pruner], solver, config)
    if sieve is None:
        raise EstimatorError(f"estimator {name!r} needs its sieve")
    if not pruner:
        solver = "" if name == LINEAR else GRADUATED
    return _SieveEstimator(name, sieve, solver, config)


class _PrunedEstimator:
    """A filter on the matches, then a robust estimator."""

    def __init__(
        self,
        name: str,
        prune: Callable[[Pair, FrontendConfig], Bools],
        solver: str,
        config: PipelineConfig,
    ) -> None:
        self.name = name
        self._prune = prune
        self._solver = solver
        self._config = config

    def __call__(self, pair: Pair) -> Estimate:
        started = time.perf_counter()
        rows = pair.correspondences[self._prune(pair, self._config.frontend)].astype(np.float64)
        threshold = _threshold(pair, self._config)
        motion = _found(solve(self._solver, rows, threshold, self._config.pose))
        return _estimate(pair, motion, _milliseconds_since(started))


class _SieveEstimator:
    """A sieve, then its own weighted solution or a robust estimator on its best matches.

    As in the pipeline, what the front end filters out the sieve does not see, and the sieve's own
    pose stands where a refinement finds none. Unlike there, a pose of few inliers is a pose.
    """

    def __init__(self, name: str, sieve: SharedSieve, solver: str, config: PipelineConfig) -> None:
        self.name = name
        self._sieve = sieve
        self._solver = solver
        self._config = config

    def __call__(self, pair: Pair) -> Estimate:
        scores, milliseconds = self._sieve(pair, self._config.frontend)
        started = time.perf_counter()
        motion = None
        if self._solver:
            rows = pair.correspondences.astype(np.float64)
            limit = self._config.network.score_threshold
            threshold = _threshold(pair, self._config)
            found, _ = robust_estimate(
                self._solver, scores, rows, limit, threshold, self._config.pose
            )
            motion = _found(found)
        if motion is None:
            motion = _own_motion(
                pair, scores.essential, scores.inliers(self._config.network.inlier_threshold)
            )
        estimate = _estimate(pair, motion, milliseconds + _milliseconds_since(started))
        if self._sieve.verifies:
            return estimate
        looked_at = np.isfinite(scores.residual)
        return dataclasses.replace(estimate, inlier=estimate.inlier & looked_at)


class SharedSieve:
    """A sieve whose scores on the last pair are kept: several estimators start from the same.

    The time it took then is every estimator's, as if each had run the sieve itself.
    """

    def __init__(self, sieve: Sieve) -> None:
        self._sieve = sieve
        self._last: tuple[Pair, FrontendConfig, MatchScores, float] | None = None

    @property
    def verifies(self) -> bool:
        """As `Sieve.verifies`."""
        return self._sieve.verifies

    def __call__(self, pair: Pair, config: FrontendConfig) -> tuple[MatchScores, float]:
        """The scores on all `N` matches, of which those that `config` filters out have an infinite
        residual, and the milliseconds it took."""
        last = self._last
        if last is None or last[0] is not pair or last[1] != config:
            self._last = last = (pair, config, *self._run(pair, config))
        return last[2], last[3]

    def _run(self, pair: Pair, config: FrontendConfig) -> tuple[MatchScores, float]:
        started = time.perf_counter()
        seen = np.flatnonzero(_prefilter(pair, config))
        everyone = np.ones(len(seen), dtype=bool)
        rows = pair.correspondences[seen].astype(np.float64)
        scores = self._sieve(NormalisedMatches(rows, everyone, pair.evidence[seen]))
        residual = np.full(len(pair.correspondences), np.inf)
        score = np.full(len(pair.correspondences), -np.inf)
        residual[seen], score[seen] = scores.residual, scores.score
        return MatchScores(scores.essential, residual, score), _milliseconds_since(started)


def _milliseconds_since(started: float) -> float:
    return 1e3 * (time.perf_counter() - started)


def _own_motion(pair: Pair, essential: Floats, inlier: Bools) -> _Motion | None:
    """The pose in a general 3x3 matrix; None where it holds none (too few matches)."""
    points0, points1 = _points(pair, inlier)
    try:
        pose = pose_from_essential(essential, points0, points1)
    except PoseError:
        return None
    return _Motion(pose.rotation, pose.translation, essential)


def _threshold(pair: Pair, config: PipelineConfig) -> float:
    """The solvers' threshold in normalised units."""
    focals = np.concatenate((pair.focal0, pair.focal1))
    if not (np.isfinite(focals).all() and (focals > 0).all()):
        raise EstimatorError(
            f"pair {pair.name}: no focal lengths in the dump (f1s, f2s); thresholds are in pixels"
        )
    return config.pose.threshold_px / float(focals.mean())


def _found(found: RobustEstimate) -> _Motion | None:
    if not found.success:
        return None
    essential = essential_matrix(found.rotation, found.translation)
    return _Motion(found.rotation, found.translation, essential, found.iterations)


def _points(pair: Pair, chosen: Bools) -> tuple[Floats, Floats]:
    rows = pair.correspondences[chosen].astype(np.float64)
    return rows[:, :2], rows[:, 2:]


def _estimate(pair: Pair, motion: _Motion | None, milliseconds: float) -> Estimate:
    if motion is None:
        nothing = np.zeros(len(pair.correspondences), dtype=bool)
        nan = np.full((3, 3), np.nan)
        return Estimate(False, nan, nan[0], nothing, milliseconds, 0)
    distance = symmetric_epipolar_distance_squared(
        torch.from_numpy(pair.correspondences.astype(np.float64)),
        torch.from_numpy(motion.essential),
    ).numpy()
    inlier = distance < INLIER_THRESHOLD
    return Estimate(
        True, motion.rotation, motion.translation, inlier, milliseconds, motion.iterations
    )
