"""Rows of a comparison's table, computed from its records."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from msga_ros.evaluation.comparison.pairs import ANGLE_CLASSES, angle_class
from msga_ros.evaluation.comparison.records import ComparisonRecord
from msga_ros.evaluation.metrics import bootstrap_auc, pose_auc
from msga_ros.evaluation.records import finite
from msga_ros.geometry.pose import pose_error_deg

RIGHT_DEG = 5.0  # an error up to this: the pose is right
WRONG_DEG = 10.0  # above this: it is wrong

DIFFICULTY_CLASSES = ("under 10 % true", "10-30 % true", "30-60 % true", "over 60 % true")
_DIFFICULTY_LIMITS = (0.1, 0.3, 0.6)
_ORDERED = (*ANGLE_CLASSES, *DIFFICULTY_CLASSES)


@dataclass(frozen=True)
class ComparisonRow:
    """One method on the pairs of one group; shares in percent.

    `auc5` ... and `right` (share of the pairs with a pose within 5 degrees) count all related pairs
    with a known motion, refused or not. `refused`: the method does not stand by its pose, or has
    none; `missed`: refused where this or another method of the run has the pose within 5 degrees.
    `confidently_wrong`: it stands by a pose that is more than 10 degrees off, or by one of images
    of different places. `agreeing`: of the pairs that this and the first method stand by, on how
    many they agree within 5 degrees. Times are means, milliseconds; `memory_mb` NaN: unknown.
    """

    group: str
    method: str
    pairs: int
    auc5: float
    auc10: float
    auc20: float
    intervals: tuple[tuple[float, float], ...]
    right: float
    refused: int
    missed: int
    confidently_wrong: int
    asked_second: int
    agreeing: float
    inliers: float
    cpu_ms: float
    extract_cpu_ms: float
    wall_ms: float
    cpu_ratio: float  # of the first method's
    memory_mb: float
    stages: Mapping[str, float]
    cpu_stages: Mapping[str, float]

    def as_json(self) -> dict[str, object]:
        """All entries, rounded; None for what is unknown."""
        values = dataclasses.asdict(self)
        for entry in ("stages", "cpu_stages"):
            values[entry] = {name: round(ms, 3) for name, ms in values[entry].items()}
        values["intervals"] = [[round(end, 3) for end in ends] for ends in self.intervals]
        return {
            name: finite(round(value, 3)) if isinstance(value, float) else value
            for name, value in values.items()
        }


def groupings(
    domains: Mapping[str, str] | None = None, records: Sequence[ComparisonRecord] = ()
) -> dict[str, Callable[[ComparisonRecord], str]]:
    """Functions that name the group of a record; `domains` names that of each scene.

    `difficulty`: by the share of the first method's matches that are true, of `records`.
    """
    known = domains or {}
    first = {one.pair: one.true_share for one in records if one.method == records[0].method}
    made: dict[str, Callable[[ComparisonRecord], str]] = {
        "angle": lambda record: angle_class(record.angle_deg),
        "difficulty": lambda record: _difficulty_class(first.get(record.pair, math.nan)),
        "scene": lambda record: record.scene,
    }
    if known:
        made["domain"] = lambda record: known.get(record.scene, "")
    return made


def _difficulty_class(true_share: float) -> str:
    """One of `DIFFICULTY_CLASSES`; "" for NaN."""
    if math.isnan(true_share):
        return ""
    return DIFFICULTY_CLASSES[int(np.searchsorted(_DIFFICULTY_LIMITS, true_share, side="right"))]


def rows(
    records: Sequence[ComparisonRecord],
    group: Callable[[ComparisonRecord], str] = lambda _: "",
    intervals: bool = False,
) -> list[ComparisonRow]:
    """Rows by group and method, in the order of the records (angles from the smallest on,
    difficulty from the hardest).

    Records whose group is "" are left out, but where no groups are asked for.
    """
    methods = list(dict.fromkeys(record.method for record in records))
    by_pair: dict[str, list[ComparisonRecord]] = defaultdict(list)
    for record in records:
        by_pair[record.pair].append(record)
    groups: dict[str, list[ComparisonRecord]] = defaultdict(list)
    for record in records:
        groups[group(record)].append(record)
    if len(groups) > 1:
        groups.pop("", None)
    names = sorted(groups, key=_place)
    made = []
    for name, method in itertools.product(names, methods):
        first = [one for one in groups[name] if one.method == methods[0]]
        own = [one for one in groups[name] if one.method == method]
        if own:
            made.append(_row(name, own, first, by_pair, intervals))
    return made


def _place(name: str) -> int:
    return _ORDERED.index(name) if name in _ORDERED else len(_ORDERED)


def _row(
    group: str,
    own: Sequence[ComparisonRecord],
    first: Sequence[ComparisonRecord],
    by_pair: Mapping[str, Sequence[ComparisonRecord]],
    intervals: bool,
) -> ComparisonRow:
    errors = np.array([record.error for record in own if record.known])
    auc = 100 * pose_auc(errors) if len(errors) else np.full(3, np.nan)
    ends = 100 * bootstrap_auc(errors) if intervals and len(errors) else np.empty((0, 2))
    refused = [record for record in own if not record.ok]
    memories = [record.memory_mb for record in own if not math.isnan(record.memory_mb)]
    cpu = _mean([record.cpu_ms for record in own])
    return ComparisonRow(
        group=group,
        method=own[0].method,
        pairs=len(own),
        auc5=float(auc[0]),
        auc10=float(auc[1]),
        auc20=float(auc[2]),
        intervals=tuple((float(low), float(high)) for low, high in ends),
        right=100 * float((errors <= RIGHT_DEG).mean()) if len(errors) else math.nan,
        refused=len(refused),
        missed=sum(_is_missed(by_pair[record.pair]) for record in refused),
        confidently_wrong=sum(_is_confidently_wrong(record) for record in own),
        asked_second=sum("second" in record.stages for record in own),
        agreeing=_agreeing(own, first),
        inliers=float(np.median([record.inliers for record in own])),
        cpu_ms=cpu,
        extract_cpu_ms=_mean([record.extract_cpu_ms for record in own]),
        wall_ms=_mean([record.wall_ms for record in own]),
        cpu_ratio=cpu / _mean([record.cpu_ms for record in first]),
        memory_mb=max(memories, default=math.nan),
        stages=_means([record.stages for record in own]),
        cpu_stages=_means([record.cpu_stages for record in own]),
    )


def _is_missed(same_pair: Sequence[ComparisonRecord]) -> bool:
    return any(record.known and record.error <= RIGHT_DEG for record in same_pair)


def _is_confidently_wrong(record: ComparisonRecord) -> bool:
    if not record.ok:
        return False
    return not record.related or (record.known and record.error > WRONG_DEG)


def _agreeing(own: Sequence[ComparisonRecord], first: Sequence[ComparisonRecord]) -> float:
    """Percent; NaN where they stand by no pair both."""
    others = {record.pair: record for record in first if record.ok}
    both = [(record, others[record.pair]) for record in own if record.ok and record.pair in others]
    if not both:
        return math.nan
    agreed = [max(_between(one, other)) <= RIGHT_DEG for one, other in both]
    return 100 * sum(agreed) / len(agreed)


def _between(one: ComparisonRecord, other: ComparisonRecord) -> tuple[float, float]:
    rotations = (np.reshape(record.rotation, (3, 3)) for record in (one, other))
    rotation, other_rotation = rotations
    return pose_error_deg(
        rotation, np.array(one.translation), other_rotation, np.array(other.translation)
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _means(made: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each entry, over those that have it."""
    values: dict[str, list[float]] = defaultdict(list)
    for one in made:
        for name, value in one.items():
            values[name].append(value)
    return {name: _mean(found) for name, found in values.items()}
