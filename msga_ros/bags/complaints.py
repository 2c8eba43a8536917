"""What a run complains of, as its warnings and its summary say it."""

from __future__ import annotations

from collections.abc import Callable

Warn = Callable[[str], None]
_SAME_WARNINGS = 3  # so often the same complaint is made; after that it is only counted


class Complaints:
    """Hands the processor's complaints on, the same one a few times only."""

    def __init__(self, warn: Warn) -> None:
        self._warn = warn
        self._seen: dict[tuple[str, str], int] = {}
        self.last = ("", "")  # kind and topic of the newest one
        self.no_trajectory = ""  # why

    def __call__(self, kind: str, topic: str, text: str) -> None:
        self.last = (kind, topic)
        if kind == "odometry":
            self.no_trajectory = text
        count = self._seen[kind, topic] = self._seen.get((kind, topic), 0) + 1
        if count <= _SAME_WARNINGS:
            rest = " (no more of these are shown)" if count == _SAME_WARNINGS else ""
            self._warn(f"{topic}: {text}{rest}" if topic else text + rest)
