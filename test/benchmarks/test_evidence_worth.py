"""What is kept from a network, and what the table says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from synthetic_dump import synthetic_pair, write_dump

from msga_ros.network.evidence import EVIDENCE
from msga_ros.network.match_scores import MatchScores
from msga_ros.two_view.stages import NormalisedMatches


@pytest.fixture
def benchmark(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("evidence_worth")


class Listening:
    """A sieve that keeps what it was shown."""

    source, verifies = "", True

    def __call__(self, matches: NormalisedMatches) -> MatchScores:
        self.seen = matches
        count = len(matches.correspondences)
        return MatchScores(np.eye(3), np.zeros(count), np.zeros(count))


def test_hidden_entries_alone_are_kept_from_the_network(benchmark: ModuleType) -> None:
    evidence = np.random.default_rng(0).random((7, len(EVIDENCE))).astype(np.float32)
    matches = NormalisedMatches(np.zeros((7, 4)), np.ones(7, bool), evidence.copy())
    network = Listening()
    benchmark.Blinded(network, ("ratio", "log_scale"))(matches)
    shown = network.seen.evidence
    hidden = [EVIDENCE.index("ratio"), EVIDENCE.index("log_scale")]
    assert np.isnan(shown[:, hidden]).all()
    kept = [column for column in range(len(EVIDENCE)) if column not in hidden]
    np.testing.assert_array_equal(shown[:, kept], evidence[:, kept])
    np.testing.assert_array_equal(matches.evidence, evidence)


def test_share_of_pairs_in_the_right_order(benchmark: ModuleType) -> None:
    true = np.array([True, True, False, False])
    assert benchmark.roc_auc(np.array([3.0, 1.0, 2.0, 0.0]), true) == 0.75
    assert benchmark.roc_auc(np.array([1.0, 1.0, 1.0, 1.0]), true) == 0.5
    assert np.isnan(benchmark.roc_auc(np.ones(2), np.ones(2, bool)))


def test_the_table(tmp_path: Path, printed_rows: Callable[..., list[list[str]]]) -> None:
    """Of these pairs the ratio alone is known: what they lack anyway cannot be missed."""
    dump = write_dump(tmp_path / "pairs.h5", [synthetic_pair(seed) for seed in range(4)])
    rows = printed_rows("evidence_worth", dump, "-w", "msga_net_lite")
    ranked = {without: float(score) for _, without, _, score in rows}
    assert list(ranked) == ["-", "ratio", "rotation", "log_scale", "distance", "all"]
    assert ranked["-"] == ranked["rotation"] == ranked["log_scale"] == ranked["distance"]
    assert ranked["ratio"] != ranked["-"]
    assert all(float(areas.split("/")[0]) > 50 for _, _, areas, _ in rows)
