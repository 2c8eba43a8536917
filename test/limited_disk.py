"""Runs a program as on a disk that is full: no file may grow beyond some bytes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_limited(
    arguments: Sequence[str | Path], most_bytes: int
) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` where a file larger than that cannot be written; its output.

    It leads a group of processes, so that `left_behind` finds what it has left.
    """

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    output, errors = process.communicate(timeout=120)
    return subprocess.CompletedProcess(str(process.pid), process.returncode, output, errors)


def left_behind(group: int) -> bool:
    """Whether a process of the group is alive."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return any(_alive(path, group) for path in Path("/proc").glob("[0-9]*/stat"))


def _alive(stat: Path, group: int) -> bool:
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:  # it has ended meanwhile
        return False
    return int(fields[2]) == group and fields[0] != "Z"
