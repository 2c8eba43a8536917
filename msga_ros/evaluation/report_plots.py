"""The plots of an evaluation's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from msga_ros.evaluation.metrics import bootstrap_auc, pose_auc
from msga_ros.evaluation.records import PairRecord
from msga_ros.evaluation.report_svg import Axis, Plot
from msga_ros.evaluation.tables import RATIO_CLASSES, inlier_ratio_class

Series = Mapping[str, Sequence[PairRecord]]  # by the name that the legend gives

_ERROR_RANGE = (0.1, 180.0)  # degrees; a pair without a pose is at the upper end
_SHARES = (0, 20, 40, 60, 80, 100)


def recall_over_error(series: Series, limit: float = 20.0) -> str:
    """Share of the pairs with an error below each angle, up to `limit` degrees."""
    plot = Plot(
        Axis(0.0, limit, (0, 5, 10, 15, 20), "pose error, degrees"),
        Axis(0.0, 100.0, _SHARES, "pairs with a smaller error, %"),
        "Recall over pose error",
    )
    for index, records in enumerate(series.values()):
        errors = np.sort([record.error for record in records])
        points = [(0.0, 0.0)]
        for rank, error in enumerate(errors[errors < limit]):
            share = 100.0 / len(errors)
            points += [(float(error), rank * share), (float(error), (rank + 1) * share)]
        plot.line([*points, (limit, points[-1][1])], index)
    return plot.svg()


def error_over_inlier_ratio(series: Series) -> str:
    """One disc a pair, and the median of the error along the inlier ratio."""
    ratios = [max(record.inlier_ratio, 0.005) for records in series.values() for record in records]
    low = max(min(ratios) * 0.9, 0.005)
    ticks = [tick for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if tick > low]
    plot = Plot(
        Axis(100 * low, 100.0, [100 * tick for tick in ticks] + [100.0], "true matches, %", True),
        Axis(*_ERROR_RANGE, (0.1, 1, 10, 180), "pose error, degrees", True),
        "Pose error over the share of true matches",
    )
    lines = []
    for index, records in enumerate(series.values()):
        ordered = sorted(records, key=lambda record: record.inlier_ratio)
        points = [(100 * record.inlier_ratio, record.error) for record in ordered]
        plot.points(points, index, 2.0, 0.4)
        lines.append((index, _running_median(points)))
    for index, line in lines:
        plot.line(line, index)
    return plot.svg()


def auc_by_difficulty(series: Series) -> str:
    """AUC@10 in each class of inlier ratio, with bootstrap intervals."""
    present = [
        name
        for name in RATIO_CLASSES
        if any(inlier_ratio_class(r) == name for records in series.values() for r in records)
    ]
    names = []
    plot = Plot(
        Axis(
            0.0, float(len(present)), [i + 0.5 for i in range(len(present))], "true matches (pairs)"
        ),
        Axis(0.0, 100.0, _SHARES, "AUC@10°, %"),
        "AUC at 10 degrees by the share of true matches",
    )
    width = 0.8 / len(series)
    for place, name in enumerate(present):
        count = 0
        for index, records in enumerate(series.values()):
            errors = [r.error for r in records if inlier_ratio_class(r) == name]
            count = max(count, len(errors))
            left = place + 0.1 + index * width
            plot.bar(left, left + width, 100 * float(pose_auc(errors, (10.0,))[0]), index)
            low, high = 100 * bootstrap_auc(errors, (10.0,), resamples=500)[0]
            if np.isfinite(low):
                plot.whisker(left + width / 2, float(low), float(high))
        names.append(f"{name} ({count})")
    plot.x.names = names
    return plot.svg()


def accuracy_over_time(series: Series) -> str:
    """AUC@10 over milliseconds a pair: up and left is better."""
    times = [float(np.mean([r.milliseconds for r in records])) for records in series.values()]
    low, high = min(times) / 2.0, max(times) * 2.0
    ticks = [
        base * 10.0**power
        for power in range(-3, 6)
        for base in (1, 2, 5)
        if low <= base * 10.0**power <= high
    ]
    plot = Plot(
        Axis(low, high, ticks, "ms a pair", True),
        Axis(0.0, 100.0, _SHARES, "AUC@10°, %"),
        "AUC at 10 degrees over time",
    )
    areas = [100 * float(pose_auc([r.error for r in own], (10.0,))[0]) for own in series.values()]
    names = list(series)
    height = 110.0
    for index in sorted(range(len(names)), key=lambda index: -areas[index]):
        plot.points([(times[index], areas[index])], index, 5.0, 1.0)
        height = min(areas[index], height - 5.5)  # below the name before: they do not overlap
        plot.text((times[index], height), names[index])
    return plot.svg()


def _running_median(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Medians of a window of a fifth of the pairs, at least 15, that is moved along x."""
    size = min(max(len(points) // 5, 15), len(points))
    table = np.array(points)
    starts = range(0, len(points) - size + 1, max(size // 6, 1))
    windows = (table[start : start + size] for start in starts)
    return [(float(np.median(w[:, 0])), float(np.median(w[:, 1]))) for w in windows]
