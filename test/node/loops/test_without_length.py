"""A loop of which nothing tells the length: it says so, and the odometry may contradict it."""
# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg", "tf2_msgs"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from msga_ros.msg import LoopEdge
from node.loops.bench import LoopBench
from node.loops.test_bad_days import go, values

from msga_ros.plugs.loop_edges import edge_from_loop

pytestmark = pytest.mark.ros


def test_a_place_that_looks_alike_seen_once_and_the_place_itself(
    make_bench: Callable[..., LoopBench],
) -> None:
    """One keyframe of each: no neighbour says how far the points are."""
    one = make_bench()
    one.mount()
    go(one, 0, 0, 1)
    go(one, 20, 60, 1)  # the same picture, where the robot cannot be back at the first place
    one.spin_until(lambda: "last_note" in values(one.status("loops")))
    note = values(one.status("loops"))["last_note"]
    assert "keyframe 1 shows what keyframe 0 shows" in note and "no loop" in note
    assert not one.heard["edges"] and one.counts.keyframes == 2
    go(one, 40, 2, 1)  # back again, by an odometry that has drifted
    one.spin_until(lambda: one.heard["edges"])
    (edge,) = one.heard["edges"]
    assert (edge.reference, edge.current) == (0, 2)
    assert (edge.status, edge.scale) == (LoopEdge.STATUS_DEGENERATE, LoopEdge.SCALE_UNKNOWN)
    sigma2 = np.diag(np.reshape(edge.pose.covariance, (6, 6)))
    assert (sigma2[:3] >= 1e12).all() and (sigma2[3:] < 1e-2).all()
    assert edge.base_frame == "" and edge_from_loop(edge) is None
