"""Each operation of the fused network by itself: all are timed, wrong ones are said and not."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

from msga_ros.network.fused.operations import plain


@pytest.fixture
def tuning(benchmark_module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Any:
    """With operations by torch, checked in this process."""
    module: Any = benchmark_module("fused_tuning")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(module, "kernel", plain)
    monkeypatch.setattr(module, "_compiled", lambda jobs, device: module._check(jobs, str(device)))
    return module


class Records:
    """Keeps what is measured."""

    small = True
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}

    def measure(self, section: str, name: str, work: Any, needs: float) -> None:
        self.entries[name] = work()


def test_every_operation_is_timed_with_the_rule_and_another_size(tuning: Any) -> None:
    records = Records()
    tuning.measure_tuning(records)
    (entry,) = records.entries.values()
    rows = entry["operations"]
    names = {row["operation"] for row in rows}
    assert {"linear", "nearest", "settle", "eight_point", "edge_output", "convolution"} <= names
    assert all(row["us"]["rule"] > 0 and row["calls"] > 0 for row in rows)
    for operation in ("linear", "nearest", "convolution"):
        some = [row for row in rows if row["operation"] == operation]
        assert any(len(row["us"]) == 2 for row in some)
    costs = [row["calls"] * row["us"]["rule"] for row in rows]
    assert costs == sorted(costs, reverse=True)
    assert entry["total_us"] == pytest.approx(sum(costs))
    assert entry["best_total_us"] <= entry["total_us"]


def test_what_differs_from_torch_is_said_and_not_timed(
    tuning: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kernel(name: str) -> Any:
        if name == "judge":
            return lambda *given: tuple(part + 1 for part in plain(name)(*given))
        if name == "weigh":
            raise RuntimeError("no such instruction")
        return plain(name)

    monkeypatch.setattr(tuning, "kernel", kernel)
    jobs = [
        tuning.Job("msga_net_lite", 1, 40, place)
        for place, (call, _) in enumerate(
            tuning.distinct_calls("msga_net_lite", 1, 40, torch.device("cpu"))
        )
        if call.name in ("judge", "weigh", "count")
    ]
    wrong = tuning._check(jobs, "cpu")
    said = sorted(wrong.values())
    assert len(said) == 2 and said[0] == "RuntimeError: no such instruction"
    assert said[1].startswith("differs by ")


def test_block_sizes_of_the_call_alone_are_changed(tuning: Any) -> None:
    for call, _ in tuning.distinct_calls("msga_net_lite", 1, 40, torch.device("cpu")):
        if call.name == "nearest":
            changed = tuning._changed(call, (("near_rows", 16),))
            assert changed[:3] == call.arguments[:3]
            assert (changed[3].near_rows, changed[3].rows) == (16, call.arguments[3].rows)
