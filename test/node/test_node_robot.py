"""The robot's way over real DDS: /tf_static in, odometry and /tf out, with the type tf2_msgs."""
# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg", "tf2_msgs.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from nav_msgs.msg import Odometry
from node.harness import STEREO, NodeProcess, stamp_ns
from node.scenes import StereoSequence, transform_of
from node.test_robot_frames import SHIFT, TURN, stamped
from tf2_msgs.msg import TFMessage

from msga_ros.node.qos import static_qos

pytestmark = pytest.mark.ros

FRAMES = range(0, 8, 2)


@pytest.fixture(scope="module")
def sequence(kitti: Path) -> StereoSequence:
    return StereoSequence(kitti)


@pytest.fixture(scope="module")
def run(trained_weights: Path) -> Iterator[NodeProcess]:
    parameters = {
        "rectified": True,
        "network.weights": trained_weights,
        "frontend.max_keypoints": 1200,
        "publish.diagnostics_period": 0.2,
        "publish.tf": True,
        "odometry.base_frame": "base_link",
    }
    with NodeProcess(STEREO, parameters) as running:
        running.listen(Odometry, "/msga/odometry")
        running.listen(TFMessage, "/tf")
        static = running.node.create_publisher(TFMessage, "/tf_static", static_qos())
        mount = stamped("sensor_mast", "left_optical", TURN)
        static.publish(TFMessage(transforms=[stamped("base_link", "sensor_mast", shift=SHIFT)]))
        # Two nodes say where the camera is, a part each; neither says it twice.
        other = running.node.create_publisher(TFMessage, "/tf_static", static_qos())
        other.publish(TFMessage(transforms=[mount]))
        running.wait_connected()
        for publisher in (static, other):
            running.wait_for(lambda one=publisher: one.get_subscription_count() > 0)
        yield running


@pytest.fixture(scope="module")
def drive(run: NodeProcess, sequence: StereoSequence) -> list[Odometry]:
    def sent(frame: int) -> Odometry:
        stamp = sequence.stamp(frame)
        return run.feed(sequence.stereo(frame), lambda: run._by_stamp("/msga/odometry", stamp))

    return [sent(frame) for frame in FRAMES]


def test_the_robots_way_is_the_true_one(drive: list[Odometry], sequence: StereoSequence) -> None:
    for message, frame in zip(drive, FRAMES, strict=True):
        assert (message.header.frame_id, message.child_frame_id) == ("odom", "base_link")
        camera, shift = sequence.current_in_reference((FRAMES[0], "left"), (frame, "left"))
        rotation = TURN @ camera @ TURN.T
        true = TURN @ shift + SHIFT - rotation @ SHIFT
        at = message.pose.pose.position
        assert np.linalg.norm(np.array([at.x, at.y, at.z]) - true) < 0.001 + 0.03 * np.linalg.norm(
            true
        )
    ahead = drive[-1].twist.twist.linear
    assert np.hypot(ahead.x, ahead.y) > 5.0 > 1.0 > abs(ahead.z)  # m/s, on the level


def test_the_transform_is_that_of_the_odometry(run: NodeProcess, drive: list[Odometry]) -> None:
    by_stamp = {stamp_ns(one.header): one for one in drive}

    def transforms() -> list[Any]:
        return [one for message in run.messages["/tf"] for one in message.transforms]

    last = stamp_ns(drive[-1].header)
    run.wait_for(lambda: any(stamp_ns(one.header) == last for one in transforms()))
    for one in transforms():
        assert (one.header.frame_id, one.child_frame_id) == ("odom", "base_link")
        at = by_stamp[stamp_ns(one.header)].pose.pose.position
        np.testing.assert_allclose(transform_of(one.transform)[1], [at.x, at.y, at.z])
    assert run.diagnostic("odometry")["level"] == "0"


def test_a_wheel_odometry_that_moves_the_robot_keeps_it(
    run: NodeProcess, drive: list[Odometry], sequence: StereoSequence
) -> None:
    wheels = run.node.create_publisher(TFMessage, "/tf", 10)
    run.wait_for(lambda: wheels.get_subscription_count() >= 2)  # ours and the node's

    def refused() -> bool:
        wheels.publish(TFMessage(transforms=[stamped("wheel_odom", "base_link")]))
        run.publish(sequence.stereo(FRAMES[-1], sequence.stamp(FRAMES[-1]) + next(later)))
        return "'wheel_odom'" in run.diagnostic("odometry")["message"]

    later = iter(range(10**8, 10**11, 10**8))
    run.wait_for(refused, what="notice of the other parent")
    assert run.diagnostic("odometry")["level"] == "1"
    assert "Traceback" not in run.log()
