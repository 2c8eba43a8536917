"""The path that a camera has travelled, thinned so that it stays short."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")


class ThinnedPath(Generic[Item]):
    """Items along one session of the odometry at least `spacing` metres apart, and the newest.

    Once there are more than `length`, every second one goes and the spacing doubles: the whole path
    stays in sight, however long.
    """

    def __init__(self) -> None:
        self._session = 0
        self._kept: list[tuple[NDArray[np.float64], Item]] = []
        self._newest: tuple[NDArray[np.float64], Item] | None = None
        self._widened = 1.0

    def add(
        self,
        session: int,
        position: NDArray[np.float64],
        item: Item,
        length: int,
        spacing: float,
    ) -> None:
        """Take in the item at `position` (3,), metres. A new session begins a new path."""
        if session != self._session:
            self._session, self._kept, self._widened = session, [], 1.0
        self._newest = (position, item)
        if self._kept:
            moved = float(np.linalg.norm(position - self._kept[-1][0]))
            if moved < spacing * self._widened:
                return
        self._kept.append(self._newest)
        while len(self._kept) > length:
            self._kept = self._kept[::2]
            self._widened *= 2.0

    @property
    def items(self) -> list[Item]:
        """All of them, the newest last."""
        items = [item for _, item in self._kept]
        if self._newest is not None and self._newest is not self._kept[-1]:
            items.append(self._newest[1])
        return items
