"""Publishers of the odometry (mode stereo), and what asks for it."""

from __future__ import annotations

from collections.abc import Callable

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry, Path
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from std_msgs.msg import Header

from msga_ros.msg import RelativePose
from msga_ros.node.messages import (
    odometry_message,
    odometry_transform,
    pose_message,
    temporal_pose_message,
)
from msga_ros.node.qos import output_qos
from msga_ros.stream.settings import Settings
from msga_ros.stream.stream_odometry import OdometryResult
from msga_ros.stream.thinned_path import ThinnedPath

TF_MISSING = "publish.tf is on, but tf2_msgs is not installed: there is no transform"


MakePublisher = Callable[[type[object], str, int], LifecyclePublisher]


class MotionOutputs:
    """`publisher(type, name, depth)` makes a managed publisher of the node's private topic `name`.

    The transform is published where `tf2_msgs` imports; `problem` says if it should be and cannot.
    """

    def __init__(
        self,
        node: LifecycleNode,
        settings: Settings,
        publisher: Callable[[type[object], str, int], LifecyclePublisher],
    ) -> None:
        self._node = node
        self._frame: str = settings["odometry.frame"]
        self._inverted: bool = settings["publish.tf_inverted"]
        self._odometry = publisher(Odometry, "odometry", 5)
        self._path = publisher(Path, "path", 2)
        self._temporal_pose = publisher(RelativePose, "temporal_pose", 5)
        self._travelled: ThinnedPath[PoseStamped] = ThinnedPath()
        self._tf: LifecyclePublisher | None = None
        self.problem = ""
        if settings["publish.tf"]:
            self._tf = self._tf_publisher()

    @property
    def wanted(self) -> bool:
        """Whether somebody listens, or the transform is on."""
        return self._tf is not None or any(map(listened_to, self._private))

    def publish(self, located: OdometryResult, settings: Settings) -> None:
        """Publish what has a subscriber."""
        if self._tf is not None and located.header.frame_id:
            transform = odometry_transform(located, self._frame, self._inverted)
            self._tf.publish(self._tf_message(transforms=[transform]))
        if listened_to(self._odometry):
            self._odometry.publish(odometry_message(located, self._frame))
        if located.reference_header is not None and listened_to(self._temporal_pose):
            self._temporal_pose.publish(temporal_pose_message(located))
        # The path grows whether or not somebody looks: it belongs to the session.
        self._extend(located, settings)
        if listened_to(self._path):
            header = Header(stamp=located.header.stamp, frame_id=self._frame)
            self._path.publish(Path(header=header, poses=self._travelled.items))

    def close(self) -> None:
        """Take the publishers down."""
        for one in (*self._private, self._tf):
            if one is not None:
                self._node.destroy_lifecycle_publisher(one)

    @property
    def _private(self) -> tuple[LifecyclePublisher, ...]:
        return self._odometry, self._path, self._temporal_pose

    def _extend(self, located: OdometryResult, settings: Settings) -> None:
        pose = located.update.pose
        assert pose is not None
        self._travelled.add(
            located.session,
            pose.position,
            pose_message(located, self._frame),
            settings["odometry.path_length"],
            settings["odometry.path_spacing"],
        )

    def _tf_publisher(self) -> LifecyclePublisher | None:
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:
            self.problem = TF_MISSING
            return None
        self._tf_message = TFMessage
        return self._node.create_lifecycle_publisher(TFMessage, "/tf", output_qos(100))


def listened_to(publisher: LifecyclePublisher) -> bool:
    """Whether a managed publisher is active and has a subscriber."""
    return bool(publisher.is_activated and publisher.get_subscription_count() > 0)
