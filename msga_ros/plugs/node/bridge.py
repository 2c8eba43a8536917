"""The nodes `msga_vins_bridge` and `msga_msckf_bridge`: `Correspondences` in, other messages out.

Subscribes to `msga/correspondences` and, for images that are not rectified, to the camera_info of
the views (`left/camera_info`, `right/camera_info`, or `camera_info` for one camera). Publishes
`feature_tracker/feature` (`sensor_msgs/PointCloud`) or `features` (`msga_ros/CameraMeasurement`).
All names are relative and can be remapped.
"""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import rclpy
from rcl_interfaces.msg import IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, PointCloud
from std_msgs.msg import Header

from msga_ros.geometry.camera import Camera, CameraError
from msga_ros.msg import Correspondences
from msga_ros.plugs.matches import PlugError, TrackedMatches, tracked_matches
from msga_ros.plugs.msckf import StereoMeasurements
from msga_ros.plugs.node.messages import camera_measurement, point_cloud
from msga_ros.plugs.track_selection import MAX_FEATURES
from msga_ros.plugs.vins import MOST_FEATURES, FeatureClouds

_CAMERA_INFOS = ("left/camera_info", "right/camera_info", "camera_info")
_MANY = 100_000  # features; more than an image holds
_POLL = 0.2  # seconds until a signal is seen at the latest


class Bridge(Node):
    """One of the bridges, by name: `vins` or `msckf`."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(f"msga_{name}_bridge", **kwargs)
        self._name = name
        self._cameras: dict[str, Camera] = {}
        max_features = self._declare(
            "max_features",
            MAX_FEATURES,
            "At most so many features in a message, spread over the image. Read-only.",
            MOST_FEATURES if name == "vins" else _MANY,
        )
        if name == "vins":
            self._clouds = FeatureClouds(max_features)
            self._publisher = self._advertise(PointCloud, "feature_tracker/feature")
        else:
            self._measurements = StereoMeasurements(max_features)
            package = self._declare(
                "message_package",
                "msga_ros",
                "Package of CameraMeasurement and FeatureMeasurement: msga_ros, or that of the "
                "consumer where its messages have the same fields (msckf_vio). "
                "Read-only: give it at start.",
            )
            self._kinds = importlib.import_module(f"{package}.msg")
            self._publisher = self._advertise(self._kinds.CameraMeasurement, "features")
        self.create_subscription(
            Correspondences,
            "msga/correspondences",
            self._on_matches,
            QoSProfile(depth=5),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        for topic in _CAMERA_INFOS:
            self.create_subscription(
                CameraInfo,
                topic,
                partial(self._on_camera_info, topic),
                qos_profile_sensor_data,
            )

    def _declare(self, name: str, default: Any, description: str, most: int = 0) -> Any:
        """The value of a read-only parameter; of a number, from 1 to `most`."""
        descriptor = ParameterDescriptor(description=description, read_only=True)
        if most:
            descriptor.integer_range = [IntegerRange(from_value=1, to_value=most, step=1)]
        return self.declare_parameter(name, default, descriptor).value

    def _advertise(self, kind: type[object], topic: str) -> Publisher:
        return self.create_publisher(
            kind,
            topic,
            QoSProfile(depth=5),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def _on_camera_info(self, topic: str, message: CameraInfo) -> None:
        try:
            self._cameras[topic] = Camera.from_camera_info(message, rectified=False)
        except CameraError as error:
            self._complain(f"{self.resolve_topic_name(topic)}: {error}")

    def _on_matches(self, message: Correspondences) -> None:
        stereo = message.pairing == Correspondences.PAIRING_STEREO
        topics = _CAMERA_INFOS[:2] if stereo else _CAMERA_INFOS[2:] * 2
        try:
            matches = tracked_matches(message, *(self._cameras.get(topic) for topic in topics))
            header = message.reference_header if stereo else message.header
            self._publisher.publish(self._converted(header, matches))
        except PlugError as error:
            self._complain(f"{self.resolve_topic_name('msga/correspondences')}: {error}")

    def _converted(self, header: Header, matches: TrackedMatches) -> object:
        if self._name == "vins":
            return point_cloud(header, self._clouds(matches))
        return camera_measurement(header, self._measurements(matches), self._kinds)

    def _complain(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=5.0)


def main(name: str, args: Sequence[str] | None = None) -> int:
    """Run a bridge until SIGINT or SIGTERM; the exit code."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(
        args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO
    )
    try:
        try:
            node = Bridge(name)
        except (ModuleNotFoundError, AttributeError) as error:
            print(f"msga_{name}_bridge: message_package: {error}", file=sys.stderr)
            return 2
        except (InvalidParameterValueException, InvalidParameterTypeException) as error:
            print(f"msga_{name}_bridge: {error}", file=sys.stderr)
            return 2
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            while not stop.is_set() and executor.context.ok():
                executor.spin_once(timeout_sec=_POLL)
        except ExternalShutdownException:
            pass
        finally:
            executor.shutdown()
            node.destroy_node()
    finally:
        rclpy.try_shutdown()
    return 0
