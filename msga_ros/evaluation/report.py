"""Report of an evaluation: one HTML file with its tables, plots and pictures, and nothing outside.

No script and no font is loaded, so that the file can be kept and sent. The page is the template
`templates/report.html`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msga_ros
from msga_ros.evaluation import report_plots as plots
from msga_ros.evaluation.examples import Example, best_and_worst
from msga_ros.evaluation.records import PairRecord
from msga_ros.evaluation.report_pictures import KINDS, Images, picture
from msga_ros.evaluation.report_tables import group_table, main_table, series_name
from msga_ros.evaluation.report_template import rendered
from msga_ros.evaluation.tables import summarise

EXAMPLES = 4  # best and worst pairs that are shown of each dump

_PLOTS = (
    (plots.recall_over_error, "Share of the pairs whose pose error is below an angle."),
    (
        plots.error_over_inlier_ratio,
        "One disc a pair; lines are running medians. Pairs without a pose are at 180 degrees.",
    ),
    (plots.auc_by_difficulty, "By difficulty, with 95 % bootstrap intervals over the pairs."),
    (plots.accuracy_over_time, "Accuracy over the mean time from matches to pose."),
)


def report(
    records: Sequence[PairRecord],
    examples: Sequence[Example],
    images: Images | None,
    facts: Mapping[str, str],
) -> str:
    """The HTML text.

    Args:
        records: of all dumps and estimators.
        examples: of `chosen_examples`, estimated again; dump by dump.
        images: where the images of the pairs are; None: matches are drawn without them.
        facts: what else to say at the top, by name.
    """
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="minutes")
    sections = []
    for dump in dict.fromkeys(record.dump for record in records):
        own = [record for record in records if record.dump == dump]
        shown = [example for example in examples if example.record.dump == dump]
        sections.append(_section(dump, own, shown, images))
    page = rendered(
        "report.html",
        facts={"Made": f"{now}, msga_ros {msga_ros.__version__}", **facts},
        kinds=KINDS[::-1],
        sections=sections,
    )
    return f"{page}\n"


def chosen_examples(records: Sequence[PairRecord]) -> list[PairRecord]:
    """Of each dump, the best and then the worst pairs of one estimator.

    It is the one with the largest AUC@10 among those with a network; without one, among all.
    """
    chosen: list[PairRecord] = []
    for dump in dict.fromkeys(record.dump for record in records):
        own = [record for record in records if record.dump == dump]
        rows = summarise([record for record in own if record.weights] or own)
        shown = max(rows, key=lambda row: row.auc10)
        same = [r for r in own if (r.estimator, r.weights) == (shown.estimator, shown.weights)]
        best, worst = best_and_worst(same, EXAMPLES)
        chosen += best + worst
    return chosen


def _section(
    dump: str, records: Sequence[PairRecord], examples: Sequence[Example], images: Images | None
) -> dict[str, object]:
    """What the template says about one dump."""
    series: dict[str, list[PairRecord]] = {}
    several = len({record.weights for record in records if record.weights}) > 1
    for record in records:
        series.setdefault(series_name(record.estimator, record.weights, several), []).append(record)
    ratios = sorted(record.inlier_ratio for record in next(iter(series.values())))
    drawn = [(picture(example, images), example.record) for example in examples]
    half = len(drawn) // 2
    first = examples[0].record if examples else None
    return {
        "dump": dump,
        "pairs": len(ratios),
        "median_percent": 100 * ratios[len(ratios) // 2],
        "main": main_table(summarise(records, intervals=True), several),
        "series": [(name, plots.look(index)) for index, name in enumerate(series)],
        "plots": [(plots.svg(draw(series)), caption) for draw, caption in _PLOTS],
        "groups": [
            ("By difficulty", group_table(summarise(records, "inlier-ratio"), several)),
            ("By scene", group_table(summarise(records, "scene"), several)),
        ],
        "shown": series_name(first.estimator, first.weights, several) if first else "",
        "galleries": [("Best pairs", drawn[:half]), ("Worst pairs", drawn[half:])] if drawn else [],
    }
