"""What a turn on the spot leaves unexplained: without more than noise, there is no parallax."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ROUNDS = 15
_CONVERGED = 1e-3  # turns by less than that share of the median deviation change it no more
_SHARPNESS = 1e-5  # rad: deviations below this weigh alike


def turn_residuals(points0: Array, points1: Array) -> Array:
    """Angles (N,), rad, between the rays of view 1 and those of view 0 after the best rotation.

    Args:
        points0, points1: (N, 2) normalised coordinates, N at least 2, without NaN.

    The rotation has the least sum of deviations, not of their squares: some matches off the others
    do not move it. Iteratively weighted Procrustes problems (Kabsch, "A solution for the best
    rotation to relate two sets of vectors", Acta Crystallographica A 1976).
    """
    rays0, rays1 = _rays(points0), _rays(points1)
    weights = np.ones(len(rays0))
    residuals = np.full(len(rays0), np.nan)
    before = np.zeros((3, 3))
    for _ in range(_ROUNDS):
        u, _, vt = np.linalg.svd((rays1 * weights[:, None]).T @ rays0)
        u[:, 2] *= np.linalg.det(u @ vt)
        rotation = u @ vt
        apart = rays1 - rays0 @ rotation.T
        residuals = np.sqrt(np.einsum("ni,ni->n", apart, apart))
        if np.abs(rotation - before).max() < _CONVERGED * np.median(residuals):
            break
        before = rotation
        weights = 1.0 / np.maximum(residuals, _SHARPNESS)
    return 2 * np.arcsin(np.minimum(residuals / 2, 1.0))


def parallax_over_noise(points0: Array, points1: Array, squared_distances: Array) -> float:
    """What a turn leaves of the matches (N, 2) over their epipolar errors, medians of both.

    `squared_distances` (N,): symmetric epipolar, normalised, of the motion with parallax. NaN for
    less than two matches.
    """
    if len(points0) < 2:
        return float("nan")
    noise = float(np.sqrt(np.median(squared_distances) / 2))
    left = float(np.median(turn_residuals(points0, points1)))
    if noise == 0:
        return float("inf") if left > 0 else 0.0
    return left / noise


def _rays(points: Array) -> Array:
    rays = np.column_stack([points, np.ones(len(points))])
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)
