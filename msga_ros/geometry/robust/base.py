"""The estimate of a robust solver of relative pose, and the checks that they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from msga_ros.geometry.epipolar import sampson_distance_squared
from msga_ros.geometry.pose import PoseError, essential_matrix, pose_from_essential
from msga_ros.geometry.triangulation import parallax_angles

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
    inlier: npt.NDArray[np.bool_]  # (N,): Sampson distance below the threshold, not behind a view
    iterations: int  # samples drawn; 0 where the library does not say


# (points0, points1, threshold, seed, confidence, max_iterations) -> estimate; at least five
# different finite matches, float64 and contiguous, are certain.
Sampler = Callable[[Array, Array, float, int, float, int], RobustEstimate]


def failure(count: int, iterations: int = 0) -> RobustEstimate:
    """The estimate that there is none, for `count` matches."""
    unknown = np.full((3, 3), np.nan)
    return RobustEstimate(
        False, unknown, unknown[0].copy(), unknown.copy(), np.zeros(count, dtype=bool), iterations
    )


def verified(essential: Array, points0: Array, points1: Array, threshold: float) -> RobustEstimate:
    """The motion in an essential matrix (3, 3) with its inliers, which alone decide cheirality.

    `points0`, `points1`: (N, 2), normalised; a failure where the matrix is none, or where
    fewer than five matches agree with it.
    """
    correspondences = torch.from_numpy(np.hstack([points0, points1]))
    squared = sampson_distance_squared(correspondences, torch.from_numpy(essential))
    inlier = squared.numpy() < threshold**2
    try:
        pose = pose_from_essential(essential, points0[inlier], points1[inlier])
    except PoseError:
        return failure(len(points0))
    # The sign of a depth says nothing where the rays are parallel but for the noise.
    parallel = parallax_angles(points0[inlier], points1[inlier], pose.rotation) < 2 * threshold
    inlier[inlier] = pose.in_front | parallel
    if inlier.sum() < MINIMAL_SAMPLE:
        return failure(len(points0))
    refined = essential_matrix(pose.rotation, pose.translation)
    return RobustEstimate(True, pose.rotation, pose.translation, refined, inlier, 0)


def _enough(rows: Array) -> bool:
    """Whether at least five of the `(N, 4)` matches are different."""
    if len(np.unique(rows[:, 0])) >= MINIMAL_SAMPLE:  # mostly so, and much the quicker question
        return True
    return len(np.unique(rows, axis=0)) >= MINIMAL_SAMPLE


def guarded(solver: Sampler) -> Callable[..., RobustEstimate]:
    """`solver` as a `Solver` of the pipeline (`two_view/stages.py`), behind checks.

    Fewer than five different matches, or no model found: `success` is False, no exception. Raises
    `ValueError` for arrays of a wrong shape and parameters out of range. The same input and seed
    give the same estimate; what a sieve knows of the matches is not used (see `uses_scores`).
    """

    def estimate(
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
        first, second = np.asarray(points0, np.float64), np.asarray(points1, np.float64)
        if first.ndim != 2 or first.shape[1] != 2 or first.shape != second.shape:
            raise ValueError(f"points must be (N, 2) twice, not {first.shape}, {second.shape}")
        if not (threshold > 0 and 0 < confidence < 1 and max_iterations > 0):
            raise ValueError("threshold, max_iterations > 0 and confidence in (0, 1) are required")
        usable = np.isfinite(first).all(1) & np.isfinite(second).all(1)
        if not _enough(np.hstack([first[usable], second[usable]])):
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
    estimate.uses_scores = False  # type: ignore[attr-defined]
    return estimate


def uses_scores(solver: Callable[..., RobustEstimate]) -> bool:
    """Whether a solver weighs matches by their scores; one that samples says that it does not.

    It says so by an attribute of that name; without one it is taken to use them.
    """
    return bool(getattr(solver, "uses_scores", True))
