"""Rotations as matrices, rotation vectors and quaternions, by `scipy.spatial.transform`.

Quaternions are (x, y, z, w), as in ROS and in TUM trajectories.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


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
