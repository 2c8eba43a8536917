"""How the demo shows itself: a live table in a terminal, plain lines elsewhere, a summary."""

from __future__ import annotations

import math
import time

from rich.console import Console
from rich.live import Live
from rich.table import Table

from msga_ros.tools.demo_statistics import DemoStatistics, Summary
from msga_ros.tools.frame_account import LOST, NOBODY_LISTENED, Account

_PLAIN_PERIOD = 2.0  # seconds between two plain lines
_LIVE_PERIOD = 0.2


class Display:
    """A context in which `update` shows the figures, as often as is good for the eye."""

    def __init__(self, console: Console, title: str, frames: int) -> None:
        self._console = console
        self._title = title
        self._frames = frames
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._period = _LIVE_PERIOD if self._live else _PLAIN_PERIOD
        self._shown = 0.0
        self._last_line = ""

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def update(self, statistics: DemoStatistics, state: str, force: bool = False) -> None:
        """Show `statistics`, and in a word or two what the demo is at."""
        now = time.monotonic()
        if not force and now - self._shown < self._period:
            return
        self._shown = now
        if self._live:
            self._live.update(self._table(statistics, state), refresh=True)
            return
        line = _plain_line(statistics, state)
        if line != self._last_line:
            self._console.print(line, highlight=False, soft_wrap=True)
            self._last_line = line

    def _table(self, statistics: DemoStatistics, state: str) -> Table:
        summary = statistics.summary()
        table = Table(title=self._title, caption=state, min_width=64)
        table.add_column("")
        table.add_column("newest", justify="right")
        table.add_column("median", justify="right")
        last = statistics.reports[-1] if statistics.reports else None
        errors = statistics.errors(last) if last else None
        matched = statistics.matched[-1] if statistics.matched else None
        of = f" of {self._frames}" if self._frames else ""
        table.add_row("frames sent", f"{summary.frames_sent}{of}", "")
        table.add_row("pairs processed", str(summary.pairs), _number(summary.rate, "{:.1f} / s"))
        table.add_row("poses (status OK)", str(summary.poses), "")
        table.add_row("dropped by the node", _count(_dropped(summary)), "", end_section=True)
        table.add_row("matches", _count(matched), _number(summary.matches, "{:.0f}"))
        table.add_row(
            "inliers", _count(last.inliers if last else None), _number(summary.inliers, "{:.0f}")
        )
        ratio = _number(last.inlier_ratio, "{:.1%}") if last else "-"
        table.add_row(
            "inlier ratio", ratio, _number(summary.inlier_ratio, "{:.1%}"), end_section=True
        )
        rotation, translation = errors or (math.nan, math.nan)
        table.add_row("rotation error", _degrees(rotation), _degrees(summary.rotation_error))
        table.add_row(
            "translation direction error",
            _degrees(translation),
            _degrees(summary.translation_error),
        )
        latency = last.latency if last else math.nan
        table.add_row(
            "latency, stamp to pose", _milliseconds(latency), _milliseconds(summary.latency)
        )
        return table


def summary_lines(summary: Summary) -> list[str]:
    """The end of the demo in a few lines of text."""
    lines = [
        f"{summary.frames_sent} frames sent{_account_text(summary.account)}",
        f"{summary.pairs} pairs at {_number(summary.rate, '{:.1f}')} pairs/s, "
        f"{summary.poses} poses with status OK; medians: "
        f"matches {_number(summary.matches, '{:.0f}')}, "
        f"inliers {_number(summary.inliers, '{:.0f}')}"
        f" ({_number(summary.inlier_ratio, '{:.1%}')})",
    ]
    if summary.judged:
        lines.append(
            f"median error against the truth ({summary.judged} poses): rotation "
            f"{_degrees(summary.rotation_error)}, direction of translation "
            f"{_degrees(summary.translation_error)}"
        )
    else:
        lines.append("no pose could be judged: the truth is unknown, or no pose has status OK")
    lines.append(
        f"latency from stamp to pose: median {_milliseconds(summary.latency)}, "
        f"90 % below {_milliseconds(summary.latency_90)}"
    )
    return lines


def _plain_line(statistics: DemoStatistics, state: str) -> str:
    if statistics.frames_sent == 0:
        return state
    summary = statistics.summary()
    return (
        f"{state}: sent {summary.frames_sent}, pairs {summary.pairs}, poses {summary.poses}, "
        f"dropped {_count(_dropped(summary))}; medians: "
        f"matches {_number(summary.matches, '{:.0f}')}, "
        f"inliers {_number(summary.inliers, '{:.0f}')}, "
        f"rotation error {_degrees(summary.rotation_error)}, "
        f"translation error {_degrees(summary.translation_error)}, "
        f"latency {_milliseconds(summary.latency)}"
    )


def _account_text(account: Account | None) -> str:
    """What became of the frames; their numbers add up to those that were sent."""
    if account is None:
        return ", the node did not say what became of them"
    reasons = ", ".join(f"{name} {count}" for name, count in account.by_node.items())
    parts = [
        (account.processed, "processed"),
        (sum(account.by_node.values()), f"dropped by the node ({reasons})"),
        (account.dropped.get(NOBODY_LISTENED, 0), "before anybody listened"),
        (account.dropped.get(LOST, 0), "lost on the way to the node"),
        (account.unaccounted, "unaccounted for"),
    ]
    return ": " + ", ".join(f"{count} {what}" for count, what in parts if count)


def _dropped(summary: Summary) -> int | None:
    return None if summary.account is None else sum(summary.account.by_node.values())


def _number(value: float, pattern: str) -> str:
    return pattern.format(value) if math.isfinite(value) else "-"


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)


def _degrees(value: float) -> str:
    return _number(value, "{:.2f}°")


def _milliseconds(seconds: float) -> str:
    return _number(seconds * 1e3, "{:.0f} ms")
