"""The eigenvector of the eight-point solution, in two ways, and its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from two_view_scene import random_scene

from msga_ros.geometry import eight_point
from msga_ros.geometry.eight_point import _by_squaring, _inverse_of_positive, weighted_eight_point
from msga_ros.geometry.onnx_export_mode import single_precision

seeds = st.integers(0, 2**32 - 1)


def rotations(generator: np.random.Generator, count: int = 4) -> Tensor:
    return torch.linalg.qr(torch.from_numpy(generator.normal(size=(count, 9, 9))))[0]


def matrices(seed: int, values: np.ndarray) -> tuple[Tensor, Tensor]:
    """Symmetric matrices of the eigenvalues `values` `(9,)`, and the eigenvectors of the first."""
    vectors = rotations(np.random.default_rng(seed))
    matrix = vectors @ torch.diag(torch.from_numpy(values)) @ vectors.transpose(1, 2)
    return (matrix + matrix.transpose(1, 2)) / 2, vectors[..., 0]


def apart(one: Tensor, other: Tensor) -> float:
    """Sine of the largest angle between lines."""
    cosine = (one * other).sum(-1).abs().clamp(max=1)
    return float((1 - cosine.square()).sqrt().max())


@given(
    seed=seeds, gap=st.sampled_from([1e-6, 1e-4, 1e-2, 1.0]), scale=st.sampled_from([1e-8, 1, 1e6])
)
def test_products_find_the_smallest_eigenvector(seed: int, gap: float, scale: float) -> None:
    """Also where the next eigenvalue is near, and whatever the scale of the matrix."""
    rest = np.random.default_rng(seed).uniform(gap, 1, 8)
    matrix, expected = matrices(seed, np.concatenate(([0.0], [gap], rest[1:])) * scale)
    found = _by_squaring(matrix)
    assert torch.allclose(found.norm(dim=-1), torch.ones(4, dtype=torch.float64))
    assert apart(found, expected) < 1e-4


@given(seed=seeds, scale=st.sampled_from([1e-8, 1, 1e6]))
def test_products_in_single_precision_stay_in_range(seed: int, scale: float) -> None:
    """The eigenvector is as exact as the gap and float32 allow."""
    values = np.concatenate(([0.0], np.random.default_rng(seed).uniform(0.01, 1, 8))) * scale
    matrix, expected = matrices(seed, values)
    found = _by_squaring(matrix.float())
    assert found.dtype == torch.float32 and apart(found.double(), expected) < 2e-3


def test_the_solution_in_single_precision_is_near_that_in_double() -> None:
    rows = torch.from_numpy(random_scene(3, count=200, noise=1e-3).correspondences)[None].float()
    weights = torch.ones(1, 200)
    double = weighted_eight_point(rows, weights, hartley=True)
    with single_precision():
        single = weighted_eight_point(rows, weights, hartley=True)
    assert not torch.equal(single, double)
    assert apart(single.flatten(1).double(), double.flatten(1).double()) < 1e-3
    assert torch.equal(weighted_eight_point(rows, weights, hartley=True), double)


@given(seed=seeds)
def test_products_agree_with_the_decomposition_on_matches(seed: int) -> None:
    scene = random_scene(seed, count=60, noise=1e-3, outliers=0.2)
    rows = torch.from_numpy(scene.correspondences)
    one = torch.ones_like(rows[:, :1])
    first, second = torch.cat((rows[:, :2], one), 1), torch.cat((rows[:, 2:], one), 1)
    design = (second.unsqueeze(2) * first.unsqueeze(1)).flatten(1)
    weight = torch.from_numpy(np.random.default_rng(seed).uniform(0, 1, (60, 1)))
    matrix = (design.T @ (design * weight))[None]
    values, vectors = torch.linalg.eigh(matrix)
    if float(values[0, 1] - values[0, 0]) > 1e-6 * float(values[0].sum()):
        assert apart(_by_squaring(matrix), vectors[..., 0]) < 1e-5


def test_products_find_an_eigenvector_along_an_axis() -> None:
    """Most columns of the power are zeros then."""
    values = torch.linspace(0, 1, 9, dtype=torch.float64)
    for place in range(9):
        found = _by_squaring(torch.diag(values.roll(place))[None])[0]
        assert torch.allclose(found.abs(), torch.eye(9, dtype=torch.float64)[place])


def test_products_give_a_unit_vector_of_the_space_where_several_are_smallest() -> None:
    matrix, _ = matrices(0, np.array([0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
    found = _by_squaring(matrix)
    assert torch.allclose(found.norm(dim=-1), torch.ones(4, dtype=torch.float64))
    assert float((matrix @ found.unsqueeze(-1)).abs().max()) < 1e-12
    nothing = _by_squaring(torch.zeros(2, 9, 9, dtype=torch.float64))
    assert torch.allclose(nothing.norm(dim=-1), torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("hartley", [True, False])
def test_both_ways_give_the_same_essential_matrix_and_gradient(
    hartley: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an accelerator computes it, on the CPU."""
    scenes = [random_scene(seed, count=40, noise=1e-3) for seed in range(3)]
    rows = torch.from_numpy(np.stack([scene.correspondences for scene in scenes]))
    weights = torch.from_numpy(np.random.default_rng(0).uniform(0.2, 1, (3, 40)))
    target = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 3, 3)))

    def solved() -> tuple[Tensor, Tensor]:
        points = rows.clone().requires_grad_()
        essential = weighted_eight_point(points, weights, hartley)
        (essential * target).sum((1, 2)).square().sum().backward()
        assert points.grad is not None
        return essential.detach(), points.grad

    essential, gradient = solved()
    monkeypatch.setattr(
        torch.linalg, "eigh", lambda matrix: (None, _by_squaring(matrix).unsqueeze(-1))
    )
    other, other_gradient = solved()
    sign = (essential * other).sum((1, 2)).sign()[:, None, None]
    assert torch.allclose(essential, sign * other, atol=1e-7)
    assert torch.allclose(gradient, other_gradient, rtol=1e-4, atol=1e-6 * float(gradient.norm()))


@given(seed=seeds)
def test_the_gradient_is_that_of_the_pseudo_inverse(seed: int) -> None:
    """dv = (value - A)^+ dA v (Magnus 1985, theorem 1), for a matrix that stays symmetric."""
    generator = np.random.default_rng(seed)
    matrix, _ = matrices(seed, np.sort(generator.uniform(0.01, 1, 9)))
    matrix = matrix.requires_grad_()
    vector = eight_point._SmallestEigenvector.apply(matrix)
    upstream = torch.from_numpy(generator.normal(size=(4, 9)))
    (vector * upstream).sum().backward()
    column = vector.detach().unsqueeze(-1)
    value = column.transpose(1, 2) @ matrix.detach() @ column
    one = torch.eye(9, dtype=torch.float64)
    inverse = torch.linalg.pinv(value * one - matrix.detach(), hermitian=True, rtol=1e-11)
    product = inverse @ upstream.unsqueeze(-1) @ column.transpose(1, 2)
    expected = (product + product.transpose(1, 2)) / 2
    scale = float(expected.abs().max())
    assert torch.allclose(matrix.grad, expected, rtol=1e-5, atol=1e-6 * scale)


def test_the_gradient_is_that_of_finite_differences() -> None:
    matrix, _ = matrices(3, np.linspace(0.1, 1, 9))
    generator = np.random.default_rng(0)
    weight = torch.from_numpy(generator.normal(size=(4, 9, 9)))

    def value(matrix: Tensor) -> Tensor:
        """Of the projector on the vector, which has no sign."""
        column = eight_point._SmallestEigenvector.apply(matrix).unsqueeze(-1)
        return (column @ column.transpose(1, 2) * weight).sum()

    gradient = torch.autograd.grad(value(matrix.requires_grad_()), matrix)[0]
    for _ in range(5):
        step = torch.from_numpy(generator.normal(size=(4, 9, 9)))
        step = 1e-6 * (step + step.transpose(1, 2))
        with torch.no_grad():
            numerical = (value(matrix + step) - value(matrix - step)) / 2
        assert float(numerical) == pytest.approx(float((gradient * step).sum()), rel=1e-5)


@given(seed=seeds, condition=st.sampled_from([1.0, 1e3, 1e6]))
def test_the_inverse_of_positive_definite_matrices(seed: int, condition: float) -> None:
    values = np.geomspace(1, condition, 9)
    matrix, _ = matrices(seed, values)
    one = torch.eye(9, dtype=torch.float64)
    assert float((_inverse_of_positive(matrix) @ matrix - one).abs().max()) < 1e-12 * condition**1.1
    assert torch.allclose(
        _inverse_of_positive(matrix), torch.linalg.inv(matrix), rtol=1e-6, atol=1e-9
    )
