"""One fault: how to hurt a running node, and what its diagnostics must say then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from faults.feed import Errors, Feed
from faults.resources import Resources

# What a fault may leave behind in the process of the node.
_MORE_MEMORY_MB = 80.0
_MORE_FILES = 8
_MORE_THREADS = 4


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    `hurt` does the harm and checks what is particular to it. Afterwards the counter `counts` must
    have risen and the pattern `says` must have been in the diagnostics. `quick`: one of the few
    that run with every change.
    """

    name: str
    hurt: Callable[[Feed], None]
    says: str = ""
    counts: str = ""
    quick: bool = False


@dataclass(frozen=True)
class Row:
    """What came of it. `errors`: of the next good pair; `seconds`: until it was answered."""

    fault: str
    said: str
    errors: Errors | None
    seconds: float
    resources: Resources


def run_fault(fault: Fault, feed: Feed, fresh: Resources) -> Row:
    """Hurt the node, hold it to what the fault demands, and see that it is well again."""
    feed.run.fresh_diagnostic("input")
    heard = feed.run.messages["/diagnostics"]
    before, since = feed.counter(fault.counts), len(heard)
    said = ""
    for _ in range(3):  # some hurt only where the node is at that moment
        fault.hurt(feed)
        said = _answer(fault, feed, before, since)
        if said:
            break
    assert said, f"the diagnostics do not say {fault.says or fault.counts!r}; {_last(feed)}"
    started = time.monotonic()
    errors = feed.right()
    seconds = time.monotonic() - started
    now = feed.resources()
    assert now.rss < fresh.rss + _MORE_MEMORY_MB, (fresh, now)
    assert now.files <= fresh.files + _MORE_FILES, (fresh, now)
    assert now.threads <= fresh.threads + _MORE_THREADS, (fresh, now)
    assert feed.counter("errors") == 0, feed.run.log()
    assert "Traceback" not in feed.run.log(), feed.run.log()
    return Row(fault.name, said, errors, seconds, now)


def _answer(fault: Fault, feed: Feed, before: int, since: int) -> str:
    """What the node said, within 3 s; "" where it said nothing of the kind."""
    end = time.monotonic() + 3.0
    while time.monotonic() < end:
        feed.spin(0.1)
        risen = not fault.counts or feed.counter(fault.counts) > before
        said = feed.said(fault.says, since) if fault.says else fault.counts
        if risen and said:
            return said
    return ""


def _last(feed: Feed) -> str:
    return f"{feed.run.diagnostic('input')}\n{feed.run.diagnostic('processing')}"
