"""The bookkeeping of a sliding-window estimator as VINS-Fusion does it, written from its rules.

Frames are numbered 0 .. WINDOW_SIZE. A feature remembers the frame that it was seen in first and a
list of observations, and nothing says which frame an observation is of: the i-th is taken for that
of frame `start + i`. When the window is full, either its oldest frame goes, or its second newest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

WINDOW_SIZE = 10
NUM_OF_F = 1000
USED_FROM = 4  # observations


@dataclass
class Feature:
    """`observations`: the true number of the frame that each was made in."""

    start: int
    observations: list[int] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.start + len(self.observations) - 1


class Window:
    """`wrong`, `total`: observations that are looked up at another frame than their own."""

    def __init__(self) -> None:
        self.features: dict[int, Feature] = {}
        self.frames: list[int] = []  # true numbers of the frames in the window
        self.wrong = 0
        self.total = 0
        self.most_used = 0

    def add(self, frame: int, ids: Iterable[int], parallax: bool) -> None:
        """A frame with the features that it sees; `parallax`: the one before it stays."""
        here = len(self.frames)
        self.frames.append(frame)
        for identity in ids:
            self.features.setdefault(identity, Feature(here)).observations.append(frame)
        self._count()
        if here == WINDOW_SIZE:
            if parallax:
                self._drop_oldest()
            else:
                self._drop_second_newest()

    def _count(self) -> None:
        used = 0
        for feature in self.features.values():
            used += len(feature.observations) >= USED_FROM
            for offset, frame in enumerate(feature.observations):
                place = feature.start + offset
                self.total += 1
                self.wrong += place >= len(self.frames) or self.frames[place] != frame
        self.most_used = max(self.most_used, used)

    def _drop_oldest(self) -> None:
        self.frames.pop(0)
        for identity, feature in list(self.features.items()):
            if feature.start > 0:
                feature.start -= 1
                continue
            feature.observations.pop(0)
            if not feature.observations:
                del self.features[identity]

    def _drop_second_newest(self) -> None:
        self.frames.pop(WINDOW_SIZE - 1)
        for identity, feature in list(self.features.items()):
            if feature.start == WINDOW_SIZE:
                feature.start -= 1
                continue
            if feature.end < WINDOW_SIZE - 1:
                continue
            feature.observations.pop(WINDOW_SIZE - 1 - feature.start)
            if not feature.observations:
                del self.features[identity]
