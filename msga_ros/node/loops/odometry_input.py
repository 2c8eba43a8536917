"""The odometry of the robot, from a topic or from tf, and the camera's place on the robot."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from nav_msgs.msg import Odometry
from rclpy.lifecycle import LifecycleNode
from rclpy.subscription import Subscription

from msga_ros.foreign_text import shown
from msga_ros.node.qos import input_events, output_qos, overrides, sensor_qos, static_qos
from msga_ros.node.reporting import Reporter
from msga_ros.node.robot_frames import DYNAMIC, STATIC
from msga_ros.odometry.mount import Mount
from msga_ros.stream.errors import BadInput, ConfigureError
from msga_ros.stream.loops.odometry_buffer import OdometryPose
from msga_ros.stream.loops.odometry_messages import (
    ends_of_transform,
    pose_of_odometry,
    pose_of_transform,
)
from msga_ros.stream.loops.parameters import TF, TOPIC
from msga_ros.stream.loops.settings import LoopSettings
from msga_ros.stream.static_transforms import StaticTransforms

if TYPE_CHECKING:
    from tf2_msgs.msg import TFMessage

_MOST_FRAMES = 1000  # of one message that are looked at


class OdometryInput:
    """Subscribes while it is started. `on_pose(pose)` gets each pose, in the executor thread.

    `tf_message`: the type TFMessage, None where it is not installed. Raises `ConfigureError` where
    it is needed.
    """

    def __init__(
        self,
        node: LifecycleNode,
        settings: LoopSettings,
        tf_message: type | None,
        on_pose: Callable[[OdometryPose], None],
        reporter: Reporter,
    ) -> None:
        self._node = node
        self._settings = settings
        self._source: str = settings["odometry.source"]
        self._tf_message = tf_message
        self._on_pose = on_pose
        self._reporter = reporter
        self._static = StaticTransforms()
        self._subscriptions: list[Subscription] = []
        self._ends = (settings.frame("odometry.frame"), settings.frame("odometry.base_frame"))
        self.topic = DYNAMIC if self._source == TF else node.resolve_topic_name("odom")
        if tf_message is None and settings.has_odometry:
            if self._source == TF:
                raise ConfigureError("odometry.source is tf, but tf2_msgs is not installed")
            if settings.mount is None:
                raise ConfigureError(
                    "tf2_msgs is not installed: give odometry.camera_in_base, the place of the "
                    "camera on the robot"
                )

    @property
    def source(self) -> str:
        """Where the odometry is from, in words."""
        if not self._settings.has_odometry:
            return "none"
        if self._source == TOPIC:
            return self.topic
        return f"{DYNAMIC} ({' to '.join(self._ends)})"

    def start(self) -> None:
        """Subscribe. Raises what rclpy raises, for a QoS override that cannot be."""
        if not self._settings.has_odometry:
            return
        guarded = self._reporter.guarded
        subscribe = self._node.create_subscription
        if self._settings.mount is None:
            on_static = guarded("tf_static callback", self._on_static)
            self._subscriptions.append(subscribe(self._tf_message, STATIC, on_static, static_qos()))
        if self._source == TF:
            on_tf = guarded("tf callback", self._on_dynamic)
            self._subscriptions.append(subscribe(self._tf_message, DYNAMIC, on_tf, output_qos(100)))
            return
        qos = sensor_qos()
        qos.depth = 100
        complain = partial(self._reporter.complain, "incompatible_qos", self.topic)
        self._subscriptions.append(
            subscribe(
                Odometry,
                "odom",
                guarded("odometry callback", self._on_odometry),
                qos,
                qos_overriding_options=overrides(),
                event_callbacks=input_events(complain),
            )
        )

    def stop(self) -> None:
        """Take the subscriptions down."""
        for one in self._subscriptions:
            self._node.destroy_subscription(one)
        self._subscriptions = []

    def mount(self, pose: OdometryPose, camera_frame: str) -> Mount | None:
        """The place of the camera on what `pose` moves; None where it is not known."""
        base = pose.child
        if self._settings.mount is not None:
            given = self._settings.mount
            return Mount(base, given.rotation, given.position)
        if not camera_frame:
            return None
        found = self._static.lookup(base, camera_frame)
        return None if found is None else Mount(base, *found)

    def missing(self, pose: OdometryPose, camera_frame: str) -> str:
        """Why the place of the camera is not known."""
        if not camera_frame:
            why = "the images have no frame_id"
        else:
            why = self._static.explain(pose.child, camera_frame)
        return (
            f"the place of the camera on {shown(repr(pose.child))} is not known: {why} (or give "
            "odometry.camera_in_base)"
        )

    def _on_odometry(self, message: Odometry) -> None:
        self._take(lambda: pose_of_odometry(message, self._settings["odometry.base_frame"]))

    def _on_dynamic(self, message: TFMessage) -> None:
        for one in message.transforms[:_MOST_FRAMES]:
            if ends_of_transform(one) == self._ends:
                self._take(partial(pose_of_transform, one))

    def _on_static(self, message: TFMessage) -> None:
        for problem in self._static.add_all(message.transforms):
            self._reporter.complain("transform", STATIC, problem)

    def _take(self, read: Callable[[], OdometryPose]) -> None:
        try:
            pose = read()
        except BadInput as error:
            self._reporter.complain(error.kind, self.topic, error.text)
            return
        self._on_pose(pose)
