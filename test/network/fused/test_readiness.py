"""No frame waits for kernels that compile, but the first."""

from __future__ import annotations

import logging
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from msga_ros.network.cuda_graph import RecordedNetwork
from msga_ros.network.fused.network import FusedNetwork
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


def test_memory_that_is_missing_is_no_fault_of_the_kernels(
    caplog: pytest.LogCaptureFixture,
) -> None:
    compiler = Compiler(torch.cuda.OutOfMemoryError("no memory"))
    compiler.go_on.set()
    readiness = warmed_up(compiler)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert not readiness.usable(MANY)
            readiness.wait()
    assert compiler.asked == [MANY, MANY] and not caplog.records


def test_a_size_is_recorded_again_once_its_kernels_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiler = Compiler()
    network = RecordedNetwork.__new__(RecordedNetwork)  # without the device that it needs
    network._readiness = warmed_up(compiler)
    network._fused = cast(FusedNetwork, object())
    network._recordings = {}
    made: list[tuple[int, bool]] = []

    def record(size: int, by_kernels: bool) -> Any:
        made.append((size, by_kernels))
        return SimpleNamespace(fused=by_kernels)

    monkeypatch.setattr(network, "_record", record)
    for size in (2048, 8192, 8192, 2048):
        network._recording(size)
    assert made == [(2048, True), (8192, False)]  # nothing waited, nothing was made twice
    compiler.go_on.set()
    network._readiness.wait()
    for _ in range(2):
        assert network._recording(8192).fused
    assert made == [(2048, True), (8192, False), (8192, True)]
