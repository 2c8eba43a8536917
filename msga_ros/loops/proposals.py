"""Which keyframes may show what a view shows: the most similar by the global descriptor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msga_ros.loops.config import LoopConfig
from msga_ros.loops.store import KeyframeStore
from msga_ros.loops.verification import Candidate


class Proposals:
    """Exact search; what lay in the store at the beginning is of an earlier run."""

    def __init__(self, store: KeyframeStore, config: LoopConfig) -> None:
        self._store = store
        self._config = config
        self._elapsed: NDArray[np.float64] = np.full(len(store), -np.inf)  # s, of this run

    def append(self, elapsed: float) -> None:
        """The store has one more keyframe, `elapsed` seconds after the beginning of the run."""
        self._elapsed = np.append(self._elapsed, elapsed)

    @property
    def elapsed(self) -> NDArray[np.float64]:
        """(N,) s, of each keyframe since the beginning of the run; -inf: of an earlier one."""
        return self._elapsed

    def take_up(self, elapsed: NDArray[np.float64]) -> None:
        """Go on with the `elapsed` (N,) of an interrupted run."""
        self._elapsed = elapsed

    def of(
        self, descriptor: NDArray[np.float32], segment: int | None, elapsed: float
    ) -> list[Candidate]:
        """Keyframes with a descriptor like `descriptor` (E,), the most similar first; of the same
        segment only what is `min_gap` older.

        `segment` None: of a view that belongs to none. The view itself may be in the store already.
        """
        count = len(self._elapsed)
        if not count or not descriptor.any():
            return []
        allowed: NDArray[np.bool_] = np.ones(count, dtype=bool)
        if segment is not None:
            same = np.array([one == segment for _, one in self._store.odometry[:count]])
            allowed = ~same | (elapsed - self._elapsed >= self._config.min_gap)
        numbers = np.flatnonzero(allowed)
        similarities = self._store.descriptors[numbers] @ descriptor
        order = np.argsort(-similarities, kind="stable")[: self._config.candidates]
        return [Candidate(int(numbers[one]), float(similarities[one])) for one in order]
