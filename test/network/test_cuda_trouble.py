"""A GPU without memory, or broken: one warning, and the CPU goes on with the right answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from devices import ON_GPU

pytestmark = ON_GPU

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Run:
    """Of `cuda_trouble.py`: what it saw, and how it ended."""

    seen: dict[str, dict[str, Any]]
    code: int
    errors: str


@pytest.fixture(scope="module")
def run() -> Run:
    folders = [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, str(TESTS / "cuda_trouble.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("SEEN ")]
    assert lines, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return Run(json.loads(lines[0].removeprefix("SEEN ")), done.returncode, done.stderr)


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ("from_the_start", "out of memory"),
        ("at_the_first_pair", "ran out of memory"),
        ("at_a_larger_pair", "ran out of memory"),
        ("lost", "failed"),
        ("lost_from_the_start", "cuda"),
    ],
)
def test_the_cpu_goes_on_after_one_warning(run: Run, when: str, reason: str) -> None:
    seen = run.seen[when]
    assert seen["device"] == "cpu"
    assert seen["largest_difference"] < 1e-4  # it is the CPU's answer
    assert len(seen["warnings"]) == 1, seen["warnings"]
    assert seen["warnings"] == [seen["problem"]]
    assert reason in seen["problem"] and "the network runs on the CPU" in seen["problem"]


def test_a_gpu_that_is_well_is_used_without_a_word(run: Run) -> None:
    """After other networks have run out of memory on it, too."""
    seen = run.seen["well"]
    assert seen["device"] == "cuda" and seen["warnings"] == [] and seen["problem"] == ""
    assert seen["largest_difference"] > 0  # it is not the CPU's answer


def test_the_process_ends_in_order(run: Run) -> None:
    assert run.code == 0, run.errors
