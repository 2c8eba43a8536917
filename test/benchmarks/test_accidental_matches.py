"""Wrong matches that lie on their lines by accident: in which set, and what they bring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from synthetic_dump import synthetic_pair, write_dump

from msga_ros.datasets.dumps import INLIER_THRESHOLD, Pair

PREFILTERED, ACCIDENTAL = "prefiltered", "prefiltered, accidental"


@pytest.fixture
def benchmark(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("accidental_matches")


def kept(pair: Pair) -> np.ndarray:
    return np.flatnonzero(pair.residual < INLIER_THRESHOLD)


def test_the_sets_of_matches(benchmark: ModuleType) -> None:
    pair = synthetic_pair(3, matches=4000, outliers=0.7)
    shown = pair.ratios < 0.9
    sets = benchmark.versions(pair, np.random.default_rng(0))
    true = kept(pair)
    np.testing.assert_array_equal(kept(sets["oracle"]), true)
    np.testing.assert_array_equal(kept(sets[PREFILTERED]), true[shown[true]])
    np.testing.assert_array_equal(
        sets[PREFILTERED].correspondences, pair.correspondences
    )  # what is left out is only not kept
    mixed = sets[ACCIDENTAL]
    np.testing.assert_array_equal(mixed.correspondences[shown], pair.correspondences[shown])
    np.testing.assert_array_equal(mixed.correspondences[:, :2], pair.correspondences[:, :2])
    others = mixed.correspondences[~shown, 2:]
    assert sorted(map(tuple, others)) == sorted(map(tuple, pair.correspondences[~shown, 2:]))
    assert np.mean(np.all(others == pair.correspondences[~shown, 2:], axis=1)) < 0.01
    # Some lie on their lines, and they are none of the true ones.
    accidental = np.setdiff1d(kept(mixed), np.flatnonzero(shown))
    assert 0 < len(accidental) < 0.2 * (~shown).sum()


def test_the_table(tmp_path: Path, printed_rows: Callable[..., list[list[str]]]) -> None:
    dump = write_dump(tmp_path / "pairs.h5", [synthetic_pair(seed) for seed in range(3)])
    rows = printed_rows("accidental_matches", dump, "--stride", "2")
    assert [row[0] for row in rows] == ["oracle", PREFILTERED, ACCIDENTAL]
    counts = [float(row[1]) for row in rows]
    assert counts[0] > counts[1] > 0 and counts[2] >= counts[1]
    assert all(float(row[2].split("/")[0]) > 80 for row in rows)
