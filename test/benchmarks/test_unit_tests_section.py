"""A file of tests that is cut off has said what became of each test until then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = """
import os, signal
import pytest
pytestmark = pytest.mark.gpu

def test_well(): pass
def test_wrong(): assert 1 + 1 == 3
@pytest.mark.skip(reason="for a reason")
def test_left_out(): pass
@pytest.fixture
def broken(): raise ValueError("no device")
def test_not_set_up(broken): pass
"""
ENDS = """
def test_ends_the_process():
    print("the last words", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def outcomes_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "gpu"))
    from unit_tests import outcomes_of

    return outcomes_of


@pytest.mark.parametrize("ends", [False, True])
def test_what_became_of_each_test(outcomes_of: Any, tmp_path: Path, ends: bool) -> None:
    file = tmp_path / "test_some.py"
    file.write_text(TESTS + ENDS * ends)
    found = outcomes_of(str(file), 300.0)
    assert (found["passed"], found["failed"], found["skipped"]) == (1, 2, 1)
    assert "assert (1 + 1) == 3" in found["failures"]["test_wrong"]
    assert "no device" in found["failures"]["test_not_set_up"]
    assert found["reasons"] == {"for a reason": 1}
    assert found.get("unfinished") == (["test_ends_the_process"] if ends else None)
    assert found["error"] == ("exit status -9" if ends else "2 failed")
    assert ("output" in found) == ends
