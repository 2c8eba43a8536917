"""Report of a comparison: one HTML file with tables, plots and pictures of pairs."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import cv2

import msga_ros
from msga_ros.evaluation import report_plots as plots
from msga_ros.evaluation.comparison.methods import Answer
from msga_ros.evaluation.comparison.pairs import ImagePair
from msga_ros.evaluation.comparison.records import ComparisonRecord
from msga_ros.evaluation.comparison.rows import ComparisonRow, groupings, rows
from msga_ros.evaluation.report_template import rendered
from msga_ros.two_view.drawing import draw_matches

EXAMPLES = 4  # best and worst pairs that are shown

_PICTURE_WIDTH = 960  # pixels
_TITLES = {
    "angle": "By angle between the views",
    "difficulty": "By difficulty: share of the first method's matches that are true",
    "domain": "By domain",
    "scene": "By scene",
}


def examples(records: Sequence[ComparisonRecord]) -> tuple[list[str], list[str]]:
    """Names of the best and of the worst pairs of the first method, worst first.

    By error where the motion is known, else by the number of inliers.
    """
    first = [one for one in records if one.method == records[0].method]
    known = [one for one in first if one.known]
    if known:
        ordered = sorted(known, key=lambda one: one.error)
    else:
        ordered = sorted(first, key=lambda one: -one.inliers)
    names = [record.pair for record in ordered]
    count = min(EXAMPLES, len(names) // 2)
    return names[:count], names[: -count - 1 : -1] if count else []


def picture(pair: ImagePair, answer: Answer) -> str:
    """Both images with the matches between them, as base64 text of a JPEG."""
    canvas = draw_matches(pair.image0, pair.image1, answer)
    scale = min(_PICTURE_WIDTH / canvas.shape[1], 1.0)
    small = cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 75])
    return base64.b64encode(data.tobytes()).decode()


def report(
    records: Sequence[ComparisonRecord],
    pictures: Mapping[str, str],
    facts: Mapping[str, str],
    domains: Mapping[str, str] | None = None,
) -> str:
    """The HTML text.

    Args:
        records: of `run.compare`, one method or more.
        pictures: `picture` of some pairs for the first method, by name of the pair.
        facts: what else to say at the top, by name.
        domains: of the scenes, for a table.
    """
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="minutes")
    series: dict[str, list[ComparisonRecord]] = {}
    for record in records:
        if record.known:
            series.setdefault(record.method, []).append(record)
    drawn = []
    if series:
        drawn = [
            (plots.svg(plots.recall_over_error(series)), "Share of pairs with a smaller error."),
            (plots.svg(plots.accuracy_over_time(series)), "Accuracy over CPU time."),
        ]
    ways = groupings(domains, records)
    grouped = [(_TITLES[name], rows(records, group)) for name, group in ways.items()]
    tables = [
        (title, _table(made, True))
        for title, made in grouped
        if len({row.group for row in made}) > 1
    ]
    best, worst = examples(records)
    first = {one.pair: one for one in records if one.method == records[0].method}
    galleries = [
        (title, [(pictures[name], first[name]) for name in names if name in pictures])
        for title, names in (("Best pairs", best), ("Worst pairs", worst))
    ]
    page = rendered(
        "comparison.html",
        facts={"Made": f"{now}, msga_ros {msga_ros.__version__}", **facts},
        main=_table(rows(records, intervals=True), False),
        series=[(name, plots.look(index)) for index, name in enumerate(series)],
        plots=drawn,
        tables=tables,
        shown=records[0].method,
        galleries=[(title, shown) for title, shown in galleries if shown],
    )
    return f"{page}\n"


def _table(made: Sequence[ComparisonRow], grouped: bool) -> dict[str, list[list[str]] | list[str]]:
    head = [*(["group"] if grouped else []), "method", *(name for name, _ in COLUMNS)]
    body = [
        [*([row.group] if grouped else []), row.method, *(text(row) for _, text in COLUMNS)]
        for row in made
    ]
    return {"head": head, "rows": body}


def _number(value: float, digits: int = 1) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _areas(row: ComparisonRow) -> str:
    text = "/".join(_number(one) for one in (row.auc5, row.auc10, row.auc20))
    if row.intervals:
        low, high = row.intervals[0]
        text += f" ({low:.0f}-{high:.0f})"
    return text


def _stages(times: Mapping[str, float]) -> str:
    return " ".join(f"{name} {milliseconds:.0f}" for name, milliseconds in times.items())


# Heading, and the text of a row: the table on the terminal has the same.
COLUMNS: tuple[tuple[str, Callable[[ComparisonRow], str]], ...] = (
    ("pairs", lambda row: str(row.pairs)),
    ("AUC@5/10/20", _areas),
    ("right %", lambda row: _number(row.right)),
    ("refused", lambda row: str(row.refused)),
    ("missed", lambda row: str(row.missed)),
    ("wrong", lambda row: str(row.confidently_wrong)),
    ("agree %", lambda row: _number(row.agreeing, 0)),
    ("inliers", lambda row: _number(row.inliers, 0)),
    ("CPU ms", lambda row: f"{_number(row.cpu_ms, 0)}"),
    ("x", lambda row: _number(row.cpu_ratio, 2)),
    ("wall ms", lambda row: _number(row.wall_ms, 0)),
    ("MiB", lambda row: _number(row.memory_mb, 0)),
    ("stages, CPU ms", lambda row: _stages(row.cpu_stages)),
    ("stages, wall ms", lambda row: _stages(row.stages)),
)
