"""The a-contrario test: what chance gives, and what it does not."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from msga_ros.geometry.significance import chance_of_agreement, expected_false_alarms, spread


def test_no_more_inliers_than_determine_a_motion_mean_nothing() -> None:
    assert expected_false_alarms(100, 5, 0.01) == math.inf
    assert expected_false_alarms(3, 4, 0.01) == math.inf


def test_more_inliers_are_less_of_an_accident() -> None:
    expected = [expected_false_alarms(100, k, 0.01) for k in range(6, 100)]
    assert all(later < earlier for earlier, later in itertools.pairwise(expected))
    assert expected[0] > 1 > expected[-1]


def test_all_matches_inlying_with_certain_agreement_is_no_evidence() -> None:
    assert expected_false_alarms(50, 50, 1.0) > 1


def test_a_hand_computed_value() -> None:
    # (8 - 5) * C(8, 7) * C(7, 5) * 0.1^2
    assert expected_false_alarms(8, 7, 0.1) == pytest.approx(3 * 8 * 21 * 0.01)


def test_chance_is_the_share_of_the_image_near_a_line() -> None:
    generator = np.random.default_rng(0)
    points = generator.uniform((-0.8, -0.6), (0.8, 0.6), (20000, 2))
    threshold = 0.01
    # Lines through the middle, every direction: the share of points within the threshold.
    angles = generator.uniform(0, math.pi, 200)
    normals = np.stack((np.cos(angles), np.sin(angles)), 1)
    shares = (np.abs(points @ normals.T) < threshold).mean(0)
    chance = chance_of_agreement(points, threshold)
    assert shares.mean() < chance < 2.5 * shares.mean()  # the diagonal: longer than most lines


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.zeros((5, 2)), np.eye(2)[:1]])
def test_points_without_an_area(points: np.ndarray) -> None:
    assert chance_of_agreement(points, 0.01) == 1.0


def test_matches_of_one_spot_count_once() -> None:
    generator = np.random.default_rng(0)
    far = generator.uniform(-0.6, 0.6, (300, 4))
    patch = np.array([0.11, 0.11, -0.09, 0.31]) + generator.uniform(-0.005, 0.005, (200, 4))
    kept = spread(np.vstack([far, patch]), 0.04)
    # In either image: a patch that is laid on many places is one, and so is the other way round.
    assert kept[300:].sum() <= 1
    assert 200 < kept[:300].sum() <= 300
    for columns in (slice(0, 2), slice(2, 4)):
        cells = np.floor(np.vstack([far, patch])[kept, columns] / 0.04)
        assert len(np.unique(cells, axis=0)) == kept.sum()
    assert spread(np.empty((0, 4)), 0.04).shape == (0,)
