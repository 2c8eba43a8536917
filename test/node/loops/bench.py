"""The node `msga_loops` in this process, its inputs and somebody who listens and asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from msga_ros.msg import LoopEdge
from msga_ros.srv import LoadMap, Locate, SaveMap
from nav_msgs.msg import Odometry, Path
from node.harness import camera_info, header
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from msga_ros.geometry.rotations import quaternion
from msga_ros.node.image_message import image_message
from msga_ros.node.loops.node import LoopsNode
from msga_ros.node.messages import transform_message
from msga_ros.node.qos import service_qos, static_qos

START = 1_700_000_000_000_000_000
# A camera that looks ahead, a metre above the robot's base (x ahead, y left, z up).
MOUNT_ROTATION = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
MOUNT_POSITION = np.array([0.2, 0.0, 1.0])
OUTPUTS = {"edges": LoopEdge, "loops": MarkerArray, "path": Path}
SERVICES = {"locate": Locate, "save_map": SaveMap, "load_map": LoadMap, "reset": Trigger}
_RELIABLE = {
    f"qos_overrides./{name}.subscription.reliability": "reliable"
    for name in ("image", "camera_info", "depth/image", "right/image", "right/camera_info", "odom")
}


class LoopBench:
    """A node, spun by hand. `seconds` below count from `START`."""

    def __init__(self, context: Context, active: bool = True, **given: Any) -> None:
        arguments = {name: given.pop(name) for name in ("load", "open_map") if name in given}
        values = {"autostart": False, **_RELIABLE, **given}
        self.node = LoopsNode(
            context=context,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
            **arguments,
        )
        self.source = rclpy.create_node("source", context=context)
        self._executor = SingleThreadedExecutor(context=context)
        for node in (self.node, self.source):
            self._executor.add_node(node)
        self.heard: dict[str, list[Any]] = {}
        for name, kind in OUTPUTS.items():
            self._listen(kind, f"/msga_loops/{name}", static_qos(depth=100), name)
        self._listen(DiagnosticArray, "/diagnostics", QoSProfile(depth=10), "diagnostics")
        self._listen(TFMessage, "/tf", QoSProfile(depth=100), "tf")
        self.inputs = {
            name: self.source.create_publisher(kind, name, QoSProfile(depth=100))
            for name, kind in (
                ("image", Image),
                ("camera_info", CameraInfo),
                ("depth/image", Image),
                ("right/image", Image),
                ("right/camera_info", CameraInfo),
                ("odom", Odometry),
            )
        }
        self.tf = self.source.create_publisher(TFMessage, "/tf", QoSProfile(depth=100))
        self.tf_static = self.source.create_publisher(TFMessage, "/tf_static", static_qos())
        self.clients = {
            name: self.source.create_client(kind, f"/msga_loops/{name}", qos_profile=service_qos())
            for name, kind in SERVICES.items()
        }
        for client in self.clients.values():
            self.spin_until(client.service_is_ready)
        if active:
            self.activate()

    def _listen(self, kind: Any, topic: str, qos: QoSProfile, name: str) -> None:
        kept = self.heard.setdefault(name, [])
        self.source.create_subscription(kind, topic, kept.append, qos)

    def activate(self) -> None:
        """Configure and activate, and wait until the inputs are heard."""
        self.node.trigger_configure()
        self.node.trigger_activate()
        assert self.node.state == "active", self.node._failure
        inputs = [self.inputs["image"]]
        if self.node.settings["depth.use"]:
            inputs.append(self.inputs["depth/image"])
        if self.node.settings["stereo.use"]:
            inputs += [self.inputs["right/image"], self.inputs["right/camera_info"]]
        if self.node.settings["odometry.source"] == "topic":
            inputs.append(self.inputs["odom"])
        for one in inputs:
            self.spin_until(lambda one=one: one.get_subscription_count() > 0)

    def mount(self, camera: str = "camera", base: str = "base_link") -> None:
        """Say on /tf_static where the camera is, and wait until the node knows."""
        made = TransformStamped(header=header(START, base), child_frame_id=camera)
        made.transform = transform_message(MOUNT_ROTATION, MOUNT_POSITION)
        self.tf_static.publish(TFMessage(transforms=[made]))
        static = self.node._resources.odometry._static
        self.spin_until(lambda: static.parent(camera) == base)

    def odometry(self, seconds: float, position: Any, rotation: Any = None) -> None:
        """The robot's pose in odom, by the topic."""
        message = Odometry(header=header(START + round(seconds * 1e9), "odom"))
        message.child_frame_id = "base_link"
        at = message.pose.pose.position
        at.x, at.y, at.z = (float(one) for one in position)
        turn = message.pose.pose.orientation
        turn.x, turn.y, turn.z, turn.w = quaternion(np.eye(3) if rotation is None else rotation)
        self.inputs["odom"].publish(message)

    def image(self, seconds: float, pixels: np.ndarray, k: np.ndarray, **options: Any) -> None:
        """An image and, unless told otherwise, its camera_info; waits until the node has both."""
        before = self.statistics.sets
        made = header(START + round(seconds * 1e9), options.get("frame", "camera"))
        self.inputs["image"].publish(image_message(pixels, made))
        if "depth" in options:  # 16UC1
            depth = image_message(options["depth"], made, "16UC1")
            self.inputs["depth/image"].publish(depth)
        if "right" in options:  # pixels, K, baseline (m)
            other, right_k, baseline = options["right"]
            info = camera_info(right_k, other.shape[1::-1], made, baseline)
            self.inputs["right/camera_info"].publish(info)
            self.inputs["right/image"].publish(image_message(other, made))
        if options.get("info", True):
            self.inputs["camera_info"].publish(camera_info(k, pixels.shape[1::-1], made))
            self.spin_until(lambda: self.statistics.sets > before)

    @property
    def statistics(self) -> Any:
        return self.node._statistics.snapshot()

    @property
    def counts(self) -> Any:
        return self.node._counts.snapshot()

    def settled(self) -> int:
        """How many images have their verdict, whatever it is."""
        return sum(self.counts.images.values()) + sum(self.statistics.dropped.values())

    def answer(self, name: str, request: Any) -> Any:
        future = self.clients[name].call_async(request)
        self.spin_until(future.done)
        return future.result()

    def status(self, part: str) -> Any:
        """The newest diagnostic `part`, made after this call."""
        heard = self.heard["diagnostics"]
        count = len(heard)
        self.spin_until(lambda: len(heard) >= count + 2)  # the first may have been on its way
        return next(one for one in heard[-1].status if one.name == f"msga_loops: {part}")

    def spin_until(self, done: Callable[[], Any], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, done
            self._executor.spin_once(timeout_sec=0.02)

    def close(self) -> None:
        self.node.close()
        self._executor.shutdown()
        self.node.destroy_node()
        self.source.destroy_node()
