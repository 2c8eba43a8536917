"""Rotations as matrices, rotation vectors and quaternions, by `scipy.spatial.transform`.

Quaternions are (x, y, z, w), as in ROS and in TUM trajectories.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]

# Largest entry of R^T R - 1 of a matrix that was written with three decimals.
_ROUNDING = 2e-3


def checked_rotation(matrix: ArrayLike) -> Array:
    """The rotation (3, 3) nearest to `matrix`, which may be rounded to three decimals.

    Raises `ValueError` for anything else: NaN, a reflection, zeros, a scaled or skew matrix.
    """
    given = np.asarray(matrix, dtype=np.float64).reshape(3, 3)
    if not np.isfinite(given).all():
        raise ValueError("is no rotation: it holds NaN or infinity")
    with np.errstate(over="ignore", invalid="ignore"):
        error = float(np.abs(given.T @ given - np.eye(3)).max())
    if not error < _ROUNDING:
        raise ValueError(f"is no rotation: R^T R differs from the identity by {error:.2g}")
    if np.linalg.det(given) < 0:
        raise ValueError("is no rotation but a reflection (determinant -1)")
    if error < 1e-9:  # as exact as it can be
        return given
    left, _, right = np.linalg.svd(given)
    return np.asarray(left @ right)


def rotation_matrix(vector: ArrayLike) -> Array:
    """`exp([vector])`, (3, 3), of a rotation vector (3,) in rad."""
    return np.asarray(Rotation.from_rotvec(np.asarray(vector, np.float64).ravel()).as_matrix())


def rotation_vector(rotation: ArrayLike) -> Array:
    """Rotation vector (3,) in rad of a rotation matrix (3, 3)."""
    return np.asarray(Rotation.from_matrix(np.asarray(rotation, np.float64)).as_rotvec())


def rotation_from_quaternion(quaternion: ArrayLike) -> Array:
    """Rotation matrix (3, 3) of a quaternion (x, y, z, w) of any length; `ValueError` if zero."""
    return np.asarray(Rotation.from_quat(np.asarray(quaternion, np.float64).ravel()).as_matrix())


def quaternion(rotation: ArrayLike) -> tuple[float, float, float, float]:
    """Unit quaternion (x, y, z, w), w not negative, of a rotation matrix (3, 3)."""
    x, y, z, w = Rotation.from_matrix(np.asarray(rotation, np.float64)).as_quat().tolist()
    return (-x, -y, -z, -w) if w < 0 else (x, y, z, w)
