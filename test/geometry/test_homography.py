"""The plane that most matches lie on."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from msga_ros.geometry.robust.homography import Homography, homography_of_most

THRESHOLD = 1e-3
TURN = Rotation.from_rotvec([0.02, 0.1, -0.05]).as_matrix()
STEP = np.array([0.3, -0.1, 0.2])
NORMAL = np.array([0.2, -0.3, 1.0]) / 3.0  # of the plane n X = 1


def matches(count: int) -> np.ndarray:
    """`(N, 4)`, of points on the plane."""
    xy = np.random.default_rng(0).uniform(-0.4, 0.4, (count, 2))
    rays = np.column_stack([xy, np.ones(count)])
    there = (rays / (rays @ NORMAL)[:, None]) @ TURN.T + STEP
    return np.hstack([xy, there[:, :2] / there[:, 2:]])


def plane_of(rows: np.ndarray) -> Homography | None:
    return homography_of_most(rows, np.ones(len(rows), dtype=bool), THRESHOLD)


def test_the_true_motion_is_one_of_those_in_the_homography() -> None:
    plane = plane_of(matches(1000))
    assert plane is not None
    assert plane.agree.all()
    turned = np.einsum("sij,ij->s", plane.rotation, TURN)
    along = np.abs(plane.translation @ STEP) / np.linalg.norm(STEP)
    assert np.minimum((turned - 1) / 2, along).max() > 1 - 1e-6
    np.testing.assert_allclose(np.linalg.norm(plane.translation, axis=1), 1.0)


def test_matches_off_the_plane_do_not_agree_and_others_may_without_being_chosen() -> None:
    rows = matches(60)
    rows[:20, 2] += 5 * THRESHOLD
    chosen = np.arange(60) < 50
    plane = homography_of_most(rows, chosen, THRESHOLD)
    assert plane is not None
    np.testing.assert_array_equal(plane.agree, np.arange(60) >= 20)


def test_there_is_none_of_three_matches_or_of_one_line() -> None:
    assert plane_of(matches(3)) is None
    along = np.linspace(-0.3, 0.3, 30)
    plane = plane_of(np.column_stack([along, along, along, along]))
    assert plane is None or np.isfinite(plane.rotation).all()
