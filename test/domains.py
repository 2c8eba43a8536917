"""DDS domains of a run whose tests are spread over several processes (pytest-xdist)."""

from __future__ import annotations

import os


def worker_domains(first: int, number: int) -> tuple[int, int]:
    """This process's part of ``number`` domains from ``first`` on: its first one, and how many."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = number // workers
    if share < 1:
        raise ValueError(f"{workers} test processes share {number} DDS domains")
    return first + worker * share, share
