"""Trainings whose learning rate falls to zero as their time ends."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training.test_trainer import config

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.training.config import OptimiserConfig, learning_rate
from msga_ros.training.run import Clock
from msga_ros.training.trainer import train


def test_the_rate_of_a_clock_falls_with_the_time() -> None:
    settings = OptimiserConfig(learning_rate=1.0, warm_up=10, schedule="clock", iterations=10**6)
    rates = [learning_rate(settings, 50, share) for share in (0.0, 0.5, 1.0, 2.0)]
    assert rates == pytest.approx([1.0, 0.5, 0.0, 0.0], abs=1e-9)
    assert learning_rate(settings, 4, 0.5) == pytest.approx(0.25)


def test_a_clock_knows_what_earlier_calls_took() -> None:
    clock = Clock()
    clock.before = 1e6
    clock.start(3e6)
    assert clock.share() == pytest.approx(0.25, abs=1e-3)
    clock.start(0.0)
    assert clock.share() == 1.0


def test_a_training_by_the_clock_ends_with_its_time(tmp_path: Path) -> None:
    settings = config(tmp_path, 10**6)
    optimiser = replace(settings.optimiser, schedule="clock", warm_up=0)
    settings = replace(settings, optimiser=optimiser)
    with pytest.raises(ConfigError, match="needs max_seconds"):
        train(settings, accelerator="cpu", progress=False)
    for _ in range(2):  # each: one step, at the end of its time, at a rate of zero
        weights = train(settings, max_seconds=0.0, accelerator="cpu", progress=False)
    state = torch.load(Path(settings.output) / "last.pt", weights_only=True)
    assert state["iteration"] == 2 and state["seconds"] > 0
    with (tmp_path / "log.csv").open() as file:
        assert [float(row["learning_rate"]) for row in csv.DictReader(file)] == [0, 0]
    assert weights.is_file()
