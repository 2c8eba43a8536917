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


LONGEST = 100  # s; the benchmark cuts the whole file off after 120


@dataclass(frozen=True)
class Run:
    """Of `cuda_trouble.py`: what it saw, and how it ended; `code` None: it did not."""

    seen: dict[str, dict[str, Any]]
    code: int | None
    errors: str

    def of(self, when: str) -> dict[str, Any]:
        """What it saw then."""
        end = f"exit status {self.code}" if self.code is not None else f"still after {LONGEST} s"
        assert when in self.seen, f"{end}, seen: {list(self.seen)}\n{self.errors}"
        return self.seen[when]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folders = [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")]
    output, errors = (tmp_path_factory.mktemp("run") / name for name in ("output", "errors"))
    with output.open("w") as out, errors.open("w") as err:
        process = subprocess.Popen(
            [sys.executable, str(TESTS / "cuda_trouble.py")],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
            stdout=out,
            stderr=err,
        )
        code: int | None = None
        try:
            code = process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    seen: dict[str, dict[str, Any]] = {}
    for line in output.read_text().splitlines():
        if line.startswith("SEEN "):
            seen |= json.loads(line.removeprefix("SEEN "))
    return Run(seen, code, errors.read_text())


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
    seen = run.of(when)
    assert seen["device"] == "cpu"
    assert seen["largest_difference"] < 1e-4  # it is the CPU's answer
    assert len(seen["warnings"]) == 1, seen["warnings"]
    assert seen["warnings"] == [seen["problem"]]
    assert reason in seen["problem"] and "the network runs on the CPU" in seen["problem"]


def test_a_gpu_that_is_well_is_used_without_a_word(run: Run) -> None:
    """After other networks have run out of memory on it, too."""
    seen = run.of("well")
    assert seen["device"] == "cuda" and seen["warnings"] == [] and seen["problem"] == ""
    assert seen["largest_difference"] > 0  # it is not the CPU's answer


def test_the_process_ends_in_order(run: Run) -> None:
    assert run.code == 0, run.errors
