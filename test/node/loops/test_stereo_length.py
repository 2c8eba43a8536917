"""A rig gives loops their length, without any odometry."""
# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg", "tf2_msgs"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from msga_ros.msg import LoopEdge
from node.harness import stamp_ns
from node.loops.bench import START, LoopBench
from node.scenes import StereoSequence

pytestmark = pytest.mark.ros

SETTINGS = {
    "stereo.use": True,
    "odometry.source": "none",
    "images.interval": 0.0,
    "rectified": True,
}


def view(sequence: StereoSequence, frame: int, cam: str) -> tuple[np.ndarray, np.ndarray]:
    """Half the size."""
    pixels = sequence.pixels(frame, cam)
    small = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return small, np.diag([0.5, 0.5, 1.0]) @ sequence.k(frame, cam)


def test_a_loop_has_the_length_of_the_rig(
    make_bench: Callable[..., LoopBench], kitti: Path
) -> None:
    sequence = StereoSequence(kitti)
    poses = [sequence._images[number, cam] for number, cam in ((0, "left"), (0, "right"))]
    baseline = float(np.linalg.norm(np.subtract(poses[1]["t"], poses[0]["t"])))
    one = make_bench(**SETTINGS)
    for number, (frame, seconds) in enumerate(((0, 0.0), (2, 20.0))):
        right = (*view(sequence, frame, "right"), baseline)
        one.image(seconds, *view(sequence, frame, "left"), right=right)
        one.spin_until(lambda number=number: one.settled() > number)
    assert one.counts.images == {"keyframe": 2} and one.statistics.bad_input == {}
    one.spin_until(lambda: one.heard["edges"])
    (edge,) = one.heard["edges"]
    assert stamp_ns(edge.reference_header) == START and edge.scale == LoopEdge.SCALE_DEPTH
    at = edge.pose.pose.position
    _, true = sequence.current_in_reference((0, "left"), (2, "left"))
    sigma = np.sqrt(np.diag(edge.pose.covariance.reshape(6, 6))[:3])
    error = np.abs(np.array([at.x, at.y, at.z]) - true)
    assert (error < 3 * sigma).all() and error.max() < 0.2 < np.linalg.norm(true)


def test_a_rig_without_a_baseline_is_said(
    make_bench: Callable[..., LoopBench], kitti: Path
) -> None:
    sequence, one = StereoSequence(kitti), make_bench(**SETTINGS)
    pixels, k = view(sequence, 0, "left")
    one.image(0, pixels, k, right=(pixels, k, 0.0))
    one.spin_until(lambda: one.statistics.dropped == {"bad_input": 1})
    assert "no baseline" in one.status("input").message
