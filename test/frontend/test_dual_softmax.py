"""The dual softmax of matches: against a plain one, whatever the blocks, however far apart."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from plain_matching import features, plain_distances, random_descriptors
from scipy.special import log_softmax

from msga_ros.frontend import Features, FrontendError, Matches, device_matching, matching
from msga_ros.frontend.base import LEAST_DUAL_SOFTMAX
from msga_ros.frontend.device_matching import SearchOnDevice
from msga_ros.frontend.matching import Search, describe_matches, match_features, nearest_on_host

ON_DEVICE = SearchOnDevice(torch.device("cpu"))
SEARCHES = pytest.mark.parametrize("search", [nearest_on_host, ON_DEVICE], ids=["host", "device"])
KINDS = pytest.mark.parametrize("kind", ["bits", "vectors"])


def similar(
    kind: str, count0: int, count1: int, seed: int = 0
) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Descriptors of two views that have half of them in common, but for noise."""
    rng = np.random.default_rng(seed)
    a, b = random_descriptors(kind, count0, rng), random_descriptors(kind, count1, rng)
    common = min(count0, count1) // 2
    b[:common] = a[:common]
    if kind == "bits":
        b[:, 0] ^= rng.integers(0, 256, count1).astype(np.uint8)
    else:
        b += (0.03 * rng.normal(size=b.shape)).astype(np.float32)
        b /= np.linalg.norm(b, axis=1, keepdims=True)
    order = rng.permutation(count1)
    return a, b[order]


def plain(
    a: NDArray[np.generic], b: NDArray[np.generic], temperature: float
) -> NDArray[np.float64]:
    """Of every pair of descriptors (N, M)."""
    distances = plain_distances(a, b)
    squares = distances / (8 * a.shape[1]) if a.dtype == np.uint8 else distances**2
    table = -squares / temperature
    return (log_softmax(table, axis=1) + log_softmax(table, axis=0)).clip(LEAST_DUAL_SOFTMAX)


def told(
    a: NDArray[np.generic], b: NDArray[np.generic], temperature: float, search: Search
) -> tuple[Matches, NDArray[np.float32]]:
    found = match_features(features(a), features(b), 1.0, False, 0, search, temperature)
    assert found.dual_softmax is not None and found.dual_softmax.dtype == np.float32
    assert ((found.dual_softmax >= LEAST_DUAL_SOFTMAX) & (found.dual_softmax <= 0)).all()
    return found, found.dual_softmax


@SEARCHES
@KINDS
@pytest.mark.parametrize(("count0", "count1"), [(90, 70), (60, 110), (1, 30), (30, 1), (1, 1)])
@pytest.mark.parametrize("temperature", [3.0, 0.1, 0.02, 0.002, 1e-5])
@pytest.mark.parametrize("block", [1 << 24, 1000, 1])
def test_agrees_with_a_plain_one(
    search: Search,
    kind: str,
    count0: int,
    count1: int,
    temperature: float,
    block: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matching, "_BLOCK_ENTRIES", block)
    monkeypatch.setattr(device_matching, "_BLOCK_ENTRIES", block)
    a, b = similar(kind, count0, count1)
    found, dual = told(a, b, temperature, search)
    expected = plain(a, b, temperature)[found.feature_indices]
    # Squared distances of unit vectors are rounded to about 1e-6.
    tolerance = 1e-3 if kind == "bits" else 1e-3 + 2e-6 / temperature
    np.testing.assert_allclose(dual, expected, atol=tolerance)
    if count0 == 90 and temperature == 0.02:
        assert dual.min() < -2 and dual.max() > -0.1


@KINDS
def test_known_matches_are_told_the_same(kind: str) -> None:
    """Whether they are nearest neighbours or not."""
    a, b = similar(kind, 40, 50)
    rng = np.random.default_rng(1)
    indices0, indices1 = rng.permutation(40)[:30], rng.permutation(50)[:30]
    found = describe_matches(features(a), features(b), indices0, indices1, 0.1)
    expected = plain(a, b, 0.1)[indices0, indices1]
    np.testing.assert_allclose(found.dual_softmax, expected, atol=1e-3)
    none = np.empty(0, np.int64)
    assert describe_matches(features(a), features(b), none, none, 0.1).dual_softmax.shape == (0,)
    assert describe_matches(features(a), features(b), indices0, indices1).dual_softmax is None


@SEARCHES
@KINDS
def test_a_swap_of_the_views_leaves_it(search: Search, kind: str) -> None:
    a, b = similar(kind, 80, 60)
    there, back = told(a, b, 0.05, search), told(b, a, 0.05, search)
    values = [
        dict(zip(zip(*map(np.ndarray.tolist, indices), strict=True), dual.tolist(), strict=True))
        for indices, dual in (
            (there[0].feature_indices, there[1]),
            (back[0].feature_indices[::-1], back[1]),
        )
    ]
    both = [(values[0][pair], values[1][pair]) for pair in values[0].keys() & values[1].keys()]
    assert len(both) > 25
    np.testing.assert_allclose(*np.transpose(both), atol=1e-4)


@SEARCHES
def test_equal_descriptors_share_the_probability(search: Search) -> None:
    same = np.repeat(random_descriptors("vectors", 1, np.random.default_rng(0)), 20, axis=0)
    _, dual = told(same[:5], same, 0.1, search)
    np.testing.assert_allclose(dual, -np.log(5) - np.log(20), atol=1e-3)


@SEARCHES
@pytest.mark.parametrize("temperature", [1e-12, 1e-3, 1.0, 1e30])
@pytest.mark.parametrize("scale", [1e9, 1e-20])
def test_numbers_of_any_size_give_one(search: Search, scale: float, temperature: float) -> None:
    a, b = similar("vectors", 40, 30)
    told(np.float32(scale) * a, np.float32(scale) * b, temperature, search)


def test_far_descriptors_are_at_the_least() -> None:
    """A row of one view that has no counterpart, next to one that has many."""
    a, b = np.zeros((2, 2), np.float32), np.zeros((3, 2), np.float32)
    a[1], b[:, 0] = (900.0, 0.0), (0.0, 1.0, 400.0)
    found, dual = told(a, b, 0.1, nearest_on_host)
    np.testing.assert_array_equal(found.indices1, [0, 2])
    np.testing.assert_allclose(dual, [plain(a, b, 0.1)[0, 0], LEAST_DUAL_SOFTMAX], atol=1e-3)


@SEARCHES
@KINDS
def test_nothing_else_changes_and_filters_keep_each_its_own(search: Search, kind: str) -> None:
    one, other = map(features, similar(kind, 80, 90))
    plainly = match_features(one, other, 1.0, False, 0, search)
    every = match_features(one, other, 1.0, False, 0, search, 0.1)
    kept = match_features(one, other, 0.95, True, 20, search, 0.1)
    assert plainly.dual_softmax is None and np.isnan(plainly.evidence[:, 5]).all()
    assert 0 < len(kept) < len(every)
    np.testing.assert_array_equal(kept.evidence, every.evidence[kept.indices0])
    np.testing.assert_array_equal(every.evidence[:, 5], every.dual_softmax)
    without = dataclasses.replace(every, dual_softmax=None)
    np.testing.assert_array_equal(without.evidence, plainly.evidence)


@SEARCHES
def test_no_descriptors_are_no_matches(search: Search) -> None:
    none, some = np.empty((0, 32), np.uint8), np.ones((3, 32), np.uint8)
    for a, b in ((none, some), (some, none), (none, none)):
        found, dual = told(a, b, 0.1, search)
        assert len(found) == len(dual) == 0


@SEARCHES
@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf"), 1e-13])
def test_a_temperature_that_is_none_is_refused(search: Search, temperature: float) -> None:
    views: list[Features] = [features(one) for one in similar("vectors", 4, 4)]
    with pytest.raises(FrontendError, match="temperature must be finite"):
        match_features(*views, 1.0, False, 0, search, temperature)
