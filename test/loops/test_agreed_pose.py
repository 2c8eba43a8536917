"""One pose of two that the depths of different neighbours gave."""

from __future__ import annotations

import numpy as np
import pytest

from msga_ros.geometry.pose import rotation_angle_deg
from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.loops.agreed_pose import agreed
from msga_ros.odometry.poses import UncertainPose

SIGMA = 0.02


def pose(length: float, turn: float = 0.0, sigma: float = SIGMA) -> UncertainPose:
    """`length` metres ahead, turned about the vertical."""
    turned = rotation_matrix([0.0, turn, 0.0])
    return UncertainPose(turned, np.array([0.0, 0.0, length]), sigma**2 * np.eye(6))


def test_estimates_that_agree_are_as_certain_as_one() -> None:
    found = agreed([pose(2.0, 0.1), pose(2.0, 0.1)])
    np.testing.assert_allclose(found.position, [0, 0, 2.0])
    np.testing.assert_allclose(found.rotation, rotation_matrix([0.0, 0.1, 0.0]), atol=1e-12)
    np.testing.assert_allclose(found.covariance, SIGMA**2 * np.eye(6), atol=1e-12)


def test_what_they_differ_by_is_in_the_covariance() -> None:
    found = agreed([pose(1.8, 0.0), pose(2.2, 0.06)])
    np.testing.assert_allclose(found.position, [0, 0, 2.0])
    assert rotation_angle_deg(found.rotation) == pytest.approx(np.degrees(0.03))
    # Of the sample of two: half the difference squared, times two over one.
    np.testing.assert_allclose(found.covariance[2, 2], SIGMA**2 + 0.4**2 / 2)
    np.testing.assert_allclose(found.covariance[4, 4], SIGMA**2 + 0.06**2 / 2)
    np.testing.assert_allclose(found.covariance[2, 4], 0.4 * 0.06 / 2)
    np.testing.assert_allclose(found.covariance[0, 0], SIGMA**2)


def test_the_more_certain_one_counts_more() -> None:
    found = agreed([pose(1.0, sigma=0.1), pose(2.0, sigma=0.01)])
    assert 1.98 < found.position[2] < 2.0


def test_a_length_that_nothing_confirms_is_uncertain_by_a_share_of_it() -> None:
    found = agreed([pose(3.0)])
    np.testing.assert_allclose(found.position, [0, 0, 3.0])
    assert found.covariance[2, 2] == pytest.approx(SIGMA**2 + 0.3**2)
    np.testing.assert_allclose(np.diag(found.covariance)[[0, 1, 3, 4, 5]], SIGMA**2)
