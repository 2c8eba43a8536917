"""What the demo hears of the node."""
# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package (make setup, source it)")

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from msga_ros.node.diagnostics import IDLE
from msga_ros.tools.child_environment import own_context, ros_environment
from msga_ros.tools.demo_monitor import Monitor
from msga_ros.tools.frame_account import Counters

pytestmark = pytest.mark.ros


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    with own_context(partial(Monitor, False), ros_environment()) as (made, _):
        yield made


def _said(
    state: str, processing: str, name: str = "msga", level: bytes = DiagnosticStatus.OK
) -> DiagnosticArray:
    """Diagnostics made at 5 s."""
    message = DiagnosticArray()
    message.header.stamp = Time(sec=5)
    values = {
        "model": {"state": state},
        "input": {"received /image": "4", "complete_sets": "3", "last_bad_input": "magic"},
        "processing": {"processed": "1", "idle": "1", "dropped": "1", "dropped superseded": "1"},
    }
    for part, pairs in values.items():
        status = DiagnosticStatus(name=f"{name}: {part}", level=level)
        status.message = processing if part == "processing" else ""
        status.values = [KeyValue(key=key, value=value) for key, value in pairs.items()]
        message.status.append(status)
    return message


def test_frames_are_asked_for_once_the_node_knows_who_listens(monitor: Monitor) -> None:
    def asked() -> int:
        return monitor.count_subscribers("/msga_player/sent")

    for said in (_said("inactive", "not active"), _said("active", IDLE)):
        monitor._on_diagnostics(said)
        assert asked() == 0
    for _ in range(2):
        monitor._on_diagnostics(_said("active", "0.0 Hz"))
        assert asked() == 1


def test_the_counters_are_those_of_the_node(monitor: Monitor) -> None:
    statistics = monitor.statistics
    monitor._on_diagnostics(_said("active", "0.0 Hz", name="camera"))
    assert statistics.counters is None and statistics.diagnostics == []
    monitor._on_diagnostics(_said("active", "0.0 Hz"))
    assert statistics.counters == Counters({"/image": 4}, 3, 1, {"superseded": 1}, 1)
    assert (statistics.diagnostics, statistics.complaint) == ([5_000_000_000], "magic")
    assert statistics.problem == ""
    monitor._on_diagnostics(_said("active", "broken", level=DiagnosticStatus.ERROR))
    assert statistics.problem == "broken"
