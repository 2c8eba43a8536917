"""The benchmark's connection to the node: publishes frames, collects poses and diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from msga_ros.msg import Correspondences, RelativePose
from msga_ros.node.qos import sensor_qos
from msga_ros.stream.message_set import INPUTS, stamp_ns
from msga_ros.stream.message_types import Stamped
from msga_ros.tools.benchmark_figures import CORRESPONDENCES, ODOMETRY, POSE
from msga_ros.tools.frame_account import Counters

_KINDS = {CORRESPONDENCES: Correspondences, ODOMETRY: Odometry}


@dataclass(frozen=True)
class Arrival:
    """A message that came: `latency` in seconds from its stamp to here, `ok` by its status."""

    stamp: int
    latency: float
    ok: bool = True


class Link(Node):
    """Publishes to the inputs of the node `/msga` and listens to its poses and diagnostics.

    `listen`: outputs that are listened to besides; `arrivals`: what came on each.
    """

    def __init__(self, mode: str, listen: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__("msga_bench", **kwargs)
        self.arrivals: dict[str, list[Arrival]] = {POSE: []}
        for name in dict.fromkeys(one for one in listen if one != POSE):
            self.arrivals[name] = []
            self.create_subscription(
                _KINDS[name], f"/msga/{name}", partial(self._on_output, name), QoSProfile(depth=100)
            )
        self.diagnostics = 0  # how many came
        self._status: dict[str, dict[str, str]] = {}
        self.problem = ""  # why the node cannot work
        self._outlets = {
            name: self.create_publisher(
                Image if name.endswith("image") else CameraInfo, name, sensor_qos()
            )
            for name in INPUTS[mode]
        }
        self.create_subscription(
            RelativePose, "/msga/relative_pose", self._on_pose, QoSProfile(depth=100)
        )
        self.create_subscription(
            DiagnosticArray, "/diagnostics", self._on_diagnostics, QoSProfile(depth=10)
        )

    @property
    def poses(self) -> list[Arrival]:
        """The poses that came."""
        return self.arrivals[POSE]

    @property
    def connected(self) -> bool:
        """Whether the node is active and hears every input; its outputs tell themselves that they
        are heard, once they come."""
        active = self.values("model").get("state") == "active"
        return active and all(one.get_subscription_count() > 0 for one in self._outlets.values())

    @property
    def counters(self) -> Counters:
        """The node's counters as last published."""
        return Counters.from_diagnostics(self.values("input"), self.values("processing"))

    def values(self, part: str) -> Mapping[str, str]:
        """Key-value pairs of the newest diagnostic `part` of the node: model, input, processing."""
        return self._status.get(part, {})

    def send(self, messages: Mapping[str, Image | CameraInfo]) -> int:
        """Publish one frame, stamped now; the stamp in nanoseconds."""
        now = self.get_clock().now()
        stamp = now.to_msg()
        for name, message in messages.items():
            message.header.stamp = stamp
            self._outlets[name].publish(message)
        return int(now.nanoseconds)

    def _on_pose(self, message: RelativePose) -> None:
        ok = message.status == RelativePose.STATUS_OK
        self.poses.append(Arrival(*self._age(message), ok))

    def _on_output(self, name: str, message: Stamped) -> None:
        self.arrivals[name].append(Arrival(*self._age(message)))

    def _age(self, message: Stamped) -> tuple[int, float]:
        """Stamp (ns) of a message, and seconds since."""
        stamp = stamp_ns(message)
        return stamp, (self.get_clock().now().nanoseconds - stamp) * 1e-9

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name, _, part = status.name.partition(": ")
            if name != "msga":
                continue
            self._status[part] = {pair.key: pair.value for pair in status.values}
            if part == "model":
                failed = status.level == DiagnosticStatus.ERROR
                self.problem = status.message if failed else ""
        self.diagnostics += 1
