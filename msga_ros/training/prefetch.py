"""Batches made ahead of their use, so that an accelerator need not wait for them."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from msga_ros.training.batches import Batch, BatchSource


class Prefetched:
    """The batches of a source; while one is in use, a thread makes the next."""

    def __init__(self, source: BatchSource) -> None:
        self._source = source
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
        self._next: tuple[int, Future[Batch]] | None = None

    def batch(self, iteration: int) -> Batch:
        """As `BatchSource.batch`; quick where the last call was for the iteration before."""
        if self._next is None or self._next[0] != iteration:
            self._start(iteration)
        assert self._next is not None
        batch = self._next[1].result()
        self._start(iteration + 1)
        return batch

    def _start(self, iteration: int) -> None:
        self._next = (iteration, self._worker.submit(self._source.batch, iteration))
