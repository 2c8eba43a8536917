"""The SROS 2 policy of the node `msga_loops` against the running node."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("rclpy", reason="needs the built ROS package")
pytest.importorskip("msga_ros.msg", reason="the package is not built")
pytest.importorskip("gtsam", reason="GTSAM is not installed")

from node.loops.bench import LoopBench
from node.test_security_policy import hold

pytestmark = pytest.mark.ros


def test_policy_is_what_the_running_node_has(make_bench: Callable[..., LoopBench]) -> None:
    # With simulated time and a transform, because the policy allows for them.
    one = make_bench(**{"use_sim_time": True, "loops.optimise": True})
    hold("/msga_loops", one.source, one.spin_until)
