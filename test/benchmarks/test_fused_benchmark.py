"""The order of what is measured of the fused kernels: times first, whatever the checks take."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch


@pytest.fixture
def speed(benchmark_module: Callable[[str], ModuleType]) -> Any:
    return benchmark_module("fused_speed")


class Records:
    """Notes what is measured, by a clock that only measuring moves on."""

    small = False
    device = torch.device("cuda")

    def __init__(self, seconds: float, broken: tuple[str, ...] = ()) -> None:
        self._left = seconds
        self._broken = broken
        self.names: list[str] = []

    def left(self) -> float:
        return self._left

    def has(self, section: str, name: str) -> bool:
        return name in self.names and name not in self._broken

    def measure(self, section: str, name: str, work: object, needs: float) -> None:
        if self._left >= needs:
            self.names.append(name)
            self._left -= needs


@pytest.fixture
def run(speed: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    net = SimpleNamespace(to=lambda device: net)
    monkeypatch.setattr(speed.MSGANet, "load", lambda path: net)
    monkeypatch.setattr(speed, "unavailable", lambda net, device: "")
    monkeypatch.setattr(speed.Checks, "_check", lambda checks, job: {"failed": []})

    def of(records: Records) -> list[str]:
        speed.measure_fused(records)
        return records.names

    return of


def test_times_come_before_checks_and_variants_last(run: Any) -> None:
    names = run(Records(1000))
    assert names[0] == "msga_net 1x2000"
    assert names[1:5] == [
        "check msga_net_lite 1x2000 rule",
        "msga_net_lite 1x2000",
        "check msga_net 32x1000 rule",
        "msga_net 32x1000",
    ]
    assert names.index("node msga_net_lite 1x2000") < names.index("check msga_net 1x2000 rule")
    variants = [place for place, name in enumerate(names) if name.startswith("variant")]
    assert len(variants) == 10
    assert min(variants) > names.index("accuracy msga_net 8 scenes of 2000")
    assert len(set(names)) == len(names)


def test_with_little_time_there_are_times(run: Any) -> None:
    names = run(Records(24))
    assert [name for name in names if not name.startswith("check")] == [
        "msga_net 1x2000",
        "msga_net_lite 1x2000",
        "msga_net 32x1000",
        "msga_net_lite 32x1000",
        "msga_net 1x500",
        "msga_net_lite 1x500",
    ]


def test_a_variant_whose_check_failed_is_not_timed(run: Any) -> None:
    names = run(Records(1000, ("check msga_net 1x2000 tf32",)))
    assert "variant msga_net 1x2000 ieee" in names
    assert "variant msga_net 1x2000 tf32" not in names
