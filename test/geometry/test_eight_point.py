"""Weighted eight-point: exact on exact data, deaf to weight zero, and with a true gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from two_view_scene import random_scene, real_pairs

from msga_ros.geometry.eight_point import weighted_eight_point
from msga_ros.geometry.pose import essential_matrix, pose_error_deg, pose_from_essential

seeds = st.integers(0, 2**32 - 1)
both_forms = pytest.mark.parametrize("hartley", [False, True])


def solve(correspondences: np.ndarray, weights: np.ndarray, hartley: bool) -> np.ndarray:
    return weighted_eight_point(
        torch.from_numpy(correspondences)[None], torch.from_numpy(weights)[None], hartley
    )[0].numpy()


def distance_up_to_sign(one: np.ndarray, two: np.ndarray) -> float:
    return float(min(np.linalg.norm(one - two), np.linalg.norm(one + two)))


@both_forms
@given(seed=seeds, count=st.integers(9, 200))
def test_exact_matches_give_the_essential_matrix(hartley, seed, count) -> None:
    scene = random_scene(seed, count)
    weights = np.random.default_rng(seed).uniform(0.2, 1.0, count)
    found = solve(scene.correspondences, weights, hartley)
    expected = essential_matrix(scene.rotation, scene.translation)
    assert np.linalg.norm(found) == pytest.approx(1.0)
    # Few points can lie near a critical arrangement: judge what the solution must fulfil always.
    algebraic = np.einsum(
        "ni,ij,nj->n",
        np.column_stack([scene.points1, np.ones(count)]),
        found,
        np.column_stack([scene.points0, np.ones(count)]),
    )
    assert np.abs(algebraic).max() < 1e-6
    if count >= 50:
        assert distance_up_to_sign(found, expected) < 1e-6


@both_forms
def test_weight_zero_is_absence(hartley: bool) -> None:
    scene = random_scene(1, count=120, noise=1e-3, outliers=0.5)
    weights = np.where(scene.outlier, 0.0, 0.7)
    inlier = ~scene.outlier
    with_outliers = solve(scene.correspondences, weights, hartley)
    without = solve(scene.correspondences[inlier], weights[inlier], hartley)
    assert distance_up_to_sign(with_outliers, without) < 1e-9


@both_forms
@given(seed=seeds, scale=st.sampled_from([1e-6, 0.01, 300.0]))
def test_order_and_scale_of_the_weights_do_not_matter(hartley, seed, scale) -> None:
    scene = random_scene(seed, noise=1e-3)
    rng = np.random.default_rng(seed)
    weights, order = rng.uniform(0.1, 1.0, 100), rng.permutation(100)
    expected = solve(scene.correspondences, weights, hartley)
    found = solve(scene.correspondences[order], scale * weights[order], hartley)
    assert distance_up_to_sign(found, expected) < 1e-8


@both_forms
@given(seed=seeds)
def test_swapping_the_views_transposes(hartley, seed) -> None:
    scene = random_scene(seed, noise=1e-3)
    weights = np.random.default_rng(seed).uniform(0.1, 1.0, 100)
    forward = solve(scene.correspondences, weights, hartley)
    backward = solve(scene.correspondences[:, [2, 3, 0, 1]], weights, hartley)
    assert distance_up_to_sign(forward, backward.T) < 1e-8


@both_forms
def test_a_batch_is_its_members(hartley: bool) -> None:
    scenes = [random_scene(seed, noise=1e-3) for seed in range(6)]
    correspondences = np.stack([s.correspondences for s in scenes])
    weights = np.random.default_rng(0).uniform(0.1, 1.0, (6, 100))
    batch = weighted_eight_point(
        torch.from_numpy(correspondences), torch.from_numpy(weights), hartley
    ).numpy()
    assert batch.shape == (6, 3, 3)
    for i in range(6):
        assert distance_up_to_sign(batch[i], solve(correspondences[i], weights[i], hartley)) < 1e-12


def test_float32_input_is_solved_as_accurately_as_it_can_be() -> None:
    scene = random_scene(3, count=300)
    found = solve(scene.correspondences.astype(np.float32), np.ones(300, np.float32), False)
    assert found.dtype == np.float32
    expected = essential_matrix(scene.rotation, scene.translation)
    assert distance_up_to_sign(found, expected) < 1e-4


def quadratic_loss(points: torch.Tensor, weights: torch.Tensor, hartley: bool) -> torch.Tensor:
    """A loss that does not see the sign of E, as any sensible one."""
    essential = weighted_eight_point(points, weights, hartley).flatten(-2)
    direction = torch.linspace(-1, 1, 81, dtype=points.dtype).reshape(9, 9)
    return torch.einsum("bi,ij,bj->", essential, direction + 0.3 * direction.T.cos(), essential)


@both_forms
@pytest.mark.parametrize(
    ("noise", "depth", "shortest"),
    [
        (1e-2, (3.0, 8.0), 0.999),
        (1e-4, (3.0, 8.0), 0.999),
        # Hardly any parallax, or a plane: the next eigenvalues are 1e-8 to 1e-6 of the trace away.
        # The gradient may be damped there, but not turned.
        (1e-4, (60.0, 61.0), 0.75),
        (1e-3, (5.0, 5.001), 0.95),
    ],
)
def test_gradient_agrees_with_numerical_differentiation(hartley, noise, depth, shortest) -> None:
    scene = random_scene(4, count=30, noise=noise, depth=depth)
    points = torch.from_numpy(scene.correspondences)[None].requires_grad_()
    weights = torch.from_numpy(np.random.default_rng(1).uniform(0.2, 1.0, (1, 30))).requires_grad_()
    quadratic_loss(points, weights, hartley).backward()
    gradients = points.grad, weights.grad
    points, weights = points.detach(), weights.detach()
    rng = np.random.default_rng(2)
    for variable, gradient in zip((points, weights), gradients, strict=True):
        predicted, numerical = [], []
        for _ in range(12):  # central differences along random directions
            direction = torch.from_numpy(rng.normal(size=variable.shape))
            predicted.append(float((gradient * direction).sum()))
            # The loss changes by about 1e-5: inside the linear range, far above rounding.
            step = 1e-5 / float(gradient.norm())
            plus, minus = (
                float(
                    quadratic_loss(
                        *((v + s * direction if v is variable else v) for v in (points, weights)),
                        hartley,
                    )
                )
                for s in (step, -step)
            )
            numerical.append((plus - minus) / (2 * step))
        one, two = np.array(predicted), np.array(numerical)
        assert one @ two / np.linalg.norm(one) / np.linalg.norm(two) > 0.99
        assert shortest < np.linalg.norm(one) / np.linalg.norm(two) < 1.02


@both_forms
@pytest.mark.parametrize(
    "case", ["exact", "plane", "one_point", "zero_weights", "no_motion", "seven"]
)
def test_gradient_is_finite_where_the_solution_is_not_unique(hartley: bool, case: str) -> None:
    scene = random_scene(5, count=40)
    correspondences, weights = scene.correspondences, np.ones(40)
    if case == "plane":
        correspondences = random_scene(5, count=40, depth=(5.0, 5.0)).correspondences
    elif case == "one_point":
        correspondences = np.repeat(correspondences[:1], 40, axis=0)
    elif case == "zero_weights":
        weights = np.zeros(40)
    elif case == "no_motion":
        correspondences = np.hstack([scene.points0, scene.points0])
    elif case == "seven":
        weights = np.where(np.arange(40) < 7, 1.0, 0.0)
    points = torch.from_numpy(correspondences)[None].requires_grad_()
    weight = torch.from_numpy(weights)[None].requires_grad_()
    loss = quadratic_loss(points, weight, hartley)
    assert torch.isfinite(loss)
    loss.backward()
    assert torch.isfinite(points.grad).all()
    assert torch.isfinite(weight.grad).all()


def pose_error(essential: np.ndarray, points: np.ndarray, rotation, translation) -> float:
    pose = pose_from_essential(essential, points[:, :2], points[:, 2:])
    return max(pose_error_deg(pose.rotation, pose.translation, rotation, translation))


def test_hartley_normalisation_pays_through_a_long_lens() -> None:
    """A view of 23 degrees with noise of two pixels: without it the noise biases the solution."""
    errors: dict[bool, list[float]] = {False: [], True: []}
    for seed in range(20):
        scene = random_scene(seed, count=1500, noise=2e-3, angle=0.1, depth=(8.0, 12.0))
        seen = (np.abs(scene.points0) < 0.2).all(axis=1)
        inliers = scene.correspondences[seen]
        for hartley, found in errors.items():
            essential = solve(inliers, np.ones(len(inliers)), hartley)
            found.append(pose_error(essential, inliers, scene.rotation, scene.translation))
    assert np.median(errors[True]) < 8.0
    assert np.median(errors[True]) < np.median(errors[False]) / 4


def test_true_matches_of_real_pairs_give_the_pose() -> None:
    """In normalised coordinates both forms do; Hartley's has fewer failures (long lenses)."""
    errors = {False: [], True: []}
    for pair in real_pairs(42):
        weights = (pair.residual < 1e-4).astype(np.float64)
        inliers = pair.correspondences[weights > 0]
        for hartley, found in errors.items():
            essential = solve(pair.correspondences, weights, hartley)
            found.append(pose_error(essential, inliers, pair.rotation, pair.translation))
    assert np.median(errors[False]) < 1.0
    assert np.median(errors[True]) < 1.0
    assert np.mean(np.array(errors[True]) < 5.0) > 0.9
    assert np.mean(errors[True]) < np.mean(errors[False])
