"""Publishers of the node `msga_loops`."""

from __future__ import annotations

from functools import partial

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Path
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from msga_ros.geometry.camera_pose import Pose
from msga_ros.loops.reports import LoopEdge as Edge
from msga_ros.loops.reports import Verdict
from msga_ros.msg import LoopEdge
from msga_ros.node.loops.markers import loop_markers
from msga_ros.node.loops.messages import correction_message, edge_message, path_message
from msga_ros.node.motion_outputs import TF_MISSING
from msga_ros.node.publishers import listened_to, private_publisher
from msga_ros.node.qos import output_qos, static_qos
from msga_ros.node.robot_frames import RobotFrames
from msga_ros.odometry.mount import Mount
from msga_ros.stream.loops.fields import ACCEPTED, TAKEN_BACK
from msga_ros.stream.loops.odometry_buffer import OdometryPose
from msga_ros.stream.loops.session import LoopSession, Processed
from msga_ros.stream.loops.settings import LoopSettings
from msga_ros.stream.processor import Complain
from msga_ros.stream.robot_settings import RobotSettings

_TF_PERIOD = 50_000_000  # ns between two transforms


class LoopOutputs:
    """Edges, markers and path, kept for whoever subscribes later (transient local), and the
    transform from the map to the odometry. `problem` says why there is none."""

    def __init__(
        self,
        node: LifecycleNode,
        settings: LoopSettings,
        session: LoopSession,
        tf_message: type | None,
        complain: Complain,
    ) -> None:
        self._node = node
        self._session = session
        self._map_frame = settings.frame("map.frame")
        self._marker_size = max(settings.loops.keyframe_distance / 3, 0.01)
        self._camera_frame = ""
        self._mount: Mount | None = None
        self._said: set[tuple[int, int]] = set()  # edges that were published
        publisher = partial(private_publisher, node, complain)
        self._edges = publisher(LoopEdge, "edges", static_qos(depth=10_000))
        self._markers = publisher(MarkerArray, "loops", static_qos(depth=1))
        self._path = publisher(Path, "path", static_qos(depth=1))
        self._stale: set[LifecyclePublisher] = set()  # pictures that changed since they went out
        self._stamp = Time()
        self._tolerance = round(settings["publish.tf_tolerance"] * 1e9)
        self._correction: Pose | None = None
        self._last_tf = 0  # ns, stamp of the odometry
        self._tf: LifecyclePublisher | None = None
        self._tf_message = tf_message
        self._optimise = settings.loops.optimise
        asked = bool(settings["publish.tf"]) and self._optimise
        self.problem = TF_MISSING if asked and tf_message is None else ""
        robot = RobotSettings(self._map_frame, "", None)
        self._frames = RobotFrames(node, robot, asked, tf_message, complain)
        if asked and tf_message is not None:
            self._tf = node.create_lifecycle_publisher(tf_message, "/tf", output_qos(100))

    def publish_map(self) -> None:
        """What the map holds already; its edges come with the first image, which tells their
        frame."""
        self._correction = self._session.map_from_odom
        self._changed(self._node.get_clock().now().to_msg())

    def map_replaced(self) -> None:
        """Edges and pictures are those of another map from here on; in the worker's thread."""
        self._said = set()
        self.publish_map()

    def publish(self, processed: Processed) -> None:
        """What an image did to the map."""
        outcome, self._mount = processed.outcome, processed.mount
        self._camera_frame = processed.header.frame_id
        self._correction = self._session.map_from_odom
        for edge in outcome.taken_back:
            self._edges.publish(self._message(edge, TAKEN_BACK))
            self._said.discard((edge.reference, edge.current))
        self._publish_new_edges()
        if outcome.verdict is Verdict.KEYFRAME or outcome.corrected or outcome.taken_back:
            self._changed(processed.header.stamp)

    @property
    def picture_wanted(self) -> bool:
        """Whether somebody listens to a picture of the map that is not up to date."""
        return any(listened_to(one) for one in tuple(self._stale))

    def publish_picture(self) -> None:
        """Markers and path where somebody listens: of a large map they take long to make.

        In the worker's thread.
        """
        header = Header(stamp=self._stamp, frame_id=self._map_frame)
        for one in [one for one in self._stale if listened_to(one)]:
            self._stale.discard(one)
            if one is self._markers:
                one.publish(loop_markers(self._session, header, self._marker_size))
            else:
                one.publish(path_message(self._session, header, self._mount))

    def publish_transform(self, pose: OdometryPose) -> None:
        """The transform from the map to the frame of `pose`, 20 times a second at most.

        In the executor thread.
        """
        correction = self._correction
        if self._tf is None or correction is None or not self._frames.listened:
            return
        if 0 <= pose.stamp - self._last_tf < _TF_PERIOD:
            return
        self._last_tf = pose.stamp
        transform: TransformStamped = correction_message(
            correction.rotation,
            correction.translation,
            pose.stamp + self._tolerance,
            self._map_frame,
            pose.frame,
        )
        self.problem = self._frames.rival(self._map_frame, pose.frame)
        if not pose.frame or pose.frame == self._map_frame:
            self.problem = f"the odometry is in {pose.frame!r}: no transform from the map to it"
        if not self.problem and self._tf_message is not None:
            self._frames.published(transform)
            self._tf.publish(self._tf_message(transforms=[transform]))

    def close(self) -> None:
        """Take publishers and subscriptions down."""
        self._frames.close()
        for one in (self._edges, self._markers, self._path, self._tf):
            if one is not None:
                self._node.destroy_lifecycle_publisher(one)

    def _publish_new_edges(self) -> None:
        for edge in self._session.edges:
            if (edge.reference, edge.current) not in self._said:
                self._said.add((edge.reference, edge.current))
                self._edges.publish(self._message(edge, ACCEPTED))

    def _changed(self, stamp: Time) -> None:
        self._stamp = stamp
        self._stale = {self._markers, self._path} if self._optimise else {self._markers}

    def _message(self, edge: Edge, action: int) -> LoopEdge:
        return edge_message(edge, self._session, self._camera_frame, self._mount, action)
