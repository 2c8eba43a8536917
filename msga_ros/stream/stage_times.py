"""How long the stages took that a set of images went through."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class StageTimes:
    """Adds up the milliseconds of each stage: of both images of a pair, for instance."""

    def __init__(self) -> None:
        self._milliseconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done inside of it, if it does not raise."""
        started = time.perf_counter()
        yield
        self.add(name, 1e3 * (time.perf_counter() - started))

    def add(self, name: str, milliseconds: float) -> None:
        """Add what was timed elsewhere."""
        self._milliseconds[name] += milliseconds

    @property
    def milliseconds(self) -> Mapping[str, float]:
        """Of each stage, in the order in which they began."""
        return dict(self._milliseconds)
