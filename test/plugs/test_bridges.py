"""The bridge nodes over DDS: correspondences in, what the consumers read out."""
# ruff: noqa: E402

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs the built ROS package (make setup, source it)")
messages = pytest.importorskip("msga_ros.msg", reason="needs the built ROS package")
if not hasattr(messages, "CameraMeasurement"):
    pytest.skip("the messages are older than the sources (make setup)", allow_module_level=True)

from plugs.scene import FISHEYE, Scene
from plugs.test_vins import consume
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, PointCloud
from std_msgs.msg import Header

from msga_ros.plugs.node.bridge import Bridge, main
from msga_ros.plugs.vins import CHANNELS, FeatureCloud

pytestmark = pytest.mark.ros


def ros_header(header: Any) -> Header:
    made = Header(frame_id=header.frame_id)
    made.stamp.sec, made.stamp.nanosec = header.stamp.sec, header.stamp.nanosec
    return made


def ros_message(fake: Any) -> Any:
    """`Correspondences` with the fields of a fake one."""
    message = messages.Correspondences(
        header=ros_header(fake.header), reference_header=ros_header(fake.reference_header)
    )
    message.pairing, message.rectified = fake.pairing, fake.rectified
    message.reference_k, message.k = fake.reference_k, fake.k
    for name in ("reference_points", "points", "inlier_probability", "track_ids", "inlier"):
        setattr(message, name, getattr(fake, name).tolist())
    return message


class Bench:
    """A bridge, a publisher that feeds it and a subscriber in the consumer's place."""

    def __init__(self, context: Context, bridge: str, kind: Any, topic: str) -> None:
        self._node = rclpy.create_node("bench", context=context)
        self._bridge = Bridge(bridge, context=context)
        self._executor = SingleThreadedExecutor(context=context)
        for node in (self._node, self._bridge):
            self._executor.add_node(node)
        self.received: list[Any] = []
        self._node.create_subscription(kind, topic, self.received.append, 10)
        self._matches = self._node.create_publisher(
            messages.Correspondences, "msga/correspondences", 10
        )
        self._infos = {
            side: self._node.create_publisher(
                CameraInfo, f"{side}/camera_info", qos_profile_sensor_data
            )
            for side in ("left", "right")
        }
        self.spin_until(lambda: self._matches.get_subscription_count() > 0)
        self.spin_until(lambda: self._node.count_publishers(topic) > 0)
        self.spin_until(lambda: all(one.get_subscription_count() for one in self._infos.values()))

    def send(self, fake: Any) -> None:
        self._matches.publish(ros_message(fake))

    def send_infos(self) -> None:
        for publisher in self._infos.values():
            info = CameraInfo(distortion_model="equidistant", width=640, height=480)
            info.k, info.d = FISHEYE.k.ravel(), FISHEYE.distortion.tolist()
            publisher.publish(info)

    def spin_until(self, done: Callable[[], bool], seconds: float = 20.0) -> bool:
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.05)
        return done()

    def close(self) -> None:
        self._executor.shutdown()
        self._bridge.destroy_node()
        self._node.destroy_node()


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    context, made = Context(), []
    rclpy.init(context=context)

    def make(*args: Any) -> Bench:
        made.append(Bench(context, *args))
        return made[-1]

    yield make
    for one in made:
        one.close()
    context.shutdown()


def as_cloud(message: PointCloud) -> FeatureCloud:
    """The message as the consumer's arrays."""
    assert [channel.name for channel in message.channels] == list(CHANNELS)
    points = np.array([(p.x, p.y, p.z) for p in message.points], np.float32).reshape(-1, 3)
    channels = np.array([channel.values for channel in message.channels], np.float32)
    stamp = message.header.stamp
    return FeatureCloud(stamp.sec * 1_000_000_000 + stamp.nanosec, points, channels)


def test_vins_bridge(bench: Callable[..., Bench]) -> None:
    scene = Scene()
    one = bench("vins", PointCloud, "/feature_tracker/feature")
    for number in range(2):
        one.send(scene.stereo(number))
        assert one.spin_until(lambda count=number + 1: len(one.received) == count)
    assert one.received[0].header.frame_id == "left"
    for number, message in enumerate(one.received):
        cloud = as_cloud(message)
        assert cloud.stamp_ns == scene.stamp(number)
        frame = consume(cloud)
        assert len(frame) == len(scene.points) - 1
        left = scene.normalised(number)
        for identity, views in frame.items():
            np.testing.assert_allclose(views[0][1][:2], left[identity - 1], atol=1e-5)
    # In the second message the points have moved.
    assert all(views[0][1][5:].any() for views in frame.values())


@pytest.mark.parametrize("value", ["364", "0", "many"])
def test_a_number_of_features_that_is_too_much_for_vins(
    value: str, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--ros-args", "-p", f"max_features:={value}"]
    assert main("vins", arguments) == 2
    assert "max_features" in capfd.readouterr().err


def test_msckf_bridge_waits_for_the_calibration(bench: Callable[..., Bench]) -> None:
    scene = Scene(camera=FISHEYE)
    one = bench("msckf", messages.CameraMeasurement, "/features")
    one.send(scene.stereo(0))
    assert not one.spin_until(lambda: bool(one.received), seconds=0.5)
    one.send_infos()
    assert one.spin_until(lambda: len(one._bridge._cameras) == 2)
    one.send(scene.stereo(1))
    assert one.spin_until(lambda: bool(one.received))
    (message,) = one.received
    assert message.header.frame_id == "left"
    assert len(message.features) == len(scene.points) - 2
    for feature in message.features:
        row = feature.id - 1
        np.testing.assert_allclose([feature.u0, feature.v0], scene.normalised(1)[row], atol=1e-5)
        np.testing.assert_allclose(
            [feature.u1, feature.v1], scene.normalised(1, True)[row], atol=1e-5
        )
