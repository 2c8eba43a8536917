"""The viewer hears a node over DDS."""
# ruff: noqa: E402

from __future__ import annotations

import threading

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs the built ROS package (make setup, source it)")
messages = pytest.importorskip("msga_ros.msg", reason="needs the built ROS package")

from plugs.scene import SPEED, Scene
from plugs.test_bridges import ros_header, ros_message
from rclpy.context import Context
from sensor_msgs.msg import Image

from msga_ros.viewing.node.listener import listen

pytestmark = pytest.mark.ros


def test_a_node_is_heard() -> None:
    scene, context = Scene(), Context()
    rclpy.init(context=context)
    node = rclpy.create_node("publisher", context=context)
    publishers = {
        name: node.create_publisher(kind, f"/robot/msga/{name}", 10)
        for name, kind in (
            ("correspondences", messages.Correspondences),
            ("relative_pose", messages.RelativePose),
            ("matches_image", Image),
        )
    }
    fake = scene.temporal(0, 1)
    matches = ros_message(fake)
    matches.width, matches.height = 640, 480
    pose = messages.RelativePose(
        header=ros_header(fake.header), reference_header=ros_header(fake.reference_header)
    )
    moved = SPEED * 0.1
    pose.transform.translation.x, _, pose.transform.translation.z = moved.tolist()
    picture = Image(header=ros_header(fake.header), height=2, width=3, encoding="bgr8", step=9)
    picture.data = [7] * 18
    stop = threading.Event()

    def publish() -> None:
        while not stop.wait(0.2):
            publishers["matches_image"].publish(picture)
            publishers["relative_pose"].publish(pose)
            publishers["correspondences"].publish(matches)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        pair = next(listen("/robot/msga", idle=20.0), None)
    finally:
        stop.set()
        thread.join()
        node.destroy_node()
        context.shutdown()
    assert pair is not None
    assert pair.motion.current_ns == scene.stamp(1)
    assert pair.picture is not None and pair.picture.shape == (2, 3, 3)
    assert np.linalg.norm(pair.motion.translation) == pytest.approx(np.linalg.norm(moved))
    assert len(pair.points) > 40
