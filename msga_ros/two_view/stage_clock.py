"""How long the stages of one call took."""

from __future__ import annotations

import time


class StageClock:
    """Milliseconds of stages, each from the end of the one before.

    `wall`: by the clock; `cpu`: of all threads of the process, those of others too.
    """

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self.skip()

    def skip(self) -> None:
        """What has passed since the last lap belongs to no stage."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def lap(self, stage: str) -> None:
        """What has passed since the last lap was `stage`."""
        wall, cpu = self._wall, self._cpu
        self.skip()
        self.wall[stage] = 1e3 * (self._wall - wall)
        self.cpu[stage] = 1e3 * (self._cpu - cpu)

    def unneeded(self, stage: str) -> None:
        """`stage` took no time; what passes belongs to the next one."""
        self.wall[stage] = self.cpu[stage] = 0.0
