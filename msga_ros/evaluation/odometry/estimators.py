"""The ways to remove outliers that `msga vo` compares, each a `Relate` of the odometry.

A name is `PRUNER`, or `PRUNER+SOLVER`, where the pruner is a sieve such as `msga` (what scores
above `network.score_threshold`), `ratio` (ratio test 0.8) or `mutual+ratio` (mutual check and ratio
test 0.9), and the solver one that samples, whose inliers are kept.
Alone, a sieve keeps the inliers of the solution without random sampling (`graduated`), and what is
found from a sieve's scores is compared with other motions, both as in `msga eval`. All of
them see the same putative matches.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit  # type: ignore[import-untyped]

from msga_ros.evaluation.estimators import GRADUATED, solvers
from msga_ros.frontend import Features
from msga_ros.geometry.camera import Camera
from msga_ros.network.match_scores import MatchScores
from msga_ros.odometry.matches import FilteredMatches
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.robust_pose import robust_estimate, solve
from msga_ros.two_view.sieves import SIEVES
from msga_ros.two_view.stages import Frontend, NormalisedMatches, Sieve

Bools = NDArray[np.bool_]

DEFAULT_ESTIMATORS = ("msga", "msga+poselib", "ratio+magsac", "ratio+poselib")
RATIO = 0.8
MUTUAL_RATIO = 0.9


class EstimatorError(ValueError):
    """An unknown name, or no network where one is needed; the message says what."""


@dataclass(frozen=True)
class Putative:
    """Nearest neighbours of two views before anything is removed, (N, ...) row by row."""

    indices0: NDArray[np.int64]
    indices1: NDArray[np.int64]
    normalised: NormalisedMatches
    ratio: NDArray[np.float32]  # NaN where the front end does not say
    mutual: Bools
    focal: float  # mean of both views, pixels
    milliseconds: float


class PutativeMatcher:
    """Matches views; the last `capacity` pairs are kept, so that several filters see the same."""

    def __init__(self, frontend: Frontend, capacity: int = 64) -> None:
        self._frontend = frontend
        self._capacity = capacity
        self._kept: dict[tuple[int, int], tuple[Features, Features, Putative]] = {}

    def __call__(
        self, features0: Features, features1: Features, camera0: Camera, camera1: Camera
    ) -> Putative:
        key = (id(features0), id(features1))  # the features are kept too: their ids stay theirs
        if key not in self._kept:
            if len(self._kept) >= self._capacity:
                del self._kept[next(iter(self._kept))]
            found = self._match(features0, features1, camera0, camera1)
            self._kept[key] = (features0, features1, found)
        return self._kept[key][2]

    def _match(
        self, features0: Features, features1: Features, camera0: Camera, camera1: Camera
    ) -> Putative:
        started = time.perf_counter()
        matches = self._frontend.match(features0, features1)
        ratio, mutual = matches.evidence[:, :2].T
        return Putative(
            *matches.feature_indices,
            NormalisedMatches.of(matches, camera0, camera1),
            ratio,
            mutual == 1,
            (camera0.mean_focal + camera1.mean_focal) / 2,
            1e3 * (time.perf_counter() - started),
        )


class SharedScores:
    """A sieve's scores, kept like the putative matches they belong to."""

    def __init__(self, sieve: Sieve, capacity: int = 64) -> None:
        self._sieve = sieve
        self._capacity = capacity
        self._kept: dict[int, tuple[Putative, MatchScores, float]] = {}

    def __call__(self, putative: Putative) -> tuple[MatchScores, float]:
        """The scores, and the milliseconds it took."""
        key = id(putative)
        if key not in self._kept:
            if len(self._kept) >= self._capacity:
                del self._kept[next(iter(self._kept))]
            started = time.perf_counter()
            scores = self._sieve(putative.normalised)
            elapsed = 1e3 * (time.perf_counter() - started)
            self._kept[key] = (putative, scores, elapsed)
        return self._kept[key][1:]


class EstimatorRelate:
    """The estimator `name` as a `Relate`.

    `milliseconds` adds up what its work costs: matches and scores that another estimator had
    already asked for count as if they were made again. `stereo` prunes only: a rig is known and
    needs no estimate of its geometry.
    """

    def __init__(
        self,
        name: str,
        config: PipelineConfig,
        matcher: PutativeMatcher,
        scores: SharedScores | None,
    ) -> None:
        """Raises `EstimatorError`."""
        if name not in available():
            raise EstimatorError(f"unknown estimator {name!r}; there are: {', '.join(available())}")
        if sieve_of(name) and scores is None:
            raise EstimatorError(f"estimator {name!r} needs its sieve")
        self.name = name
        self.milliseconds = 0.0
        self._spent = 0.0
        parts = name.split("+")
        self._solver = parts[-1] if parts[-1] in solvers() else ""
        self._pruner = name.removesuffix(f"+{self._solver}") if self._solver else name
        self._config = config
        self._matcher = matcher
        self._scores = scores

    def __call__(
        self, features0: Features, features1: Features, camera0: Camera, camera1: Camera
    ) -> FilteredMatches:
        """Matches that the pruner lets through and the solver agrees with."""
        solver = self._solver or (GRADUATED if self._scores is not None else "")
        return self._timed(solver, features0, features1, camera0, camera1)

    def stereo(
        self, left: Features, right: Features, camera0: Camera, camera1: Camera
    ) -> FilteredMatches:
        """Matches of a stereo pair that the pruner lets through."""
        return self._timed("", left, right, camera0, camera1)

    def take_spent(self) -> float:
        """Milliseconds that calls really took since this was last asked."""
        spent, self._spent = self._spent, 0.0
        return spent

    def _timed(
        self, solver: str, features0: Features, features1: Features, *cameras: Camera
    ) -> FilteredMatches:
        started = time.perf_counter()
        filtered = self._filter(self._matcher(features0, features1, *cameras), solver)
        self._spent += 1e3 * (time.perf_counter() - started)
        return filtered

    def _filter(self, putative: Putative, solver: str) -> FilteredMatches:
        scores = None
        if self._scores is not None:
            scores, milliseconds = self._scores(putative)
            self.milliseconds += milliseconds
            kept = scores.candidates(self._config.network.score_threshold)
            probability = expit(scores.score).astype(np.float32)
        else:
            kept = self._classical(putative)
            probability = kept.astype(np.float32)
        started = time.perf_counter()
        if solver:
            rows, pose = putative.normalised.correspondences, self._config.pose
            threshold = pose.threshold_px / putative.focal
            if scores is not None:
                limit = self._config.network.score_threshold
                found, _ = robust_estimate(solver, scores, rows, limit, threshold, pose)
            else:
                found = solve(solver, rows[kept], threshold, pose)
            kept[kept] = found.inlier
        self.milliseconds += putative.milliseconds + 1e3 * (time.perf_counter() - started)
        return FilteredMatches(putative.indices0, putative.indices1, kept, probability)

    def _classical(self, putative: Putative) -> Bools:
        """What the ratio test passes, and the mutual check where it is asked for."""
        kept = putative.normalised.valid.copy()
        kept &= putative.ratio < (RATIO if self._pruner == "ratio" else MUTUAL_RATIO)
        if self._pruner != "ratio":
            kept &= putative.mutual
        return np.asarray(kept)


def available() -> tuple[str, ...]:
    """All names that `EstimatorRelate` knows."""
    pruners = (*SIEVES.names(), "ratio", "mutual+ratio")
    solved = (f"{pruner}+{solver}" for pruner in pruners for solver in solvers())
    return (*pruners, *solved)


def sieve_of(name: str) -> str:
    """The sieve that the estimator starts with; "" for what needs none."""
    first = name.split("+")[0]
    return first if first in SIEVES else ""
