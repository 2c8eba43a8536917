"""What became of the images that came to the node of the loops, and of the loops."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

KEYFRAME, STILL, UNUSABLE = "keyframe", "still", "unusable"


@dataclass(frozen=True)
class LoopSnapshot:
    """`images` by what became of them (keyframe, still, unusable; the refused ones are counted by
    `Statistics`); `keyframes` of the map, `loops` that hold, `taken_back` since the start;
    `correction_known`: the map's transform to the odometry is known; `note`: the last remark."""

    images: Mapping[str, int]
    keyframes: int
    loops: int
    taken_back: int
    correction_known: bool
    note: str


class LoopCounts:
    """Written by two threads, read by the diagnostics."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._images: Counter[str] = Counter()
        self._map = (0, 0, False)
        self._taken_back = 0
        self._note = ""

    def image(self, outcome: str) -> None:
        """An image was looked at, or needed no look."""
        with self._lock:
            self._images[outcome] += 1

    def map_is(self, keyframes: int, loops: int, correction_known: bool) -> None:
        """The map as it is now."""
        with self._lock:
            self._map = (keyframes, loops, correction_known)

    def taken_back(self, loops: int) -> None:
        """So many loops were taken back."""
        with self._lock:
            self._taken_back += loops

    def note(self, text: str) -> None:
        """What a user should know."""
        with self._lock:
            self._note = text

    def snapshot(self) -> LoopSnapshot:
        """Everything at once."""
        with self._lock:
            return LoopSnapshot(dict(self._images), *self._map_and_rest())

    def _map_and_rest(self) -> tuple[int, int, int, bool, str]:
        keyframes, loops, known = self._map
        return keyframes, loops, self._taken_back, known, self._note
