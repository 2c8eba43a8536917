"""One match for each feature: what odometry may count as independent."""

from __future__ import annotations

import numpy as np

from msga_ros.odometry.matches import FilteredMatches, unique_rows


def rows_of(indices0: list[int], indices1: list[int], probability: list[float]) -> list[int]:
    count = len(indices0)
    matches = FilteredMatches(
        np.array(indices0),
        np.array(indices1),
        np.ones(count, dtype=bool),
        np.array(probability, np.float32),
    )
    return unique_rows(matches).tolist()


def test_the_most_probable_match_of_a_feature_stays() -> None:
    assert rows_of([0, 1, 2], [5, 5, 6], [0.6, 0.9, 0.7]) == [1, 2]
    assert rows_of([0, 0, 2], [4, 5, 6], [0.6, 0.9, 0.7]) == [1, 2]
    assert rows_of([0, 0, 2], [4, 5, 6], [0.9, 0.6, 0.7]) == [0, 2]


def test_no_feature_is_twice_in_either_view() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 30, (2, 200))
    probability = rng.random(200)
    kept = rows_of(first.tolist(), second.tolist(), probability.tolist())
    assert kept == sorted(kept)
    for indices in (first, second):
        assert len(set(indices[kept].tolist())) == len(kept)
    # The most probable of all is never the one that goes.
    assert int(probability.argmax()) in kept


def test_outliers_take_no_place() -> None:
    held = np.array([False, True])
    both = np.array([3, 3])
    matches = FilteredMatches(both, both, held, np.array([0.9, 0.2], np.float32))
    assert unique_rows(matches).tolist() == [1]
