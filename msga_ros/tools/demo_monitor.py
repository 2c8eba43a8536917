"""The demo's subscriptions: what player and node publish, as figures."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from msga_ros.datasets.sequences.base import LEFT, RIGHT
from msga_ros.msg import Correspondences, RelativePose
from msga_ros.node.diagnostics import IDLE
from msga_ros.node.qos import sensor_qos
from msga_ros.stream.cv_bridge_fallback import CvBridge
from msga_ros.tools.demo_statistics import DemoStatistics, PoseReport
from msga_ros.tools.frame_account import Counters
from msga_ros.tools.player_messages import pose_from_message, rotation_from_message

_KEPT_IMAGES = 120  # of each camera, until their matches arrive: about 100 MB at 640x480

_STATUS = {
    RelativePose.STATUS_OK: "OK",
    RelativePose.STATUS_TOO_FEW_MATCHES: "TOO_FEW_MATCHES",
    RelativePose.STATUS_DEGENERATE: "DEGENERATE",
}


@dataclass(frozen=True)
class SeenMatches:
    """Two views and the matches between them, as they came over DDS."""

    image0: NDArray[np.uint8]
    image1: NDArray[np.uint8]
    keypoints0: NDArray[np.float32]
    keypoints1: NDArray[np.float32]
    inlier: NDArray[np.bool_]


class Monitor(Node):
    """Listens to the node `/msga` and the player `/msga_player`.

    To the player's `~/sent`, for which it waits, once the node is active and has found a subscriber
    of its outputs here: the frames before that it would not process.
    """

    def __init__(self, stereo: bool, **kwargs: Any) -> None:
        super().__init__("msga_demo", **kwargs)
        self.statistics = DemoStatistics()
        self.matches: SeenMatches | None = None  # the newest ones whose images were seen
        self.picture: NDArray[np.uint8] | None = None  # the newest ~/matches_image, BGR
        self._current = RIGHT if stereo else LEFT
        self._images: dict[str, OrderedDict[int, Image]] = {}
        self._sent: Subscription | None = None
        self._reliable = reliable = QoSProfile(depth=100)
        for side in (LEFT, RIGHT) if stereo else (LEFT,):
            prefix = f"{side}/" if stereo else ""
            self._images[side] = OrderedDict()
            self.create_subscription(Image, f"{prefix}image", self._image_of(side), sensor_qos())
            truth = f"/msga_player/{prefix}true_pose"
            self.create_subscription(PoseStamped, truth, self._truth_of(side), reliable)
        self.create_subscription(RelativePose, "/msga/relative_pose", self._on_pose, reliable)
        self.create_subscription(
            Correspondences, "/msga/correspondences", self._on_correspondences, reliable
        )
        self.create_subscription(Image, "/msga/matches_image", self._on_picture, reliable)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, reliable)

    def _image_of(self, side: str) -> Callable[[Image], None]:
        kept = self._images[side]

        def keep(message: Image) -> None:
            kept[_nanoseconds(message.header)] = message
            if len(kept) > _KEPT_IMAGES:
                kept.popitem(last=False)

        return keep

    def _truth_of(self, side: str) -> Callable[[PoseStamped], None]:
        def keep(message: PoseStamped) -> None:
            pose = pose_from_message(message)
            self.statistics.truth[side, _nanoseconds(message.header)] = pose

        return keep

    def _on_sent(self, _: Header) -> None:
        self.statistics.frames_sent += 1

    def _on_pose(self, message: RelativePose) -> None:
        stamp = _nanoseconds(message.header)
        translation = message.transform.translation
        self.statistics.reports.append(
            PoseReport(
                reference=(LEFT, _nanoseconds(message.reference_header)),
                current=(self._current, stamp),
                ok=message.status == RelativePose.STATUS_OK,
                status=_STATUS.get(message.status, str(message.status)),
                rotation=rotation_from_message(message.transform.rotation),
                translation=np.array([translation.x, translation.y, translation.z]),
                inliers=message.inliers,
                inlier_ratio=message.inlier_ratio,
                latency=self.get_clock().now().nanoseconds * 1e-9 - stamp * 1e-9,
                received=time.monotonic(),
            )
        )

    def _on_correspondences(self, message: Correspondences) -> None:
        self.statistics.matched.append(message.matched)
        image0 = self._images[LEFT].get(_nanoseconds(message.reference_header))
        image1 = self._images[self._current].get(_nanoseconds(message.header))
        if image0 is None or image1 is None:
            return
        bridge = CvBridge()
        self.matches = SeenMatches(
            bridge.imgmsg_to_cv2(image0).astype(np.uint8, copy=False),
            bridge.imgmsg_to_cv2(image1).astype(np.uint8, copy=False),
            np.array(message.reference_points, np.float32).reshape(-1, 2),
            np.array(message.points, np.float32).reshape(-1, 2),
            np.array(message.inlier, np.bool_),
        )

    def _on_picture(self, message: Image) -> None:
        pixels = CvBridge().imgmsg_to_cv2(message)
        if message.encoding == "rgb8":
            pixels = cv2.cvtColor(pixels.astype(np.uint8, copy=False), cv2.COLOR_RGB2BGR)
        self.picture = pixels.astype(np.uint8)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        said = {
            part: status
            for status in message.status
            for name, _, part in [status.name.partition(": ")]
            if name == "msga"
        }
        if not said:
            return
        values = {
            part: {value.key: value.value for value in status.values}
            for part, status in said.items()
        }
        statistics = self.statistics
        statistics.counters = Counters.from_diagnostics(values["input"], values["processing"])
        statistics.complaint = values["input"].get("last_bad_input", "")
        for status in said.values():
            if status.level == DiagnosticStatus.ERROR:
                statistics.problem = status.message
        statistics.diagnostics.append(_nanoseconds(message.header))
        active = values["model"].get("state") == "active"
        if self._sent is None and active and said["processing"].message != IDLE:
            self._sent = self.create_subscription(
                Header, "/msga_player/sent", self._on_sent, self._reliable
            )


def _nanoseconds(header: Header) -> int:
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)
