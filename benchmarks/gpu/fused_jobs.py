"""Checks of the fused kernels beside what is being timed: a process each, a few at a time."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as OutOfTime
from pathlib import Path
from typing import NamedTuple

from fused_variants import RULE
from records import Entry, Records

SECTION = "fused"
MOST_APART = 1e-2  # of an operation, relative to the largest entry of its answer
_AT_A_TIME = 3  # more of them, and each compiles slower than what waits for it


class Job(NamedTuple):
    """A variant of a network to be checked, on so many samples and matches."""

    network: str
    batch: int
    count: int
    variant: str = RULE

    @property
    def name(self) -> str:
        """Of its entry."""
        return f"check {self.network} {self.batch}x{self.count} {self.variant}"


class Checks:
    """Of `jobs`, in their order, in the background; a check compiles, so that a timing need not.

    `seconds`: the most that each may take.
    """

    def __init__(self, records: Records, jobs: Sequence[Job], seconds: float) -> None:
        self._records = records
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(_AT_A_TIME)
        self._running: dict[Job, Future[Entry]] = {
            job: self._pool.submit(self._check, job)
            for job in jobs
            if not records.has(SECTION, job.name)
        }

    def wait(self, job: Job) -> None:
        """Until `job` is checked, and keep what was found; at most as long as there is time."""
        future = self._running.pop(job, None)
        if future is None:
            return

        def found() -> Entry:
            try:
                return future.result(max(1.0, self._records.left()))
            except OutOfTime:
                raise RuntimeError("no time left") from None

        self._records.measure(SECTION, job.name, found, needs=0)

    def close(self) -> None:
        """Wait for what has begun; the rest is left for another time."""
        for job in [job for job, future in self._running.items() if not future.cancel()]:
            self.wait(job)
        self._pool.shutdown()

    def _check(self, job: Job) -> Entry:
        until = time.monotonic() + max(0.0, min(self._seconds, self._records.left()))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "checks.jsonl"
            for _ in range(4):  # each start goes on behind what ended the one before
                left = until - time.monotonic()
                if left < 2:
                    break
                command = [sys.executable, str(Path(__file__).with_name("fused_checks.py"))]
                command += [job.network, str(job.batch), str(job.count), job.variant]
                command += [str(path), str(self._records.device)]
                try:
                    done = subprocess.run(command, capture_output=True, text=True, timeout=left)
                except subprocess.TimeoutExpired:
                    break
                if done.returncode == 0:
                    break
                print(done.stderr[-1500:], flush=True)
            lines = path.read_text().splitlines() if path.exists() else []
        found = {entry.pop("operation"): entry for entry in map(json.loads, lines)}
        if not found:
            raise RuntimeError("no operation was checked")
        return {"operations": found, "failed": _failed(found)}


def failed_in(records: Records, jobs: Sequence[Job]) -> tuple[str, ...]:
    """The operations that failed in the checks of `jobs`, as far as there are any."""
    entries = [records.entry(SECTION, job.name) for job in jobs]
    return tuple({operation for entry in entries for operation in entry.get("failed", ())})


def _failed(found: dict[str, Entry]) -> list[str]:
    return [
        operation
        for operation, entry in found.items()
        if "error" in entry or not entry["apart"] <= MOST_APART
    ]
