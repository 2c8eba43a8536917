"""Augmentations: matches and motion stay true to each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from msga_ros.geometry.epipolar import essential_from_pose, symmetric_epipolar_distance_squared
from msga_ros.training.augmentation import (
    Sample,
    augmented,
    crop,
    mirror,
    rotation_about,
    swap_views,
    turn_cameras,
)


def true_sample(seed: int) -> Sample:
    """40 noiseless matches of a random motion."""
    generator = np.random.default_rng(seed)
    rotation = rotation_about(generator.normal(size=3), generator.uniform(0, 0.4))
    translation = generator.normal(size=3)
    translation /= np.linalg.norm(translation)
    points = generator.uniform((-2, -2, 4), (2, 2, 9), (40, 3))
    moved = points @ rotation.T + translation
    matches = np.hstack((points[:, :2] / points[:, 2:], moved[:, :2] / moved[:, 2:]))
    return Sample(matches, rotation, translation)


def residual(sample: Sample) -> np.ndarray:
    essential = essential_from_pose(
        torch.from_numpy(np.ascontiguousarray(sample.rotation)),
        torch.from_numpy(np.ascontiguousarray(sample.translation)),
    )
    matches = torch.from_numpy(np.ascontiguousarray(sample.correspondences))
    return symmetric_epipolar_distance_squared(matches, essential).numpy()


def assert_true_motion(sample: Sample) -> None:
    assert residual(sample).max() < 1e-16
    np.testing.assert_allclose(sample.rotation @ sample.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(sample.rotation) == pytest.approx(1.0)
    assert np.linalg.norm(sample.translation) == pytest.approx(1.0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_every_augmentation_keeps_matches_and_motion_together(seed: int) -> None:
    sample = true_sample(seed)
    assert_true_motion(sample)
    assert_true_motion(swap_views(sample))
    assert_true_motion(mirror(sample))
    turn = rotation_about(np.array([0.3, -0.2, 1.0]), 0.3)
    assert_true_motion(turn_cameras(sample, turn, turn.T))
    assert_true_motion(augmented(sample, np.random.default_rng(seed)))


def test_augmentation_changes_something() -> None:
    sample = true_sample(3)
    changed = augmented(sample, np.random.default_rng(0))
    assert np.abs(changed.correspondences - sample.correspondences).max() > 1e-3


def test_swapping_or_mirroring_twice_is_nothing() -> None:
    sample = true_sample(1)
    for twice in (swap_views(swap_views(sample)), mirror(mirror(sample))):
        np.testing.assert_allclose(twice.correspondences, sample.correspondences)
        np.testing.assert_allclose(twice.rotation, sample.rotation, atol=1e-12)
        np.testing.assert_allclose(twice.translation, sample.translation, atol=1e-12)


def test_a_turn_that_puts_points_behind_the_camera_is_left_out() -> None:
    sample = true_sample(2)
    turned = turn_cameras(sample, rotation_about(np.array([0.0, 1.0, 0.0]), 1.5), np.eye(3))
    assert turned is sample


def test_a_crop_keeps_the_matches_of_a_window_of_each_image() -> None:
    matches = np.random.default_rng(0).uniform(-1, 1, (4000, 4))
    whole = np.ptp(matches, axis=0)
    shares = []
    for seed in range(30):
        inside = crop(matches, np.random.default_rng(seed))
        kept, left = matches[inside], matches[~inside]
        low, high = kept.min(0), kept.max(0)
        assert not ((left > low) & (left < high)).all(1).any()  # windows, and nothing missing
        assert ((high - low) > 0.4 * whole).all()
        shares.append(inside.mean())
    assert min(shares) < 0.2
    assert max(shares) > 0.4
