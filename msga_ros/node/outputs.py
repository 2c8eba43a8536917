"""Publishers of the node; what has no subscriber is not computed."""

from __future__ import annotations

from functools import partial

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from msga_ros.msg import Correspondences, RelativePose
from msga_ros.node.image_message import image_message
from msga_ros.node.markers import markers_message
from msga_ros.node.messages import correspondences_message, relative_pose_message
from msga_ros.node.motion_outputs import MotionOutputs
from msga_ros.node.publishers import listened_to, private_publisher
from msga_ros.node.qos import output_qos
from msga_ros.stream.processor import Complain, Outcome
from msga_ros.stream.settings import Settings
from msga_ros.stream.stream_odometry import OdometryResult
from msga_ros.two_view.drawing import draw_matches


class Outputs:
    """The managed publishers of a configured node; those of the odometry where motion is in metres.

    `complain(kind, topic, text)` is called in the executor thread where the QoS of a subscription
    does not fit.
    """

    def __init__(self, node: LifecycleNode, settings: Settings, complain: Complain) -> None:
        self._node = node
        publisher = partial(private_publisher, node, complain)
        self._correspondences = publisher(Correspondences, "correspondences", output_qos())
        self._relative_pose = publisher(RelativePose, "relative_pose", output_qos())
        self._matches_image = publisher(Image, "matches_image", output_qos(depth=2))
        self._markers = publisher(MarkerArray, "markers", output_qos(depth=2))
        self._motion = None
        if settings.metric:
            self._motion = MotionOutputs(node, settings, publisher, complain)

    @property
    def motion_problem(self) -> str:
        """Why something of the odometry cannot be published; "" where all is well."""
        return "" if self._motion is None else self._motion.problem

    def wanted(self, settings: Settings) -> bool:
        """Whether frames are to be processed: see the parameter `run`."""
        topics = (
            self._relative_pose,
            self._correspondences,
            self._matches_image,
            self._markers,
        )
        return (
            settings["run"] == "always"
            or any(map(listened_to, topics))
            or self.wants_motion(settings)
        )

    def wants_motion(self, settings: Settings) -> bool:
        """Whether the odometry shall run: see the parameter `odometry.run`."""
        run = settings["odometry.run"]
        if self._motion is None or run != "subscribed":
            return self._motion is not None and run == "always"
        # Of a stereo pair the track ids are those of the odometry.
        ids = settings.stereo and listened_to(self._correspondences)
        return self._motion.wanted or ids

    def publish_pose(self, outcome: Outcome) -> None:
        """Publish the pose if it has a subscriber: it does not wait for the rest."""
        if listened_to(self._relative_pose):
            self._relative_pose.publish(relative_pose_message(outcome))

    def publish(
        self, outcome: Outcome | None, odometry_result: OdometryResult | None, settings: Settings
    ) -> None:
        """Publish what else has a subscriber, pictures last; what is None is not there."""
        if outcome is not None and listened_to(self._correspondences):
            self._correspondences.publish(correspondences_message(outcome))
        if self._motion is not None and odometry_result is not None:
            self._motion.publish(odometry_result, settings)
        if outcome is None:
            return
        if listened_to(self._markers):
            self._markers.publish(markers_message(outcome, settings))
        if listened_to(self._matches_image):
            self._matches_image.publish(self._drawn(outcome, settings))

    def publish_pair(self, outcome: Outcome, settings: Settings) -> None:
        """Publish what else there is of two views without images, if it has a subscriber."""
        if listened_to(self._correspondences):
            self._correspondences.publish(correspondences_message(outcome))
        if listened_to(self._markers):
            self._markers.publish(markers_message(outcome, settings))

    def close(self) -> None:
        """Take the publishers down."""
        for one in (
            self._correspondences,
            self._relative_pose,
            self._matches_image,
            self._markers,
        ):
            self._node.destroy_lifecycle_publisher(one)
        if self._motion is not None:
            self._motion.close()

    def _drawn(self, outcome: Outcome, settings: Settings) -> Image:
        picture = draw_matches(
            outcome.reference.image,
            outcome.current.image,
            outcome.result,
            max_lines=settings["publish.max_lines"],
        )
        return image_message(picture, outcome.current.header)
