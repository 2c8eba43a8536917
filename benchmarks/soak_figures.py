"""What the soak reads of the node as it goes on, and the table of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from faults.report import where
from faults.resources import Resources


@dataclass(frozen=True)
class Sample:
    """The state of the node after so many pairs; the times are those of the last chunk."""

    sent: int
    processed: int
    dropped: dict[str, int]
    resources: Resources
    latency_ms: tuple[float, float, float]  # median, 95 %, 99 %
    cpu_ms: float  # of the node for each pair processed
    rate: float

    @property
    def unaccounted(self) -> int:
        """Pairs of which the node says nothing."""
        return self.sent - self.processed - sum(self.dropped.values())


@dataclass(frozen=True)
class Account:
    """What became of the sets of a run. `size`: (width, height) of the images in pixels."""

    mode: str
    size: tuple[int, int]
    unanswered: int
    statuses: Mapping[str, int]


def memory_slope(samples: list[Sample]) -> float:
    """MB of resident memory for each 1000 pairs, least squares, without the first tenth."""
    rest = _settled_part(samples)
    if len(rest) < 3:
        return float("nan")
    return float(np.polyfit([s.sent / 1000 for s in rest], [s.resources.rss for s in rest], 1)[0])


def memory_growth(samples: list[Sample]) -> float:
    """MB of resident memory that came to stay after the first tenth of the pairs."""
    held = [one.resources.rss for one in _settled_part(samples)]
    return held[-1] - held[0]


def _settled_part(samples: list[Sample]) -> list[Sample]:
    return [one for one in samples if one.sent > samples[-1].sent / 10]


def table(samples: list[Sample], run: Account) -> str:
    """The section of the page."""
    last = samples[-1]
    half = len(samples) // 2
    lines = [
        f"Mode {run.mode}: {last.sent} sets of {run.size[0]}x{run.size[1]} pixels ({where()}). "
        f"Sent {last.sent} = processed {last.processed} + "
        + " + ".join(f"{reason} {count}" for reason, count in last.dropped.items() if count)
        + f"; unaccounted: {last.unaccounted}; poses that did not come: {run.unanswered}. "
        f"Poses: {', '.join(f'{count} {name}' for name, count in run.statuses.items())}. "
        f"Memory: {memory_slope(samples):+.2f} MB for each 1000 pairs.",
    ]
    if half:
        early, late = samples[:half], samples[half:]
        for what, value in (
            ("median latency", lambda one: one.latency_ms[0]),
            ("processor time a pair", lambda one: one.cpu_ms),
        ):
            before, after = (float(np.median([value(s) for s in part])) for part in (early, late))
            lines.append(f"First half and second half, {what}: {before:.1f} and {after:.1f} ms.")
    lines += [
        "",
        "| sent | processed | superseded | bad input | unaccounted | MB | files | threads "
        "| latency median, 95 %, 99 % (ms) | processor time (ms) | pairs/s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join(lines + [row(one) for one in samples])


def row(one: Sample) -> str:
    """A line of the table."""
    held = one.resources
    latency = ", ".join(f"{value:.0f}" for value in one.latency_ms)
    return (
        f"| {one.sent} | {one.processed} | {one.dropped['superseded']} "
        f"| {one.dropped['bad_input']} | {one.unaccounted} | {held.rss:.1f} | {held.files} "
        f"| {held.threads} | {latency} | {one.cpu_ms:.1f} | {one.rate:.1f} |"
    )
