"""Rotations in their three forms are one and the same, at every angle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from msga_ros.geometry.rotations import (
    quaternion,
    rotation_from_quaternion,
    rotation_matrix,
    rotation_vector,
)

# Half a turn is at pi: both signs of the vector are right there.
vectors = st.tuples(*[st.floats(-1.8, 1.8)] * 3)


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    turn = rotation_matrix([0.0, 0.0, np.pi / 2])
    np.testing.assert_allclose(turn @ [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], atol=1e-12)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(quaternion(turn), [0.0, 0.0, half, half], atol=1e-12)
    np.testing.assert_allclose(rotation_from_quaternion([0.0, 0.0, half, half]), turn, atol=1e-12)


@given(vectors)
def test_each_form_leads_back(vector: tuple[float, float, float]) -> None:
    matrix = rotation_matrix(vector)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) > 0
    np.testing.assert_allclose(rotation_matrix(rotation_vector(matrix)), matrix, atol=1e-9)
    found = quaternion(matrix)
    assert found[3] >= 0.0 and np.linalg.norm(found) == pytest.approx(1.0)
    np.testing.assert_allclose(rotation_from_quaternion(found), matrix, atol=1e-9)
    np.testing.assert_allclose(rotation_from_quaternion(-3.0 * np.array(found)), matrix, atol=1e-9)


@pytest.mark.parametrize("axis", np.eye(3))
def test_half_a_turn(axis: np.ndarray) -> None:
    matrix = rotation_matrix(np.pi * axis)
    np.testing.assert_allclose(matrix, 2.0 * np.outer(axis, axis) - np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.abs(quaternion(matrix)), [*axis, 0.0], atol=1e-12)


def test_a_quaternion_of_zeros_is_an_error() -> None:
    with pytest.raises(ValueError, match="zero norm"):
        rotation_from_quaternion([0.0, 0.0, 0.0, 0.0])


def test_small_and_large_rotation_vectors() -> None:
    """As by SciPy, to the last digits, and exactly the identity for none."""
    np.testing.assert_array_equal(rotation_matrix([0.0, 0.0, 0.0]), np.eye(3))
    rng = np.random.default_rng(3)
    for angle in (1e-12, 1e-7, 1e-3, 1.0, np.pi - 1e-9, np.pi, 4.0, 20.0):
        axis = rng.normal(size=3)
        vector = angle * axis / np.linalg.norm(axis)
        expected = Rotation.from_rotvec(vector).as_matrix()
        np.testing.assert_allclose(rotation_matrix(vector), expected, rtol=0, atol=3e-15)
