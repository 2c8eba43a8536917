"""Depths, 3-D points and parallax of matches under a known motion `x1 = R x0 + t`.

Points are in normalised coordinates `(N, 2)`, `ValueError` for another shape; `rotation` (3, 3),
`t` (3,); lengths are in units of `t`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_PARALLEL = 1e-12  # squared sine of the angle between rays that count as parallel (1e-6 rad)


def ray_depths(
    points0: npt.ArrayLike, points1: npt.ArrayLike, rotation: npt.ArrayLike, t: npt.ArrayLike
) -> tuple[Array, Array]:
    """Depths (z) of each match along its two rays, `(N,)` in camera 0 and `(N,)` in camera 1.

    They are those of the two ends of the shortest segment between the rays. They may be negative
    (behind the camera); rays that are parallel within 1e-6 rad give NaN: no finite depth.
    """
    ray0 = _rays(points0) @ np.asarray(rotation, dtype=np.float64).T  # in the axes of camera 1
    ray1 = _rays(points1)
    baseline = np.asarray(t, dtype=np.float64).reshape(3)
    # Least squares of depth0 * ray0 + t = depth1 * ray1.
    a, b, c = (ray0**2).sum(1), (ray0 * ray1).sum(1), (ray1**2).sum(1)
    d, e = ray0 @ baseline, ray1 @ baseline
    determinant = (np.cross(ray0, ray1) ** 2).sum(1)  # a c - b^2 without its cancellation
    determinant = np.where(determinant > _PARALLEL * a * c, determinant, np.nan)
    return (b * e - c * d) / determinant, (a * e - b * d) / determinant


def triangulate(
    points0: npt.ArrayLike, points1: npt.ArrayLike, rotation: npt.ArrayLike, t: npt.ArrayLike
) -> Array:
    """3-D points `(N, 3)` in the frame of camera 0: midpoints of the shortest segments.

    NaN for matches whose rays are parallel within 1e-6 rad (the point is at infinity). The sign of
    the depths is not looked at: points behind a camera come back too.
    """
    rotation = np.asarray(rotation, dtype=np.float64)
    depth0, depth1 = ray_depths(points0, points1, rotation, t)
    end0 = _rays(points0) * depth0[:, None]
    end1 = (
        _rays(points1) * depth1[:, None] - np.asarray(t, dtype=np.float64).reshape(3)
    ) @ rotation
    return (end0 + end1) / 2


def parallax_angles(
    points0: npt.ArrayLike, points1: npt.ArrayLike, rotation: npt.ArrayLike
) -> Array:
    """Angle `(N,)` in rad, 0..pi, between the two rays of each match, the rotation taken out."""
    ray0 = _rays(points0) @ np.asarray(rotation, dtype=np.float64).T
    ray1 = _rays(points1)
    sine = np.linalg.norm(np.cross(ray0, ray1), axis=1)
    return np.arctan2(sine, (ray0 * ray1).sum(1))


def _rays(points: npt.ArrayLike) -> Array:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"points must have the shape (N, 2), not {array.shape}")
    return np.column_stack([array, np.ones(len(array))])
