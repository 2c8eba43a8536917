"""The plots of an evaluation's report, by matplotlib."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple, Protocol

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from msga_ros.evaluation.metrics import bootstrap_auc, pose_auc
from msga_ros.evaluation.records import PairRecord
from msga_ros.evaluation.tables import RATIO_CLASSES, inlier_ratio_class


class WithError(Protocol):
    """A record with a pose error."""

    @property
    def error(self) -> float:
        """Degrees; infinite without a pose."""
        ...


class Timed(WithError, Protocol):
    """A record with a pose error and the time it took."""

    @property
    def milliseconds(self) -> float:
        """Of the pair."""
        ...


Series = Mapping[str, Sequence[PairRecord]]  # by the name that the legend gives

_SIZE = (7.2, 4.4)  # inches of 72 points
_RECALL_LIMIT = 20.0  # degrees
_ERROR_RANGE = (0.1, 180.0)  # degrees; a pair without a pose is at the upper end
# Okabe and Ito, "Color universal design", 2008; yellow is left out, it is pale on white.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
# Told apart without colours, too.
_DASHES = ((), (7, 3), (2, 3), (9, 3, 2, 3), (12, 4), (4, 2), (1, 2))
_STYLE: dict[Any, Any] = {  # matplotlib's key type is a union of all names
    "axes.edgecolor": "#57606a",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "sans-serif",
    "font.size": 11,
    "grid.color": "#e6e9ec",
    "lines.scale_dashes": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "msga",  # the same records give the same file
}


class Look(NamedTuple):
    """How the lines of a series are drawn; `dashes` in points, none: a full line."""

    colour: str
    dashes: tuple[int, ...]


def look(index: int) -> Look:
    """Of series `index`; no two of the first 49 are alike."""
    rounds = index // len(_COLOURS)
    return Look(_COLOURS[index % len(_COLOURS)], _DASHES[(index + rounds) % len(_DASHES)])


def svg(figure: Figure) -> str:
    """The figure as an element of an HTML page; its title is for those who cannot see it."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context(_STYLE):
        FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)
    text = buffer.getvalue()
    attributes = f'class="plot" role="img" aria-label="{escape(str(figure.get_label()))}"'
    text = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', rf"\1 {attributes}", text, count=1)
    return text[text.index("<svg") :]


def recall_over_error(series: Mapping[str, Sequence[WithError]]) -> Figure:
    """Share of the pairs with an error below each angle, up to 20 degrees."""
    figure, axes = _figure("Recall over pose error")
    for index, records in enumerate(series.values()):
        errors = np.sort([record.error for record in records])
        below = errors[errors < _RECALL_LIMIT]
        shares = 100.0 * np.arange(len(below) + 1) / len(errors)
        ends = [0.0, *below, _RECALL_LIMIT]
        _line(axes, ends, [*shares, shares[-1]], index, drawstyle="steps-post")
    axes.set(xlabel="pose error, degrees", ylabel="pairs with a smaller error, %")
    axes.set(xlim=(0, _RECALL_LIMIT), xticks=np.linspace(0, _RECALL_LIMIT, 5))
    _percent(axes)
    return figure


def error_over_inlier_ratio(series: Series) -> Figure:
    """One disc a pair, and the median of the error along the inlier ratio."""
    figure, axes = _figure("Pose error over the share of true matches")
    ratios = [max(record.inlier_ratio, 0.005) for records in series.values() for record in records]
    low = max(min(ratios) * 0.9, 0.005)
    for index, records in enumerate(series.values()):
        ordered = sorted(records, key=lambda record: record.inlier_ratio)
        shares = 100 * np.array([record.inlier_ratio for record in ordered])
        errors = np.clip([record.error for record in ordered], *_ERROR_RANGE)
        colour = look(index).colour
        axes.scatter(
            shares.clip(100 * low),
            errors,
            s=14,
            color=colour,
            alpha=0.4,
            linewidths=0,
            clip_on=False,
        )
        _line(axes, *_running_median(shares, errors), index)
    axes.set(xscale="log", yscale="log", xlim=(100 * low, 100), ylim=_ERROR_RANGE)
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50) if tick > 100 * low]
    axes.set_xticks([*ticks, 100], [f"{tick:g}" for tick in [*ticks, 100]])
    axes.set_yticks([0.1, 1, 10, 180], ["0.1", "1", "10", "180"])
    axes.minorticks_off()
    axes.set(xlabel="true matches, %", ylabel="pose error, degrees")
    return figure


def auc_by_difficulty(series: Series) -> Figure:
    """AUC@10 in each class of inlier ratio, with bootstrap intervals."""
    figure, axes = _figure("AUC at 10 degrees by the share of true matches")
    present = [
        name
        for name in RATIO_CLASSES
        if any(inlier_ratio_class(r) == name for records in series.values() for r in records)
    ]
    width = 0.8 / len(series)
    names = []
    for place, name in enumerate(present):
        count = 0
        for index, records in enumerate(series.values()):
            errors = [r.error for r in records if inlier_ratio_class(r) == name]
            count = max(count, len(errors))
            middle = place + 0.1 + (index + 0.5) * width
            area = 100 * float(pose_auc(errors, (10.0,))[0])
            axes.bar(middle, area, 0.95 * width, color=look(index).colour)
            low, high = 100 * bootstrap_auc(errors, (10.0,), resamples=500)[0]
            if np.isfinite(low):
                axes.vlines(middle, low, high, color="#333", linewidth=1)
                axes.hlines((low, high), middle - 0.04, middle + 0.04, color="#333", linewidth=1)
        names.append(f"{name} ({count})")
    axes.set_xticks(np.arange(len(present)) + 0.5, names)
    axes.grid(False, axis="x")
    axes.set(xlim=(0, len(present)), xlabel="true matches (pairs)", ylabel="AUC@10°, %")
    _percent(axes)
    return figure


def accuracy_over_time(series: Mapping[str, Sequence[Timed]]) -> Figure:
    """AUC@10 over milliseconds a pair: up and left is better."""
    figure, axes = _figure("AUC at 10 degrees over time")
    times = [float(np.mean([r.milliseconds for r in records])) for records in series.values()]
    low, high = min(times) / 2.0, max(times) * 2.0
    areas = [100 * float(pose_auc([r.error for r in own], (10.0,))[0]) for own in series.values()]
    names = list(series)
    height = 110.0
    for index in sorted(range(len(names)), key=lambda index: -areas[index]):
        axes.scatter(times[index], areas[index], s=80, color=look(index).colour, zorder=3)
        height = min(areas[index], height - 5.5)  # below the name before: they do not overlap
        near_end = np.log(times[index] / low) > 0.6 * np.log(high / low)
        axes.annotate(
            names[index],
            (times[index], height),
            xytext=(-8 if near_end else 8, 0),
            textcoords="offset points",
            ha="right" if near_end else "left",
            va="center",
        )
    ticks = [base * 10.0**power for power in range(-3, 6) for base in (1, 2, 5)]
    ticks = [tick for tick in ticks if low <= tick <= high]
    axes.set(xscale="log", xlim=(low, high), xlabel="ms a pair", ylabel="AUC@10°, %")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    _percent(axes)
    return figure


def _figure(title: str) -> tuple[Figure, Axes]:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, layout="constrained", label=title)
        axes = figure.subplots()
    axes.set_axisbelow(True)
    return figure, axes


def _line(
    axes: Axes, x: Sequence[float], y: Sequence[float], index: int, drawstyle: str = "default"
) -> None:
    colour, dashes = look(index)
    with matplotlib.rc_context(_STYLE):
        style = (0, dashes) if dashes else "solid"
        axes.plot(x, y, color=colour, linestyle=style, linewidth=2.2, drawstyle=drawstyle)  # type: ignore[arg-type]


def _percent(axes: Axes) -> None:
    axes.set(ylim=(0, 100), yticks=range(0, 101, 20))


def _running_median(
    shares: np.ndarray, errors: np.ndarray
) -> tuple[Sequence[float], Sequence[float]]:
    """Medians of a window of a fifth of the pairs, at least 15, that is moved along x."""
    size = min(max(len(shares) // 5, 15), len(shares))
    starts = range(0, len(shares) - size + 1, max(size // 6, 1))
    windows = [slice(start, start + size) for start in starts]
    return (
        [float(np.median(shares[one])) for one in windows],
        [float(np.median(errors[one])) for one in windows],
    )
