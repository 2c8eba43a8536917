"""What the node counts of requests, by the name of the service or topic that they came by."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

_WINDOW = 100  # answers that the median of the time is taken over


@dataclass(frozen=True)
class RequestSnapshot:
    """Counts of one name; `refused` by reason. `median_ms` from arrival to result, NaN without."""

    asked: int
    answered: int
    refused: Mapping[str, int]
    median_ms: float

    @property
    def waiting(self) -> int:
        """Those that have no answer yet."""
        return self.asked - self.answered - sum(self.refused.values())


class RequestCounts:
    """Written by two threads, read by the diagnostics."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()
        self._refused: dict[str, Counter[str]] = {}
        self._milliseconds: dict[str, deque[float]] = {}

    def asked(self, name: str) -> None:
        """A request has come."""
        with self._lock:
            self._asked[name] += 1

    def answered(self, name: str, seconds: float) -> None:
        """A request has its result, so long after it came."""
        with self._lock:
            self._answered[name] += 1
            self._milliseconds.setdefault(name, deque(maxlen=_WINDOW)).append(1e3 * seconds)

    def refused(self, name: str, reason: str) -> None:
        """A request was answered without a result; `reason` is a short name."""
        with self._lock:
            self._refused.setdefault(name, Counter())[reason] += 1

    def snapshot(self) -> dict[str, RequestSnapshot]:
        """All counts, by name in the order in which they were asked first."""
        with self._lock:
            return {
                name: RequestSnapshot(
                    asked,
                    self._answered[name],
                    dict(self._refused.get(name, {})),
                    float(np.median(self._milliseconds.get(name, [np.nan]))),
                )
                for name, asked in self._asked.items()
            }
