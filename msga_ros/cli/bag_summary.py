"""What `msga bag` prints when it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from msga_ros.bags.summary import Summary


def print_summary(console: Console, target: str, summary: Summary) -> None:
    """What was made, what became of each topic, and why little or nothing came out."""
    console.print(_made(target, summary))
    console.print(_topics(summary))
    style = "yellow" if summary.usable else "red"
    if not summary.usable:
        console.print(f"[{style}]nothing usable came out[/]")
    for line in summary.reasons:
        console.print(f"[{style}]{escape(line)}[/]", highlight=False, soft_wrap=True)


def _made(target: str, summary: Summary) -> Table:
    table = Table(title=escape(target), show_header=False, title_justify="left")
    ok, pairs = summary.by_status.get("OK", 0), summary.outcomes
    others = {name: one for name, one in sorted(summary.by_status.items()) if name != "OK"}
    rows = {
        "complete sets": str(summary.sets),
        "done by an earlier run": str(summary.resumed) if summary.resumed else "",
        "pairs of views": str(pairs),
        "  OK": f"{ok} ({_share(ok, pairs)})" if pairs else "",
        **{f"  {name}": f"{count} ({_share(count, pairs)})" for name, count in others.items()},
        "second front end": _second(summary),
        "jumps back in time": str(summary.tally.jumps) if summary.tally.jumps else "",
        "poses of the trajectory": str(summary.poses) if summary.poses else "",
        "  guessed": _guessed(summary) if summary.poses else "",
        "trajectories": "\n".join(escape(str(path)) for path in summary.files),
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, value)
    return table


def _second(summary: Summary) -> str:
    asked, answered = summary.second_asked, summary.second_answered
    return f"asked about {asked} pairs, {answered} OK by it" if asked else ""


def _guessed(summary: Summary) -> str:
    length = _share(summary.guessed_length, summary.length)
    return f"{summary.guessed} ({_share(summary.guessed, summary.poses)}; {length} of the length)"


def _topics(summary: Summary) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("topic", "read", "used", "dropped"):
        table.add_column(name, justify="right" if name in ("read", "used") else "left")
    for one in summary.topics:
        dropped = ", ".join(f"{count} {reason}" for reason, count in one.dropped.items())
        table.add_row(escape(one.topic), str(one.received), str(one.used), dropped or "-")
    return table


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "0 %"
