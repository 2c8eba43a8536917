"""Nearest neighbours: against a plain search, and at the edges where there is little to search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from msga_ros.frontend import Features, FrontendError, Matches, matching
from msga_ros.frontend.base import EVIDENCE, normalised_evidence
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


def oriented(
    descriptors: NDArray[np.generic], angles: list[float] | None, sizes: list[float] | None
) -> Features:
    columns = (None if one is None else np.array(one, np.float32) for one in (angles, sizes))
    count = len(descriptors)
    points = np.zeros((count, 2), np.float32)
    return Features(points, np.ones(count, np.float32), descriptors, (64, 48), *columns)


def test_rotation_is_the_shorter_turn_and_log_scale_counts_doublings() -> None:
    descriptors = np.eye(4, 8, dtype=np.float32)
    nan = float("nan")
    view0 = oriented(descriptors, [0.1, 6.2, 0.0, nan], [2.0, 8.0, 3.0, 1.0])
    view1 = oriented(descriptors[::-1].copy(), [1.0, np.pi, 0.1, 6.2], [0.0, 3.0, 1.0, 4.0])
    matches = match_features(view0, view1, 1.0, False)
    turn = 2 * np.pi - 6.1
    np.testing.assert_allclose(matches.rotation, [-turn, turn, -np.pi, nan], atol=1e-6)
    np.testing.assert_allclose(matches.log_scale, [1.0, -3.0, 0.0, nan], atol=1e-6)


def test_half_a_turn_is_negative_even_where_it_is_rounded() -> None:
    """Just less than pi in double precision, more than pi as the nearest float32."""
    descriptors = np.eye(2, 8, dtype=np.float32)
    view0 = oriented(descriptors, [1e-7, 0.0], None)
    matches = match_features(view0, oriented(descriptors, [np.pi, 3.1415], None), 1.0, False)
    np.testing.assert_array_equal(matches.rotation, np.array([-np.pi, 3.1415], np.float32))


def test_matches_that_are_left_keep_their_own_evidence() -> None:
    rng = np.random.default_rng(3)
    a, b = random_descriptors("vectors", 60, rng), random_descriptors("vectors", 60, rng)
    angles, sizes = rng.uniform(0, 6.28, (2, 60)), rng.uniform(1, 50, (2, 60))
    view0, view1 = (oriented(d, list(angles[i]), list(sizes[i])) for i, d in enumerate((a, b)))
    every = match_features(view0, view1, 1.0, False)
    kept = match_features(view0, view1, 0.95, True)
    assert 0 < len(kept) < len(every)
    np.testing.assert_array_equal(kept.evidence, every.evidence[kept.indices0])
    expected = np.log2(sizes[1][every.indices1] / sizes[0])
    np.testing.assert_allclose(every.log_scale, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["bits", "vectors"])
def test_distance_is_a_share_of_the_largest_one(kind: str) -> None:
    rng = np.random.default_rng(5)
    a, b = random_descriptors(kind, 30, rng), random_descriptors(kind, 40, rng)
    matches = match_features(features(a), features(b), 1.0, False)
    largest = 256 if kind == "bits" else np.sqrt(2.0)
    expected = np.minimum(plain_distances(a, b).min(axis=1) / largest, 1.0)
    np.testing.assert_allclose(matches.distance, expected, atol=1e-4)
    far = np.array([[1.0, 0.0]], np.float32)
    opposite = match_features(features(far), features(-far), 1.0, False)
    np.testing.assert_array_equal(opposite.distance, 1.0)


def test_what_is_unknown_is_nan() -> None:
    long = 3.0 * np.eye(3, 8, dtype=np.float32)
    matches = match_features(features(long), features(long), 1.0, False)
    assert matches.rotation is None and matches.log_scale is None
    assert np.isnan(matches.distance).all()  # not of vectors of unit length
    plain = Matches(
        matches.keypoints0, matches.keypoints1, ratio=matches.ratio, mutual=matches.mutual
    )
    for evidence in (matches.evidence, plain.evidence):
        assert evidence.shape == (3, 5) and evidence.dtype == np.float32
        np.testing.assert_array_equal(evidence[:, 0], matches.ratio)
        np.testing.assert_array_equal(evidence[:, 1], matches.mutual)
        assert np.isnan(evidence[:, 2:]).all()


def test_normalised_sizes_are_those_of_cameras_with_equal_focal_lengths() -> None:
    """A point seen from the same distance with twice the focal length is twice as large."""
    assert EVIDENCE == ("ratio", "mutual", "rotation", "log_scale", "distance")
    evidence = np.array([[0.5, 1, 0.2, 1.0, 0.3], [0.7, 0, -1, np.nan, 0.1]], np.float32)
    given = evidence.copy()
    normalised = normalised_evidence(given, 500.0, 1000.0)
    np.testing.assert_array_equal(given, evidence)  # what was given stays as it was
    np.testing.assert_allclose(normalised[:, 3], [0.0, np.nan], atol=1e-6)
    np.testing.assert_array_equal(np.delete(normalised, 3, 1), np.delete(evidence, 3, 1))
    np.testing.assert_allclose(normalised_evidence(normalised, 1000.0, 500.0), evidence)
    for unknown in ((np.nan, 500.0), (500.0, np.nan)):
        np.testing.assert_array_equal(normalised_evidence(evidence, *unknown), evidence)


def test_matches_without_features_say_so_where_features_are_needed() -> None:
    points = np.zeros((3, 2), np.float32)
    given = Matches(points, points)
    assert len(given) == 3 and np.isnan(given.evidence).all() and given.evidence.shape == (3, 5)
    with pytest.raises(FrontendError, match="without fixed keypoints"):
        _ = given.feature_indices
    features = Features.without_keypoints((640, 480), payload="a pyramid")
    assert len(features) == 0 and not features.fixed_keypoints and features.payload == "a pyramid"
