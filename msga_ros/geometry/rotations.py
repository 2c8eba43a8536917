"""Rotations as matrices, rotation vectors and quaternions, mostly by `scipy.spatial.transform`.

Quaternions are (x, y, z, w), as in ROS and in TUM trajectories.
"""

from __future__ import annotations

import math

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
    """`exp([vector])`, (3, 3), of a rotation vector (3,) in rad.

    Rodrigues' formula, written out: the adjustments ask for it at every step, and SciPy takes ten
    times as long for a single one.
    """
    x, y, z = np.asarray(vector, np.float64).ravel().tolist()
    angle = math.hypot(x, y, z)
    # sin(a) / a, and (1 - cos(a)) / a^2 without the cancellation of small angles
    sine = math.sin(angle) / angle if angle > 0 else 1.0
    half = math.sin(angle / 2) / angle if angle > 0 else 0.5
    versine = 2 * half * half
    xy, xz, yz = versine * x * y, versine * x * z, versine * y * z
    xx, yy, zz = versine * x * x, versine * y * y, versine * z * z
    x, y, z = sine * x, sine * y, sine * z
    return np.array(
        [
            [1 - yy - zz, xy - z, xz + y],
            [xy + z, 1 - xx - zz, yz - x],
            [xz - y, yz + x, 1 - xx - yy],
        ]
    )


def rotation_vector(rotation: ArrayLike) -> Array:
    """Rotation vector (3,) in rad of a rotation matrix (3, 3)."""
    return np.asarray(Rotation.from_matrix(np.asarray(rotation, np.float64)).as_rotvec())


def rotation_from_quaternion(quaternion: ArrayLike) -> Array:
    """Rotation matrix (3, 3) of a quaternion (x, y, z, w) of any length; `ValueError` if zero."""
    return np.asarray(Rotation.from_quat(np.asarray(quaternion, np.float64).ravel()).as_matrix())


def quaternions(rotations: ArrayLike) -> Array:
    """Unit quaternions (N, 4), x, y, z, w with w not negative, of rotation matrices (N, 3, 3)."""
    found = Rotation.from_matrix(np.asarray(rotations, np.float64)).as_quat()
    return np.asarray(np.where(found[:, 3:] < 0, -found, found))


def quaternion(rotation: ArrayLike) -> tuple[float, float, float, float]:
    """Unit quaternion (x, y, z, w), w not negative, of a rotation matrix (3, 3)."""
    x, y, z, w = Rotation.from_matrix(np.asarray(rotation, np.float64)).as_quat().tolist()
    return (-x, -y, -z, -w) if w < 0 else (x, y, z, w)
