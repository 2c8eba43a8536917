"""Report of an evaluation: one HTML file with its tables, plots and pictures, and nothing outside.

No script and no font is loaded, so that the file can be kept and sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

import msga_ros
from msga_ros.evaluation import report_plots as plots
from msga_ros.evaluation.examples import Example, best_and_worst
from msga_ros.evaluation.records import PairRecord
from msga_ros.evaluation.report_pictures import Images, key, picture
from msga_ros.evaluation.report_svg import legend
from msga_ros.evaluation.tables import EvaluationRow, summarise

EXAMPLES = 4  # best and worst pairs that are shown of each dump

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  color: #1b1f24; background: #fff; margin: 0 auto; max-width: 1120px; padding: 2rem 1.5rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .6rem; padding-bottom: .25rem;
  border-bottom: 2px solid #0072B2; }
h3 { font-size: 1.02rem; margin: 1.6rem 0 .4rem; }
p.note, figcaption, .facts { color: #57606a; font-size: .88rem; margin: .3rem 0 .8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; width: 100%; }
th, td { padding: .3rem .6rem; text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
th { color: #57606a; font-weight: 600; border-bottom: 1px solid #8c959f; }
td { border-bottom: 1px solid #e6e9ec; }
th:first-child, td:first-child { text-align: left; }
td.best { font-weight: 700; }
td small { display: block; color: #57606a; font-weight: 400; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 1.2rem; }
figure { margin: 0; }
svg.plot { width: 100%; height: auto; }
svg text { font-size: 11.5px; fill: #3d444d; stroke: none; }
svg text.label { font-size: 12.5px; fill: #1b1f24; }
svg .grid { stroke: #e6e9ec; fill: none; }
svg .axis { stroke: #57606a; fill: none; }
svg.pair { width: 100%; height: auto; max-height: 340px; border-radius: 4px; }
.legend { margin: .4rem 0; }
.key { display: inline-flex; align-items: center; gap: .4rem; margin-right: 1.2rem;
  font-size: .9rem; }
@media print { body { max-width: none; padding: 0; } h2 { break-after: avoid; }
  figure { break-inside: avoid; } }
"""

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
    dumps = list(dict.fromkeys(record.dump for record in records))
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="minutes")
    all_facts = {"Made": f"{now}, msga_ros {msga_ros.__version__}", **facts}
    parts = ["<h1>Relative pose from putative matches</h1>", _facts(all_facts)]
    for dump in dumps:
        own = [record for record in records if record.dump == dump]
        shown = [example for example in examples if example.record.dump == dump]
        parts.append(_section(dump, own, shown, images))
    parts.append(_meaning())
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Evaluation: {escape(', '.join(dumps))}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


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
) -> str:
    series: dict[str, list[PairRecord]] = {}
    several = len({record.weights for record in records if record.weights}) > 1
    for record in records:
        series.setdefault(_name(record.estimator, record.weights, several), []).append(record)
    ratios = [record.inlier_ratio for record in next(iter(series.values()))]
    median = sorted(ratios)[len(ratios) // 2]
    figures = "".join(
        f"<figure>{draw(series)}<figcaption>{caption}</figcaption></figure>"
        for draw, caption in _PLOTS
    )
    return (
        f"<h2>{escape(dump)}</h2>"
        f'<p class="note">{len(ratios)} pairs; {100 * median:.1f} % of the matches of the median '
        "pair are true.</p>"
        f"{_main_table(summarise(records, intervals=True), several)}"
        f'{legend(list(series))}<div class="plots">{figures}</div>'
        f"{_group_table('By difficulty', summarise(records, 'inlier-ratio'), several)}"
        f"{_group_table('By scene', summarise(records, 'scene'), several)}"
        f"{_gallery(examples, images, several)}"
    )


def _main_table(rows: Sequence[EvaluationRow], several: bool) -> str:
    """All measures; the best of each in bold."""
    columns = (
        *(("AUC@5", "auc5"), ("AUC@10", "auc10"), ("AUC@20", "auc20")),
        *(("mAP5", "map5"), ("mAP10", "map10"), ("mAP20", "map20")),
        *(("P", "precision"), ("R", "recall"), ("F", "f")),
    )
    head = "".join(f"<th>{name}</th>" for name, _ in columns)
    body = []
    for row in rows:
        cells = [f"<td>{escape(_name(row.estimator, row.weights, several))}</td>"]
        for position, (_, entry) in enumerate(columns):
            value = getattr(row, entry)
            interval = row.intervals[position] if position < len(row.intervals) else None
            best = value >= max(getattr(other, entry) for other in rows)
            cells.append(_cell(value, best, interval))
        cells.append(f"<td>{row.ms_per_pair:.1f}</td><td>{_memory(row)}</td>")
        iterations = f"{row.iterations:.0f}" if row.iterations else "-"
        cells.append(f"<td>{iterations}</td><td>{row.failures}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    head += "<th>ms</th><th>MiB</th><th>RANSAC</th><th>failed</th>"
    return (
        f'<div class="wide"><table><thead><tr><th>estimator</th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _group_table(title: str, rows: Sequence[EvaluationRow], several: bool) -> str:
    """AUC of each estimator in each group: one line a group."""
    names = list(dict.fromkeys(_name(row.estimator, row.weights, several) for row in rows))
    groups: dict[str, dict[str, EvaluationRow]] = {}
    for row in rows:
        name = _name(row.estimator, row.weights, several)
        groups.setdefault(row.group, {})[name] = row
    body = []
    for group, own in groups.items():
        best = max(row.auc10 for row in own.values())
        cells = [f"<td>{escape(group)}</td><td>{next(iter(own.values())).pairs}</td>"]
        for name in names:
            row = own[name]
            text = f"{row.auc5:.1f} / {row.auc10:.1f} / {row.auc20:.1f}"
            marked = ' class="best"' if row.auc10 >= best else ""
            cells.append(f"<td{marked}>{text}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    return (
        f'<h3>{title}</h3><p class="note">AUC@5 / 10 / 20 degrees, percent; bold: best AUC@10.</p>'
        f'<div class="wide"><table><thead><tr><th></th><th>pairs</th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _gallery(examples: Sequence[Example], images: Images | None, several: bool) -> str:
    if not examples:
        return ""
    first = examples[0].record
    name = escape(_name(first.estimator, first.weights, several))
    half = len(examples) // 2
    parts = []
    for title, shown in (("Best pairs", examples[:half]), ("Worst pairs", examples[half:])):
        figures = "".join(
            f"<figure>{picture(example, images)}<figcaption>{_caption(example)}</figcaption>"
            "</figure>"
            for example in shown
        )
        parts.append(f'<h3>{title} of {name}</h3>{key()}<div class="plots">{figures}</div>')
    return "".join(parts)


def _caption(example: Example) -> str:
    record = example.record
    errors = "no pose"
    if record.success:
        errors = (
            f"rotation {record.rotation_error:.2f}°, translation {record.translation_error:.2f}°"
        )
    return (
        f"<b>{escape(record.pair)}</b>: {errors}; {100 * record.inlier_ratio:.1f} % of "
        f"{record.matches} matches are true; precision {100 * record.precision:.0f} %, "
        f"recall {100 * record.recall:.0f} %"
    )


def _facts(facts: Mapping[str, str]) -> str:
    facts_html = "".join(
        f"<br><b>{escape(name)}</b>: {escape(text)}" for name, text in facts.items()
    )
    return f'<p class="facts">{facts_html.removeprefix("<br>")}</p>'


def _meaning() -> str:
    return (
        "<h2>What the numbers mean</h2><p>The error of a pair is the larger of the angles between "
        "estimated and true rotation and between estimated and true translation, up to its sign; a "
        "pair without a pose has an infinite error and counts in every number. <b>AUC@t</b>: area "
        "under the recall-over-error curve up to t degrees, as a share of the whole. <b>mAP5</b>: "
        "share of the pairs with an error under 5 degrees; <b>mAP10</b>, <b>mAP20</b>: mean of the "
        "shares under 5, 10 (, 15, 20). <b>P, R, F</b>: precision, recall and their harmonic mean "
        "of all matches within 1e-4 (squared symmetric epipolar distance, normalised coordinates) "
        "of the estimated essential matrix, against those within it of the true one; means over "
        "the pairs. <b>ms</b>: mean time from matches to pose. <b>MiB</b>: memory that one "
        "pair needs on top of the loaded process, and all that is allocated on the GPU. "
        "<b>RANSAC</b>: mean iterations of the robust estimator, where it tells. Small numbers: "
        "95 % bootstrap intervals over the pairs of these scenes, not over places.</p>"
    )


def _name(estimator: str, weights: str, several: bool) -> str:
    if not (weights and several):
        return estimator
    return f"{estimator} ({weights})"


def _cell(value: float, best: bool, interval: tuple[float, float] | None) -> str:
    small = f"<small>{interval[0]:.0f}-{interval[1]:.0f}</small>" if interval else ""
    marked = ' class="best"' if best else ""
    return f"<td{marked}>{value:.1f}{small}</td>"


def _memory(row: EvaluationRow) -> str:
    if math.isnan(row.peak_mb):
        return "-"
    device = f"<small>GPU {row.peak_device_mb:.0f}</small>" if row.peak_device_mb > 0 else ""
    return f"{row.peak_mb:.0f}{device}"
