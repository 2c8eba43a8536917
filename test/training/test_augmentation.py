"""Augmentations: matches and motion stay true to each other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from true_samples import drawing, true_samples, turn

from msga_ros.geometry.epipolar import essential_from_pose, symmetric_epipolar_distance_squared
from msga_ros.network.evidence import EVIDENCE
from msga_ros.training.augmentation import (
    Samples,
    augmented,
    mirror,
    swap_views,
    turn_cameras,
    windows,
)


def residual(samples: Samples) -> Tensor:
    essential = essential_from_pose(samples.rotation, samples.translation)
    return symmetric_epipolar_distance_squared(samples.correspondences, essential)


def assert_true_motion(samples: Samples) -> None:
    assert float(residual(samples).max()) < 1e-16
    one = torch.eye(3, dtype=torch.float64).expand_as(samples.rotation)
    assert torch.allclose(samples.rotation @ samples.rotation.transpose(1, 2), one, atol=1e-12)
    assert torch.allclose(torch.linalg.det(samples.rotation), one[:, 0, 0])
    assert torch.allclose(samples.translation.norm(dim=1), one[:, 0, 0])


def assert_equal(one: Samples, other: Samples) -> None:
    for entry in dataclasses.fields(Samples):
        values = (getattr(samples, entry.name) for samples in (one, other))
        assert torch.allclose(*values, atol=1e-12, equal_nan=True), entry.name


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_every_augmentation_keeps_matches_and_motion_together(seed: int) -> None:
    samples = true_samples(seed)
    assert_true_motion(samples)
    assert_true_motion(swap_views(samples))
    assert_true_motion(mirror(samples))
    turns = turn(np.random.default_rng(seed).normal(0, 0.2, (2, 3, 3)))
    assert_true_motion(turn_cameras(samples, turns[0], turns[1]))
    assert_true_motion(augmented(samples, drawing(seed)))


def test_augmentation_changes_each_sample_in_its_own_way() -> None:
    samples = true_samples(3, count=1)
    several = dataclasses.replace(
        samples,
        **{
            entry.name: getattr(samples, entry.name).repeat_interleave(8, 0)
            for entry in dataclasses.fields(samples)
        },
    )
    changed = augmented(several, drawing(0)).correspondences
    for one in range(8):
        assert float((changed[one] - several.correspondences[one]).abs().max()) > 1e-3
        for other in range(one):
            assert float((changed[one] - changed[other]).abs().max()) > 1e-3


def test_half_of_the_samples_are_swapped_and_half_are_mirrored() -> None:
    """By the sign of a translation that the small turns of the cameras do not overturn."""
    count = 2000
    sideways = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64).expand(count, 3)
    forward = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64).expand(count, 3)
    still = torch.eye(3, dtype=torch.float64).expand(count, 3, 3)
    ahead = torch.zeros(count, 2, 4, dtype=torch.float64)
    nothing = torch.full((count, 2, len(EVIDENCE)), torch.nan, dtype=torch.float64)
    forwards = augmented(Samples(ahead, nothing, still, forward), drawing(0)).translation[:, 2]
    assert 0.45 < float((forwards < 0).double().mean()) < 0.55  # swapped
    # The mirrored ones of those that are not swapped, and the swapped of those that are not
    # mirrored, point to the left.
    left = augmented(Samples(ahead, nothing, still, sideways), drawing(0)).translation[:, 0] < 0
    assert 0.45 < float(left.double().mean()) < 0.55
    assert 0.4 < float((left == (forwards < 0)).double().mean()) < 0.6


def test_some_pairs_are_rolled_far_both_images_by_about_the_same() -> None:
    count = 2000
    still = torch.eye(3, dtype=torch.float64).expand(count, 3, 3)
    forward = still[:, 2]
    # Below the middle, where neither a swap nor a mirror changes anything.
    below = torch.tensor([0.0, 0.5, 0.0, 0.5], dtype=torch.float64).expand(count, 1, 4)
    nothing = torch.full((count, 1, len(EVIDENCE)), torch.nan, dtype=torch.float64)
    found = augmented(Samples(below, nothing, still, forward), drawing(0)).correspondences[:, 0]
    first, second = (torch.atan2(found[:, x], found[:, x + 1]) for x in (0, 2))
    far = first.abs() > 1
    assert 0.15 < float(far.double().mean()) < 0.25  # 30 %, a third of them by less
    between = torch.atan2((first - second).sin(), (first - second).cos()).abs()
    assert float(between[far].median()) < 0.3


def test_swapping_or_mirroring_twice_is_nothing() -> None:
    samples = true_samples(1)
    for change in (swap_views, mirror):
        assert_equal(change(change(samples)), samples)
        assert float((change(samples).correspondences - samples.correspondences).abs().max()) > 0.1


def test_augmentations_leave_what_they_are_given() -> None:
    samples, same = true_samples(1), true_samples(1)
    augmented(samples, drawing(4))
    assert_equal(samples, same)


def test_a_turn_that_puts_points_behind_the_camera_is_left_out_for_that_sample_alone() -> None:
    samples = true_samples(2)
    still = turn(np.zeros((3, 3)))
    away = turn([[0.0, 1.5, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 0.0]])
    for turned in (turn_cameras(samples, away, still), turn_cameras(samples, still, away)):
        for entry in dataclasses.fields(Samples):
            new, old = getattr(turned, entry.name), getattr(samples, entry.name)
            assert torch.equal(new[0], old[0])
        assert float((turned.correspondences[1] - samples.correspondences[1]).abs().max()) > 0.05
        assert_true_motion(turned)


def test_windows_keep_the_matches_of_a_window_of_each_image() -> None:
    generator = np.random.default_rng(0)
    matches = torch.from_numpy(generator.uniform(-1, 1, (30, 4000, 4)))
    whole = matches.amax(1) - matches.amin(1)
    everyone = torch.ones(matches.shape[:2], dtype=torch.bool)
    inside = windows(matches, everyone, drawing(0))
    for sample, mask in enumerate(inside):
        kept, left = matches[sample, mask], matches[sample, ~mask]
        low, high = kept.amin(0), kept.amax(0)
        # Windows, and nothing is missing in them.
        assert not bool(((left > low) & (left < high)).all(1).any())
        assert bool((high - low > 0.4 * whole[sample]).all())
    shares = inside.double().mean(1)
    assert float(shares.min()) < 0.2
    assert float(shares.max()) > 0.4


def test_windows_of_both_images_are_around_one_match_and_inside_the_images() -> None:
    """Of a scene that moves to the right by half an image both windows see some of the same."""
    generator = np.random.default_rng(0)
    first = generator.uniform(-1, 1, (50, 1000, 2))
    matches = torch.from_numpy(np.concatenate((first, first + np.array([1.0, 0.0])), -1))
    everyone = torch.ones(matches.shape[:2], dtype=torch.bool)
    counts = windows(matches, everyone, drawing(1)).sum(1)
    assert int(counts.min()) > 100


def test_no_match_counts_for_a_window() -> None:
    """Whatever lies in the rows of padding: neither extent nor centre nor what is inside."""
    generator = np.random.default_rng(0)
    matches = torch.from_numpy(generator.uniform(-1, 1, (10, 500, 4)))
    valid = torch.from_numpy(generator.random((10, 500)) < 0.5)
    inside = windows(matches, valid, drawing(2))
    far = torch.where(valid.unsqueeze(-1), matches, 1e6)
    assert torch.equal(windows(far, valid, drawing(2)), inside)
    assert not bool((inside & ~valid).any())
    assert int(inside.sum(1).min()) > 0


@pytest.mark.parametrize("change", [swap_views, mirror])
def test_a_sample_is_changed_alone_where_a_mask_says_so(change: object) -> None:
    samples = true_samples(5)
    changed = change(samples)  # type: ignore[operator]
    mixed = changed.where(torch.tensor([True, False, True]), samples)
    for entry in dataclasses.fields(Samples):
        mine, old, new = (getattr(s, entry.name) for s in (mixed, samples, changed))
        assert torch.equal(mine, torch.stack((new[0], old[1], new[2])))
