"""Rows of an evaluation's table, computed from records."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from msga_ros.evaluation.metrics import bootstrap_auc, pose_auc, pose_map
from msga_ros.evaluation.records import PairRecord, finite

GROUPINGS = ("all", "scene", "inlier-ratio")
_RATIO_CLASSES = ((0.05, "under 5 %"), (0.10, "5-10 %"), (0.20, "10-20 %"))
_RATIO_CLASS_LAST = "over 20 %"
RATIO_CLASSES = (*(label for _, label in _RATIO_CLASSES), _RATIO_CLASS_LAST)


@dataclass(frozen=True)
class EvaluationRow:
    """One line of the table: shares in percent, time in milliseconds.

    Precision, recall and F are means over the pairs, as published. A pair without a pose counts
    with an infinite error and no inlier.
    """

    dump: str
    group: str  # scene or class of inlier ratio; empty: all pairs of the dump
    estimator: str
    weights: str
    pairs: int
    auc5: float
    auc10: float
    auc20: float
    map5: float
    map10: float
    map20: float
    precision: float
    recall: float
    f: float
    ms_per_pair: float
    peak_mb: float  # MiB on top of the loaded process, for the largest pair; NaN: not measured
    peak_device_mb: float  # MiB on the CUDA device, likewise
    iterations: float  # of the robust estimator, mean; 0 where there is none or it does not say
    failures: int  # pairs without a pose
    intervals: tuple[tuple[float, float], ...]  # 95 % of auc5, auc10, auc20; empty: not asked for

    def as_json(self) -> dict[str, object]:
        """The row under the published keys; `group` and `auc*_interval` where there are any."""
        values = dataclasses.asdict(self)
        del values["iterations"], values["failures"]
        if not values["group"]:
            del values["group"]
        for name, interval in zip(
            ("auc5", "auc10", "auc20"), values.pop("intervals"), strict=False
        ):
            values[f"{name}_interval"] = [finite(round(end, 3)) for end in interval]
        return {
            name: finite(round(value, 3)) if isinstance(value, float) else value
            for name, value in values.items()
        }


def summarise(
    records: Iterable[PairRecord], by: str = "all", *, intervals: bool = False
) -> list[EvaluationRow]:
    """Rows by dump, group, estimator and weights.

    Args:
        records: of one or several evaluations.
        by: `all` (one group a dump), `scene`, or `inlier-ratio` (under 5, 5-10, 10-20, over 20 %).
        intervals: add 95 % bootstrap intervals of the AUC.

    Raises:
        ValueError: `by` is none of these.
    """
    if by not in GROUPINGS:
        raise ValueError(f"records are grouped by {', '.join(GROUPINGS)}, not {by!r}")
    groups: dict[tuple[str, str, str, str], list[PairRecord]] = {}
    for record in records:
        key = (record.dump, _group(record, by), record.estimator, record.weights)
        groups.setdefault(key, []).append(record)
    # Each part of the key in the order of the records, but the classes from the lowest on.
    dumps, labels, estimators, weights = (
        list(dict.fromkeys(k[i] for k in groups)) for i in range(4)
    )
    if by == "inlier-ratio":
        labels = list(RATIO_CLASSES)
    order = itertools.product(dumps, labels, estimators, weights)
    return [_row(key, groups[key], intervals) for key in order if key in groups]


def _group(record: PairRecord, by: str) -> str:
    if by == "scene":
        return record.scene
    if by == "inlier-ratio":
        return inlier_ratio_class(record)
    return ""


def inlier_ratio_class(record: PairRecord) -> str:
    """One of `RATIO_CLASSES`: how difficult a pair is."""
    classes = (label for limit, label in _RATIO_CLASSES if record.inlier_ratio < limit)
    return next(classes, _RATIO_CLASS_LAST)


def _row(
    key: tuple[str, str, str, str], records: list[PairRecord], intervals: bool
) -> EvaluationRow:
    dump, group, estimator, weights = key
    errors = np.array([record.error for record in records])
    auc5, auc10, auc20 = 100 * pose_auc(errors)
    map5, map10, map20 = 100 * pose_map(errors)
    bounds = 100 * bootstrap_auc(errors) if intervals else np.empty((0, 2))

    def mean(name: str) -> float:
        return float(np.mean([getattr(record, name) for record in records]))

    return EvaluationRow(
        dump=dump,
        group=group,
        estimator=estimator,
        weights=weights,
        pairs=len(records),
        auc5=float(auc5),
        auc10=float(auc10),
        auc20=float(auc20),
        map5=float(map5),
        map10=float(map10),
        map20=float(map20),
        precision=100 * mean("precision"),
        recall=100 * mean("recall"),
        f=100 * mean("f"),
        ms_per_pair=mean("milliseconds"),
        peak_mb=_largest(record.memory for record in records),
        peak_device_mb=_largest(record.device_memory for record in records),
        iterations=mean("iterations"),
        failures=sum(not record.success for record in records),
        intervals=tuple((float(low), float(high)) for low, high in bounds),
    )


def _largest(values: Iterable[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return max(known, default=float("nan"))
