"""The tables of an evaluation's report, as cells that the template lays out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from msga_ros.evaluation.tables import EvaluationRow

_MEASURES = {
    **{"AUC@5": "auc5", "AUC@10": "auc10", "AUC@20": "auc20"},
    **{"mAP5": "map5", "mAP10": "map10", "mAP20": "map20"},
    **{"P": "precision", "R": "recall", "F": "f"},
}


@dataclass(frozen=True)
class Cell:
    """One figure or name; `small` stands below it."""

    text: str
    small: str = ""
    best: bool = False


@dataclass(frozen=True)
class Table:
    """Names of the columns, and the rows."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def main_table(rows: Sequence[EvaluationRow], several: bool) -> Table:
    """All measures; the best of each in bold."""
    head = ("estimator", *_MEASURES, "ms", "MiB", "RANSAC", "failed")
    body = []
    for row in rows:
        cells = [Cell(series_name(row.estimator, row.weights, several))]
        for position, entry in enumerate(_MEASURES.values()):
            value = getattr(row, entry)
            small = ""
            if position < len(row.intervals):
                low, high = row.intervals[position]
                small = f"{low:.0f}-{high:.0f}"
            best = value >= max(getattr(other, entry) for other in rows)
            cells.append(Cell(f"{value:.1f}", small, best))
        cells += [Cell(f"{row.ms_per_pair:.1f}"), _memory(row)]
        cells += [Cell(f"{row.iterations:.0f}" if row.iterations else "-"), Cell(str(row.failures))]
        body.append(cells)
    return Table(head, body)


def group_table(rows: Sequence[EvaluationRow], several: bool) -> Table:
    """AUC of each estimator in each group: one line a group."""
    names = list(dict.fromkeys(series_name(row.estimator, row.weights, several) for row in rows))
    groups: dict[str, dict[str, EvaluationRow]] = {}
    for row in rows:
        name = series_name(row.estimator, row.weights, several)
        groups.setdefault(row.group, {})[name] = row
    body = []
    for group, own in groups.items():
        best = max(row.auc10 for row in own.values())
        cells = [Cell(group), Cell(str(next(iter(own.values())).pairs))]
        for row in (own[name] for name in names):
            text = f"{row.auc5:.1f} / {row.auc10:.1f} / {row.auc20:.1f}"
            cells.append(Cell(text, best=row.auc10 >= best))
        body.append(cells)
    return Table(("", "pairs", *names), body)


def series_name(estimator: str, weights: str, several: bool) -> str:
    """What the report calls an estimator; `several`: sets of weights take part."""
    return f"{estimator} ({weights})" if weights and several else estimator


def _memory(row: EvaluationRow) -> Cell:
    if math.isnan(row.peak_mb):
        return Cell("-")
    return Cell(
        f"{row.peak_mb:.0f}", f"GPU {row.peak_device_mb:.0f}" if row.peak_device_mb > 0 else ""
    )
