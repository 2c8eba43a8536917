"""What a turn on the spot leaves unexplained."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from msga_ros.geometry.turn import parallax_over_noise, turn_residuals

ROTATION = Rotation.from_rotvec((0.1, -0.2, 0.3)).as_matrix()


def seen(points: np.ndarray) -> np.ndarray:
    return points[:, :2] / points[:, 2:]


def world(count: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.column_stack([generator.uniform(-2, 2, (count, 2)), generator.uniform(3, 6, count)])


def test_nothing_is_left_of_a_turn_whatever_the_depths() -> None:
    points = world(200)
    assert turn_residuals(seen(points), seen(points @ ROTATION.T)).max() < 1e-7


def test_noise_is_what_is_left_and_outliers_do_not_move_the_rotation() -> None:
    points = world(400)
    view1 = seen(points @ ROTATION.T)
    noise = np.random.default_rng(1).normal(scale=1e-3, size=view1.shape)
    view1 += noise
    view1[:100] += 0.2
    left = turn_residuals(seen(points), view1)
    # Radially, a difference of image coordinates is less of an angle.
    assert 0.5 < np.median(left[100:]) / np.median(np.linalg.norm(noise, axis=1)) < 1.0
    assert left[:100].min() > 0.05


def test_a_step_leaves_its_parallax() -> None:
    points = world(400)
    step = np.array([0.3, 0.0, 0.0])
    left = np.median(turn_residuals(seen(points), seen(points @ ROTATION.T + step)))
    # Of some 0.3 / 4.5, the rotation takes what is common to all depths.
    assert 0.003 < left < 0.05


def test_parallax_counts_by_the_noise() -> None:
    points = world(400)
    noise = np.random.default_rng(1).normal(scale=1e-3, size=(400, 2))
    turned = seen(points @ ROTATION.T) + noise
    stepped = seen(points @ ROTATION.T + np.array([0.3, 0.0, 0.0])) + noise
    squares = 2 * noise[:, 1] ** 2
    assert parallax_over_noise(seen(points), turned, squares) < 3
    assert parallax_over_noise(seen(points), stepped, squares) > 6
    assert parallax_over_noise(seen(points), stepped, np.zeros(400)) == np.inf
    assert np.isnan(parallax_over_noise(seen(points)[:1], turned[:1], squares[:1]))
