"""Epipolar distances: what they measure, and the symmetries of two views."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from two_view_scene import random_scene, real_pairs

from msga_ros.geometry.epipolar import (
    essential_from_pose,
    sampson_distance_squared,
    symmetric_epipolar_distance_squared,
)
from msga_ros.geometry.pose import essential_matrix

seeds = st.integers(0, 2**32 - 1)
DISTANCES = [symmetric_epipolar_distance_squared, sampson_distance_squared]


def as_tensors(scene) -> tuple[torch.Tensor, torch.Tensor]:
    rotation, translation = torch.from_numpy(scene.rotation), torch.from_numpy(scene.translation)
    return torch.from_numpy(scene.correspondences), essential_from_pose(rotation, translation)


def homogeneous(points: np.ndarray) -> np.ndarray:
    return np.column_stack([points, np.ones(len(points))])


@given(seed=seeds)
def test_exact_matches_are_at_distance_zero(seed) -> None:
    correspondences, essential = as_tensors(random_scene(seed))
    for distance in DISTANCES:
        assert distance(correspondences, essential).max() < 1e-24


@given(seed=seeds, scale=st.sampled_from([-1.0, 0.1, 50.0]))
def test_scale_of_the_matrix_and_order_of_the_views_do_not_matter(seed, scale) -> None:
    correspondences, essential = as_tensors(random_scene(seed, noise=1e-2))
    swapped = correspondences[:, [2, 3, 0, 1]]
    for distance in DISTANCES:
        expected = distance(correspondences, essential)
        torch.testing.assert_close(
            distance(correspondences, scale * essential), expected, rtol=1e-4, atol=1e-15
        )
        torch.testing.assert_close(distance(swapped, essential.T), expected)


def test_symmetric_distance_is_that_to_opencv_epipolar_lines() -> None:
    scene = random_scene(0, noise=5e-2)
    correspondences, essential = as_tensors(scene)
    matrix = essential.numpy()
    lines1 = cv2.computeCorrespondEpilines(scene.points0[:, None], 1, matrix)[:, 0]
    lines0 = cv2.computeCorrespondEpilines(scene.points1[:, None], 2, matrix)[:, 0]
    # OpenCV's lines have unit normals, so the product is a distance.
    expected = (homogeneous(scene.points0) * lines0).sum(1) ** 2
    expected += (homogeneous(scene.points1) * lines1).sum(1) ** 2
    ours = symmetric_epipolar_distance_squared(correspondences, essential).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_sampson_distance_is_that_of_opencv() -> None:
    scene = random_scene(1, noise=5e-2)
    correspondences, essential = as_tensors(scene)
    ours = sampson_distance_squared(correspondences, essential).numpy()
    expected = [
        cv2.sampsonDistance(a, b, essential.numpy())
        for a, b in zip(homogeneous(scene.points0), homogeneous(scene.points1), strict=True)
    ]
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


def test_sampson_distance_estimates_the_noise() -> None:
    """Its mean is the variance of a single coordinate: one of four dimensions shows."""
    correspondences, essential = as_tensors(random_scene(2, count=5000, noise=1e-3))
    mean = float(sampson_distance_squared(correspondences, essential).mean())
    assert mean == pytest.approx(1e-6, rel=0.08)


def test_published_residuals_of_real_pairs() -> None:
    for pair in real_pairs(6):
        essential = essential_from_pose(
            torch.from_numpy(pair.rotation), torch.from_numpy(pair.translation)
        )
        ours = symmetric_epipolar_distance_squared(
            torch.from_numpy(pair.correspondences), essential
        ).numpy()
        # The dump holds rounded coordinates and float32 poses.
        relevant = (pair.residual > 1e-6) & (pair.residual < 1.0)
        error = np.abs(ours - pair.residual)[relevant] / pair.residual[relevant]
        assert np.quantile(error, 0.99) < 0.05
        np.testing.assert_array_equal(
            (ours < 1e-4).mean(), pytest.approx((pair.residual < 1e-4).mean(), abs=0.005)
        )


@given(seed=seeds)
def test_essential_from_pose_agrees_with_the_numpy_form(seed) -> None:
    scene = random_scene(seed, count=1)
    _, essential = as_tensors(scene)
    expected = essential_matrix(scene.rotation, scene.translation)
    np.testing.assert_allclose((essential / essential.norm()).numpy(), expected, atol=1e-12)


def test_batches_are_single_ones_stacked() -> None:
    scenes = [as_tensors(random_scene(seed, noise=1e-2)) for seed in range(5)]
    correspondences = torch.stack([c for c, _ in scenes])
    essential = torch.stack([e for _, e in scenes])
    for distance in DISTANCES:
        batch = distance(correspondences, essential)
        assert batch.shape == (5, 100)
        for i, (c, e) in enumerate(scenes):
            torch.testing.assert_close(batch[i], distance(c, e))
        assert distance(correspondences[:, :0], essential).shape == (5, 0)


@pytest.mark.parametrize("distance", DISTANCES)
def test_half_precision_around_it_does_not_round(distance) -> None:
    matches, essential = (tensor.float() for tensor in as_tensors(random_scene(0, noise=1e-3)))
    expected = distance(matches, essential)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(distance(matches, essential), expected)


def test_a_match_on_both_epipoles_is_finite() -> None:
    """Moving straight ahead the epipoles are the image centres; a match there fits any motion."""
    essential = essential_from_pose(torch.eye(3), torch.tensor([0.0, 0.0, 1.0]))
    centre = torch.zeros(1, 4)
    for distance in DISTANCES:
        assert torch.isfinite(distance(centre, essential)).all()
        assert distance(centre, essential) == 0
