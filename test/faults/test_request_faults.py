"""Requests under every fault of the table: `make faults` runs all, `make test` a few."""
# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from faults.fault import Fault, run_fault
from faults.feed import Feed
from faults.footage import Footage
from faults.report import Report, chosen
from faults.request_faults import FAULTS, PARAMETERS
from faults.resources import Resources
from node.harness import STEREO, NodeProcess
from rclpy.qos import QoSProfile

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def feed(any_weights: Path, footage: Footage) -> Iterator[Feed]:
    with NodeProcess(
        STEREO, {**PARAMETERS, "network.weights": any_weights}, input_qos=QoSProfile(depth=20)
    ) as run:
        yield Feed(run, footage, stereo=True)


@pytest.fixture(scope="module")
def fresh(feed: Feed) -> Resources:
    """What the node holds after its first pairs."""
    for _ in range(5):
        feed.right()
    return feed.resources()


@pytest.mark.parametrize("fault", chosen(FAULTS), ids=lambda one: one.name)
def test_every_request_is_answered(
    fault: Fault, feed: Feed, fresh: Resources, report: Report
) -> None:
    report.add("stereo", run_fault(fault, feed, fresh))
