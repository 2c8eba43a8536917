"""`msga_loops` under every fault of its table: `make faults` runs all, `make test` a few."""
# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

for needed in ("rclpy", "msga_ros.msg", "nav_msgs"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from faults.fault import Fault, run_fault
from faults.footage import Footage
from faults.loop_faults import FAULTS, PARAMETERS
from faults.loop_feed import LOOPS, LoopFeed
from faults.report import Report, chosen
from faults.resources import Resources
from node.harness import NodeProcess
from rclpy.qos import QoSProfile

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def feed(footage: Footage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopFeed]:
    file: Path = tmp_path_factory.mktemp("loops") / "map"
    with NodeProcess(
        LOOPS,
        {**PARAMETERS, "map.file": file},
        input_qos=QoSProfile(depth=100),
        command=("-m", "msga_ros.node.loops"),
        listen=False,
        name="msga_loops",
    ) as run:
        yield LoopFeed(run, footage, file)


@pytest.fixture(scope="module")
def fresh(feed: LoopFeed) -> Resources:
    """What the node holds after its first keyframes."""
    for _ in range(3):
        feed.right()
    return feed.resources()


@pytest.mark.parametrize("fault", chosen(FAULTS), ids=lambda one: one.name)
def test_it_survives(fault: Fault, feed: LoopFeed, fresh: Resources, report: Report) -> None:
    report.add("loops", run_fault(fault, feed, fresh))
