"""No frame waits for kernels that compile, but the first."""

from __future__ import annotations

import logging
import threading

import pytest

from msga_ros.network.fused.readiness import Readiness
from msga_ros.network.fused.values import tiles_for

FEW, MANY = 2000, 8000


class Compiler:
    """Stands in for what takes a quarter of a minute: it takes until `go_on`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go_on = threading.Event()
        self.asked: list[int] = []
        self._error = error

    def __call__(self, count: int) -> None:
        self.asked.append(count)
        self.go_on.wait()
        if self._error:
            raise self._error


def warmed_up(compiler: Compiler) -> Readiness:
    readiness = Readiness(compiler)
    assert readiness.usable(FEW)  # the first ones compile where they are used
    readiness.add(FEW)
    return readiness


def test_the_counts_have_block_sizes_of_their_own() -> None:
    assert tiles_for(1, FEW) != tiles_for(1, MANY)
    assert tiles_for(1, FEW) == tiles_for(1, 4096) and tiles_for(1, MANY) == tiles_for(1, 8192)


def test_more_matches_do_not_wait() -> None:
    compiler = Compiler()
    readiness = warmed_up(compiler)
    for _ in range(3):
        assert not readiness.usable(MANY)  # returns though nothing has been compiled
    assert readiness.usable(FEW) and readiness.usable(17)
    compiler.go_on.set()
    readiness.wait()
    assert readiness.usable(MANY)
    assert compiler.asked == [MANY]


def test_kernels_that_do_not_compile_are_said_once_and_never_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    compiler = Compiler(RuntimeError("no such instruction\nin line 3"))
    readiness = warmed_up(compiler)
    with caplog.at_level(logging.WARNING):
        assert not readiness.usable(MANY)
        compiler.go_on.set()
        readiness.wait()
        assert not readiness.usable(MANY)
    assert [record.getMessage() for record in caplog.records] == [
        "fused kernels for 8000 matches failed (no such instruction); so many run layer by layer"
    ]
    assert compiler.asked == [MANY] and readiness.usable(FEW)
