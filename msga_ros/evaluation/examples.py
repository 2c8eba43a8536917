"""Best and worst pairs of an evaluation: estimated once more, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.dumps import DumpFile, Pair
from msga_ros.evaluation.dump_evaluation import dump_labels, judges
from msga_ros.evaluation.records import PairRecord
from msga_ros.two_view.config import PipelineConfig


@dataclass(frozen=True)
class Example:
    """A pair, what an estimator made of it, and `(N,)` which matches it takes for inliers."""

    record: PairRecord
    pair: Pair
    inlier: NDArray[np.bool_]


def best_and_worst(
    records: Sequence[PairRecord], count: int
) -> tuple[list[PairRecord], list[PairRecord]]:
    """At most `count` records each with the smallest and the largest error, none in both.

    Among equal errors (pairs without a pose) the one with the most true matches is the worst: it
    had the least excuse.
    """
    ordered = sorted(records, key=lambda r: (r.error, r.inlier_ratio))
    most = min(count, len(ordered) // 2)
    best, worst = ordered[:most], ordered[len(ordered) - most :]
    return best, worst[::-1]


def estimate_again(
    records: Sequence[PairRecord],
    dumps: Sequence[str | Path],
    weights: Sequence[str | Path],
    config: PipelineConfig,
) -> list[Example]:
    """The estimates behind the records, which were made with these arguments of `evaluate`."""
    if not records:
        return []
    known = {
        (judge.estimator.name, judge.weights): judge
        for judge in judges([record.estimator for record in records], weights, config)
    }
    paths = {label: path for path, label in dump_labels([Path(dump) for dump in dumps]).items()}
    examples = []
    for record in records:
        with DumpFile(paths[record.dump]) as dump:
            pair = dump[record.index]
        estimate = known[record.estimator, record.weights].estimator(pair)
        examples.append(Example(record, pair, estimate.inlier))
    return examples
