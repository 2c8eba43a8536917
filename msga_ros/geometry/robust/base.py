"""The interface of the robust estimators of relative pose, and the checks they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MINIMAL_SAMPLE = 5  # matches that determine an essential matrix (up to ten solutions)


@dataclass(frozen=True)
class RobustEstimate:
    """Motion `x1 = R x0 + t` and the matches that agree with it.

    Without success `rotation`, `translation` and `essential` are NaN and no match is an inlier.
    """

    success: bool
    rotation: Array  # (3, 3)
    translation: Array  # (3,), unit
    essential: Array  # (3, 3), [t]_x R, Frobenius norm 1
    inlier: npt.NDArray[np.bool_]  # (N,): Sampson distance below the threshold, in front of both
    iterations: int  # samples drawn; 0 where the library does not say


class RobustEstimator(Protocol):
    """What `ROBUST_ESTIMATORS` holds."""

    def __call__(
        self,
        points0: npt.ArrayLike,
        points1: npt.ArrayLike,
        threshold: float,
        *,
        seed: int = 0,
        confidence: float = 0.9999,
        max_iterations: int = 10_000,
    ) -> RobustEstimate:
        """Estimate the motion from matches with outliers.

        Args:
            points0, points1: `(N, 2)`, normalised coordinates. Rows with NaN are never inliers.
            threshold: largest Sampson distance of an inlier, normalised units (pixels divided by
                the mean focal length).
            seed: of the sampling; the same input and seed give the same estimate.
            confidence: probability to have drawn a clean sample at which sampling may stop.
            max_iterations: samples drawn at most.

        Fewer than five different matches, or no model found: `success` is False, no exception.
        Raises `ValueError` for arrays of a wrong shape and parameters out of range.
        """
        ...


# (points0, points1, threshold, seed, confidence, max_iterations) -> estimate; at least five
# different finite matches, float64 and contiguous, are certain.
Solver = Callable[[Array, Array, float, int, float, int], RobustEstimate]


def failure(count: int, iterations: int = 0) -> RobustEstimate:
    """The estimate that there is none, for `count` matches."""
    unknown = np.full((3, 3), np.nan)
    return RobustEstimate(
        False, unknown, unknown[0].copy(), unknown.copy(), np.zeros(count, dtype=bool), iterations
    )


def guarded(solver: Solver) -> RobustEstimator:
    """`solver` behind the checks of `RobustEstimator`."""

    def estimate(
        points0: npt.ArrayLike,
        points1: npt.ArrayLike,
        threshold: float,
        *,
        seed: int = 0,
        confidence: float = 0.9999,
        max_iterations: int = 10_000,
    ) -> RobustEstimate:
        first, second = np.asarray(points0, np.float64), np.asarray(points1, np.float64)
        if first.ndim != 2 or first.shape[1] != 2 or first.shape != second.shape:
            raise ValueError(f"points must be (N, 2) twice, not {first.shape}, {second.shape}")
        if not (threshold > 0 and 0 < confidence < 1 and max_iterations > 0):
            raise ValueError("threshold, max_iterations > 0 and confidence in (0, 1) are required")
        usable = np.isfinite(first).all(1) & np.isfinite(second).all(1)
        distinct = np.unique(np.hstack([first[usable], second[usable]]), axis=0)
        if len(distinct) < MINIMAL_SAMPLE:
            return failure(len(first))
        found = solver(
            np.ascontiguousarray(first[usable]),
            np.ascontiguousarray(second[usable]),
            float(threshold),
            int(seed),
            float(confidence),
            int(max_iterations),
        )
        if not found.success:
            return failure(len(first), found.iterations)
        inlier = np.zeros(len(first), dtype=bool)
        inlier[usable] = found.inlier
        return RobustEstimate(
            True, found.rotation, found.translation, found.essential, inlier, found.iterations
        )

    estimate.__doc__ = solver.__doc__
    return estimate
