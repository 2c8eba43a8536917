"""Compiling goes on beside the network, and what it does not achieve changes nothing."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest
import torch

from msga_ros.network import MSGANet, MSGANetConfig
from msga_ros.network.compilation import CompilationInBackground
from msga_ros.network.inference import Inference


def test_sizes_are_compiled_in_turn_while_the_caller_goes_on() -> None:
    go, taken = threading.Event(), {}

    def make(size: int) -> str:
        assert go.wait(30)
        return f"compiled {size}"

    compilation = CompilationInBackground(make, taken.__setitem__)
    compilation.ask(256)
    compilation.ask(512)
    assert not compilation.wait(0.01) and not taken
    go.set()
    assert compilation.wait(30)
    assert taken == {256: "compiled 256", 512: "compiled 512"}


def test_a_size_that_fails_is_one_warning_and_the_others_are_compiled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken = {}

    def make(size: int) -> int:
        if size == 256:
            raise RuntimeError("no such kernel\nand more")
        return size

    compilation = CompilationInBackground(make, taken.__setitem__)
    with caplog.at_level(logging.WARNING):
        for size in (256, 512):
            compilation.ask(size)
        assert compilation.wait(30)
    assert taken == {512: 512}
    assert [record.getMessage() for record in caplog.records] == [
        "compiling for 256 matches failed (no such kernel); it runs as it is"
    ]


@pytest.mark.parametrize("compiles", [True, False])
def test_on_the_cpu_nothing_is_compiled_and_that_is_said(
    compiles: bool, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    net = MSGANet(MSGANetConfig(channels=16, residual_blocks=1, grid=4, msformer_layers=1))
    with caplog.at_level(logging.WARNING):
        network = Inference(net.eval().fold(), "cpu", compiles=compiles)
    said = [record.getMessage() for record in caplog.records]
    assert [text.startswith("network.compile is for") for text in said] == [True] * compiles
    rows = np.random.default_rng(0).uniform(-0.5, 0.5, (40, 4))
    assert np.isfinite(network(rows, np.ones(40, bool)).score).all()
