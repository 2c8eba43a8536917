"""Publishers of the odometry (modes stereo and rgbd), and whether it is needed."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry, Path
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from msga_ros.msg import RelativePose
from msga_ros.node.messages import (
    odometry_message,
    odometry_transform,
    pose_message,
    temporal_pose_message,
)
from msga_ros.node.publishers import listened_to
from msga_ros.node.qos import output_qos
from msga_ros.node.robot_frames import RobotFrames
from msga_ros.stream.message_fields import Fields
from msga_ros.stream.odometry_fields import odometry_fields
from msga_ros.stream.processor import Complain
from msga_ros.stream.settings import Settings
from msga_ros.stream.stream_odometry import OdometryResult
from msga_ros.stream.thinned_path import ThinnedPath

TF_MISSING = "publish.tf is on, but tf2_msgs is not installed: there is no transform"
NO_FRAME_ID = "the images have no frame_id: there is no transform"


MakePublisher = Callable[[type[object], str, QoSProfile], LifecyclePublisher]


class MotionOutputs:
    """`publisher(type, name, qos)` makes a managed publisher of the node's private topic `name`.

    Poses are those of the (left) camera, or of `odometry.base_frame` once the camera's place on it
    is known. The transform is published where `tf2_msgs` imports and where no other node publishes
    its child frame. `problem` says what cannot be published, and why.
    """

    def __init__(
        self,
        node: LifecycleNode,
        settings: Settings,
        publisher: MakePublisher,
        complain: Complain,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node = node
        self._robot = settings.robot
        self._inverted: bool = settings["publish.tf_inverted"]
        self._odometry = publisher(Odometry, "odometry", output_qos())
        self._path = publisher(Path, "path", output_qos(depth=2))
        self._temporal_pose = publisher(RelativePose, "temporal_pose", output_qos())
        self._travelled: ThinnedPath[PoseStamped] = ThinnedPath()
        self._tf: LifecyclePublisher | None = None
        self._tf_message = tf_message()
        asked = bool(settings["publish.tf"])
        self._frames = RobotFrames(node, self._robot, asked, self._tf_message, complain, clock)
        self._lasting = TF_MISSING if asked and self._tf_message is None else ""
        self.problem = self._lasting
        if asked and self._tf_message is not None:
            self._tf = node.create_lifecycle_publisher(self._tf_message, "/tf", output_qos(100))

    @property
    def wanted(self) -> bool:
        """Whether an output has a subscriber, or the transform is on."""
        return self._tf is not None or any(map(listened_to, self._private))

    def publish(self, result: OdometryResult, settings: Settings) -> None:
        """Publish what has a subscriber."""
        if result.reference_header is not None and listened_to(self._temporal_pose):
            self._temporal_pose.publish(temporal_pose_message(result))
        mount = None
        if self._robot.base_frame:
            camera = result.header.frame_id
            mount = self._frames.mount(camera, result.session)
            if mount is None:
                self.problem = self._frames.missing(camera)
                return
        fields = odometry_fields(result, mount)
        stamp, frame = result.header.stamp, self._robot.frame
        self.problem = self._lasting or self._publish_transform(fields, stamp)
        if listened_to(self._odometry):
            self._odometry.publish(odometry_message(fields, stamp, frame))
        # The path grows without a subscriber too: it belongs to the session.
        self._travelled.add(
            result.session,
            np.array(fields["position"]),
            pose_message(fields, stamp, frame),
            settings["odometry.path_length"],
            settings["odometry.path_spacing"],
        )
        if listened_to(self._path):
            header = Header(stamp=stamp, frame_id=frame)
            self._path.publish(Path(header=header, poses=self._travelled.items))

    def close(self) -> None:
        """Take publishers and subscriptions down."""
        self._frames.close()
        for one in (*self._private, self._tf):
            if one is not None:
                self._node.destroy_lifecycle_publisher(one)

    @property
    def _private(self) -> tuple[LifecyclePublisher, ...]:
        return self._odometry, self._path, self._temporal_pose

    def _publish_transform(self, fields: Fields, stamp: Time) -> str:
        """Why there is no transform, though it is on; "" where all is well."""
        if self._tf is None or not self._frames.listened:
            return ""
        if not fields["child_frame_id"]:
            return NO_FRAME_ID
        transform = odometry_transform(fields, stamp, self._robot.frame, self._inverted)
        rival = self._frames.rival(transform.header.frame_id, transform.child_frame_id)
        if not rival:
            self._frames.published(transform)
            assert self._tf_message is not None
            self._tf.publish(self._tf_message(transforms=[transform]))
        return rival


def tf_message() -> type | None:
    """The type of /tf, None where it is not installed."""
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        return None
    return TFMessage
