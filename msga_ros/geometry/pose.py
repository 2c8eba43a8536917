"""Relative pose of two views from the essential matrix; errors against a known pose.

Convention everywhere: `x1 = R x0 + t`, view 0 the reference, and `E = [t]_x R` up to scale. Points
are in normalised coordinates; a two-view translation has length 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.triangulation import parallax_angles, ray_depths

Array = npt.NDArray[np.float64]


class PoseError(ValueError):
    """A matrix that is no essential matrix (NaN, rank below 2), or points of a wrong shape."""


def cross(one: npt.ArrayLike, other: npt.ArrayLike) -> Array:
    """Cross products (..., 3) of vectors; of a few hundred, quicker than `numpy.cross`."""
    a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    result = np.empty(np.broadcast_shapes(a.shape, b.shape))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        np.subtract(a[..., j] * b[..., k], a[..., k] * b[..., j], out=result[..., i])
    return result


@dataclass(frozen=True)
class RelativePose:
    """Motion `x1 = R x0 + t`; `in_front` says for each match whether both depths are positive."""

    rotation: Array  # (3, 3)
    translation: Array  # (3,), unit
    in_front: npt.NDArray[np.bool_]  # (N,)


def skew(vector: npt.ArrayLike) -> Array:
    """Matrix `(3, 3)` of the cross product with `vector` `(3,)`."""
    x, y, z = np.asarray(vector, dtype=np.float64)
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def essential_matrix(rotation: npt.ArrayLike, translation: npt.ArrayLike) -> Array:
    """`[t]_x R` with Frobenius norm 1, `(3, 3)`; all zeros where `t` is zero."""
    product = skew(translation) @ np.asarray(rotation, dtype=np.float64)
    norm = np.linalg.norm(product)
    return product / norm if norm > 0 else product


def decompose_essential(essential: npt.ArrayLike) -> tuple[Array, Array, Array]:
    """The two rotations `(3, 3)` and the unit translation `(3,)` of an essential matrix.

    The four motions are each rotation with `t` and `-t`. A matrix whose two larger singular values
    differ (as the eight-point algorithm yields) is taken for the closest one where they are equal;
    the scale and sign of `essential` do not matter. Raises `PoseError` for NaN and for a rank
    below 2.

    Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., result 9.19.
    """
    matrix = np.asarray(essential, dtype=np.float64)
    if matrix.shape != (3, 3):
        raise PoseError(f"the essential matrix must be 3x3, not {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise PoseError("the essential matrix holds NaN or infinity")
    u, singular, vt = np.linalg.svd(matrix)
    if not singular[1] > 1e-9 * singular[0]:
        raise PoseError(f"the essential matrix has a rank below 2 (singular values {singular})")
    u = u * np.sign(np.linalg.det(u))
    vt = vt * np.sign(np.linalg.det(vt))
    w = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    return u @ w @ vt, u @ w.T @ vt, u[:, 2].copy()


def pose_from_essential(
    essential: npt.ArrayLike, points0: npt.ArrayLike, points1: npt.ArrayLike
) -> RelativePose:
    """The one of the four motions that puts most matches in front of both cameras.

    `points0`, `points1` are `(N, 2)` normalised: the inliers of `essential` alone, for outliers
    vote too and can turn the translation round. Depths count by their sign alone: there is no
    largest depth, so a small parallax is not punished (OpenCV's `recoverPose` drops points farther
    than 50 baselines). A tie (such as without any point) goes to the smaller rotation, then to the
    direction with more positive depths in single views, then to the order of
    `decompose_essential`: the same input always gives the same pose. A match with parallel rays, or
    with NaN, counts for no motion. Raises `PoseError`.
    """
    first, second = _points(points0), _points(points1)
    if first.shape != second.shape:
        raise PoseError(f"{len(first)} points in view 0 but {len(second)} in view 1")
    rotation_a, rotation_b, direction = decompose_essential(essential)
    best: tuple[tuple[int, float, float], RelativePose] | None = None
    for rotation in (rotation_a, rotation_b):
        # The depths of -t are the depths of t with the sign turned: one computation serves both.
        depth0, depth1 = ray_depths(first, second, rotation, direction)
        for sign in (1.0, -1.0):
            in_front = (sign * depth0 > 0) & (sign * depth1 > 0)
            sides = float(sign * np.nansum(np.sign(depth0) + np.sign(depth1)))
            merit = (int(in_front.sum()), round(float(np.trace(rotation)), 9), sides)
            if best is None or merit > best[0]:
                best = (merit, RelativePose(rotation, sign * direction, in_front))
    assert best is not None
    return best[1]


def invert_pose(rotation: npt.ArrayLike, translation: npt.ArrayLike) -> tuple[Array, Array]:
    """`(R^T, -R^T t)`, (3, 3) and (3,): from `x1 = R x0 + t` to `x0 = R' x1 + t'`, or back."""
    inverse = np.asarray(rotation, dtype=np.float64).T.copy()
    return inverse, -inverse @ np.asarray(translation, dtype=np.float64)


def rotation_angle_deg(rotation: npt.ArrayLike) -> float:
    """Angle of a rotation `(3, 3)` in degrees, 0..180; accurate near both ends. NaN for NaN."""
    matrix = np.asarray(rotation, dtype=np.float64)
    axis = (matrix - matrix.T)[[2, 0, 1], [1, 2, 0]]  # 2 sin(angle) times the axis
    return float(np.rad2deg(np.arctan2(np.linalg.norm(axis), np.trace(matrix) - 1.0)))


def pose_error_deg(
    rotation: npt.ArrayLike,
    translation: npt.ArrayLike,
    rotation_true: npt.ArrayLike,
    translation_true: npt.ArrayLike,
    signed: bool = False,
) -> tuple[float, float]:
    """Angle between the rotations (3, 3), and between the directions of translation (3,), degrees.

    By default the translation counts up to its sign, `min(e, 180 - e)`, as in the evaluations that
    the field publishes (Yi et al., CVPR 2018, and after); `signed=True` counts a reversed
    translation as 180. A translation of length zero gives NaN.
    """
    relative = np.asarray(rotation, dtype=np.float64) @ np.asarray(rotation_true, np.float64).T
    a = np.asarray(translation, dtype=np.float64).ravel()
    b = np.asarray(translation_true, dtype=np.float64).ravel()
    angle = float(np.rad2deg(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))
    if not (a.any() and b.any()):
        angle = float("nan")
    return rotation_angle_deg(relative), angle if signed else min(angle, 180.0 - angle)


def median_parallax(points0: npt.ArrayLike, points1: npt.ArrayLike, rotation: Array) -> float:
    """Median of `parallax_angles`, rad, over the matches `points0`, `points1` (N, 2) without NaN;
    NaN where there is none."""
    angles = parallax_angles(points0, points1, rotation)
    angles = angles[np.isfinite(angles)]
    return float(np.median(angles)) if len(angles) else float("nan")


def _points(points: npt.ArrayLike) -> Array:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise PoseError(f"points must have the shape (N, 2), not {array.shape}")
    return array
