"""Nearest neighbours: against a plain search, and at the edges where there is little to search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from msga_ros.frontend import Features, FrontendError, matching
from msga_ros.frontend.matching import match_features, passing


def features(descriptors: NDArray[np.generic]) -> Features:
    count = len(descriptors)
    return Features(
        np.zeros((count, 2), np.float32), np.ones(count, np.float32), descriptors, (64, 48)
    )


def random_descriptors(kind: str, count: int, rng: np.random.Generator) -> NDArray[np.generic]:
    if kind == "bits":
        return rng.integers(0, 256, (count, 32)).astype(np.uint8)
    vectors = rng.normal(size=(count, 128)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def plain_distances(a: NDArray[np.generic], b: NDArray[np.generic]) -> NDArray[np.float64]:
    if a.dtype == np.uint8:
        return np.unpackbits(a[:, None] ^ b[None], axis=2).sum(axis=2).astype(np.float64)
    return np.linalg.norm(a[:, None].astype(np.float64) - b[None], axis=2)


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["bits", "vectors"]),
    count0=st.integers(1, 60),
    count1=st.integers(2, 60),
    block=st.sampled_from([1, 100, 1 << 24]),
    seed=st.integers(0, 1000),
)
def test_agrees_with_a_plain_search(
    kind: str, count0: int, count1: int, block: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_descriptors(kind, count0, rng), random_descriptors(kind, count1, rng)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_BLOCK_ENTRIES", block)
        matches = match_features(features(a), features(b), 1.0, False)
    table = plain_distances(a, b)
    ordered = np.sort(table, axis=1)
    np.testing.assert_array_equal(matches.indices0, np.arange(count0))
    np.testing.assert_array_equal(matches.indices1, table.argmin(axis=1))
    np.testing.assert_allclose(matches.ratio, ordered[:, 0] / ordered[:, 1], atol=1e-4)
    np.testing.assert_array_equal(
        matches.mutual, table.argmin(axis=0)[table.argmin(axis=1)] == np.arange(count0)
    )


@pytest.mark.parametrize("kind", ["bits", "vectors"])
def test_filters_keep_exactly_what_they_promise(kind: str) -> None:
    rng = np.random.default_rng(3)
    a, b = random_descriptors(kind, 200, rng), random_descriptors(kind, 150, rng)
    b[:50] = a[:50]
    every = match_features(features(a), features(b), 1.0, False)
    for ratio, mutual in ((0.9, False), (1.0, True), (0.9, True)):
        kept = match_features(features(a), features(b), ratio, mutual)
        expected = (every.ratio < ratio) | (ratio == 1.0)
        if mutual:
            expected &= every.mutual
        np.testing.assert_array_equal(kept.indices0, every.indices0[expected])
        np.testing.assert_array_equal(kept.ratio, every.ratio[expected])
        assert set(range(50)) <= set(kept.indices0)


def test_of_those_that_pass_the_most_distinctive_are_kept() -> None:
    """In the order of the first view; the filters come first, and equal ratios by their order."""
    rng = np.random.default_rng(4)
    a, b = random_descriptors("vectors", 200, rng), random_descriptors("vectors", 150, rng)
    passed = match_features(features(a), features(b), 0.98, True)
    assert len(passed) > 20
    kept = match_features(features(a), features(b), 0.98, True, 20)
    expected = np.sort(np.argsort(passed.ratio, kind="stable")[:20])
    np.testing.assert_array_equal(kept.indices0, passed.indices0[expected])
    np.testing.assert_array_equal(kept.ratio, passed.ratio[expected])
    for enough in (0, len(passed), 1000):
        everyone = match_features(features(a), features(b), 0.98, True, enough)
        np.testing.assert_array_equal(everyone.indices0, passed.indices0)
    equal = passing(np.full(9, 0.5), np.ones(9, np.bool_), 1.0, False, 4)
    np.testing.assert_array_equal(equal, np.arange(9) < 4)


@pytest.mark.parametrize("kind", ["bits", "vectors"])
def test_a_single_neighbour_is_not_distinctive(kind: str) -> None:
    rng = np.random.default_rng(0)
    a, b = random_descriptors(kind, 5, rng), random_descriptors(kind, 1, rng)
    matches = match_features(features(a), features(b), 1.0, False)
    np.testing.assert_array_equal(matches.indices1, 0)
    np.testing.assert_array_equal(matches.ratio, 1.0)
    assert matches.mutual.sum() == 1
    assert len(match_features(features(a), features(b), 0.99, False)) == 0


@pytest.mark.parametrize("kind", ["bits", "vectors"])
def test_two_equal_neighbours_are_not_distinctive(kind: str) -> None:
    b = random_descriptors(kind, 2, np.random.default_rng(0))
    b[1] = b[0]
    matches = match_features(features(b[:1]), features(b), 1.0, False)
    assert matches.indices1[0] == 0
    assert matches.ratio[0] == 1.0


def test_swap_of_the_views_keeps_the_mutual_matches() -> None:
    rng = np.random.default_rng(5)
    a, b = random_descriptors("bits", 80, rng), random_descriptors("bits", 90, rng)
    there = match_features(features(a), features(b), 1.0, True)
    back = match_features(features(b), features(a), 1.0, True)
    pairs = set(zip(there.indices0.tolist(), there.indices1.tolist(), strict=True))
    # Two neighbours at the same distance may be taken either way round.
    swapped = set(zip(back.indices1.tolist(), back.indices0.tolist(), strict=True))
    assert len(pairs & swapped) >= 0.9 * len(pairs)


def test_descriptors_of_different_kinds_are_refused() -> None:
    rng = np.random.default_rng(0)
    bits, vectors = random_descriptors("bits", 4, rng), random_descriptors("vectors", 4, rng)
    with pytest.raises(FrontendError, match="different kinds"):
        match_features(features(bits), features(vectors), 1.0, False)
