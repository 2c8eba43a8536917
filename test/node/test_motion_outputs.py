"""Odometry, path, temporal pose and transform as messages, and what the diagnostics say of them."""
# ruff: noqa: E402

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg", "tf2_msgs.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package (make setup, source it)")

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from node.harness import header
from node.scenes import transform_of
from node.stereo_drive import STEP_NS, StereoDrive
from odometry.rig_scene import RIG
from tf2_msgs.msg import TFMessage

from msga_ros.node.motion_diagnostics import OdometryCondition, odometry_status, rig_status
from msga_ros.node.motion_outputs import MotionOutputs
from msga_ros.node.publishers import listened_to
from msga_ros.stream.settings import Settings
from msga_ros.stream.stream_odometry import OdometryResult

pytestmark = pytest.mark.ros


@dataclass
class FakePublisher:
    """Remembers what was published to `subscribers` listeners."""

    name: str
    subscribers: int = 0
    is_activated: bool = True
    sent: list[Any] = field(default_factory=list)

    def get_subscription_count(self) -> int:
        return self.subscribers

    def publish(self, message: Any) -> None:
        self.sent.append(message)


class Desk:
    """Motion outputs over fake publishers."""

    def __init__(self, **parameters: Any) -> None:
        self.publishers: dict[str, FakePublisher] = {}
        self.callbacks: dict[str, Any] = {}  # of the subscriptions, by topic
        self.complaints: list[str] = []
        self.seconds = 0.0
        self.settings = Settings.from_values(parameters)
        node = SimpleNamespace(
            create_lifecycle_publisher=self._publisher,
            destroy_lifecycle_publisher=lambda one: self.publishers.pop(one.name),
            create_subscription=self._subscription,
            destroy_subscription=lambda topic: self.callbacks.pop(topic),
        )
        self.outputs = MotionOutputs(
            node,
            self.settings,
            self._publisher,
            lambda kind, topic, text: self.complaints.append(text),
            lambda: self.seconds,
        )
        self.seconds = 2.0  # enough to have heard of other publishers

    def _publisher(self, kind: Any, name: str, qos: Any) -> FakePublisher:
        return self.publishers.setdefault(name, FakePublisher(name))

    def _subscription(self, kind: Any, topic: str, callback: Any, qos: Any) -> str:
        self.callbacks[topic] = callback
        return topic

    def say(self, topic: str, *transforms: Any) -> None:
        """Another node publishes transforms."""
        self.callbacks[topic](TFMessage(transforms=list(transforms)))

    def listen(self, *names: str) -> None:
        for name in names:
            self.publishers[name].subscribers = 1

    def send(self, odometry_result: OdometryResult) -> None:
        self.outputs.publish(with_ros_headers(odometry_result), self.settings)


@pytest.mark.parametrize(
    ("active", "subscribers", "heard"), [(True, 1, True), (True, 0, False), (False, 1, False)]
)
def test_nobody_hears_what_is_not_active(active: bool, subscribers: int, heard: bool) -> None:
    publisher: Any = FakePublisher("pose", subscribers, active)
    assert listened_to(publisher) is heard


def with_ros_headers(odometry_result: OdometryResult) -> OdometryResult:
    def ros(made: Any) -> Any:
        if made is None:
            return None
        return header(made.stamp.sec * 1_000_000_000 + made.stamp.nanosec, made.frame_id)

    return OdometryResult(
        odometry_result.update,
        ros(odometry_result.header),
        ros(odometry_result.reference_header),
        odometry_result.session,
    )


def test_nothing_is_wanted_and_nothing_sent_without_a_subscriber() -> None:
    desk = Desk()
    assert not desk.outputs.wanted
    desk.send(StereoDrive().go(0, 1))
    assert all(one.sent == [] for one in desk.publishers.values())


@pytest.mark.parametrize("name", ["odometry", "path", "temporal_pose"])
def test_each_subscriber_wants_the_odometry(name: str) -> None:
    desk = Desk()
    desk.listen(name)
    assert desk.outputs.wanted
    desk.send(StereoDrive().go(0, 1))
    assert [one.name for one in desk.publishers.values() if one.sent] == [name]


def test_odometry_and_path_are_in_the_frame_asked_for() -> None:
    desk, drive = Desk(**{"odometry.frame": "odom", "odometry.path_spacing": 0.4}), StereoDrive()
    desk.listen("odometry", "path")
    for frame in range(8):
        desk.send(drive.go(frame))
    odometry = desk.publishers["odometry"].sent[-1]
    assert (odometry.header.frame_id, odometry.child_frame_id) == ("odom", "left_optical")
    assert odometry.header.stamp.nanosec == 7 * STEP_NS
    place = odometry.pose.pose.position
    truth = drive.scene.true_motion(0, 7)[1]
    np.testing.assert_allclose([place.x, place.y, place.z], truth, atol=0.08)
    path = desk.publishers["path"].sent[-1]
    assert path.header.frame_id == "odom"
    assert len(path.poses) == 8
    assert [one.header.stamp.nanosec for one in path.poses] == [i * STEP_NS for i in range(8)]
    assert path.poses[-1].pose == odometry.pose.pose


def test_the_first_frame_of_a_session_has_no_temporal_pose() -> None:
    desk, drive = Desk(), StereoDrive()
    desk.listen("temporal_pose")
    desk.send(drive.go(0))
    assert desk.publishers["temporal_pose"].sent == []
    desk.send(drive.go(1))
    (pose,) = desk.publishers["temporal_pose"].sent
    assert pose.translation_scale_known
    assert np.linalg.norm(transform_of(pose.transform)[1]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("inverted", [False, True])
def test_the_transform_takes_points_from_child_to_parent(inverted: bool) -> None:
    desk = Desk(**{"publish.tf": True, "publish.tf_inverted": inverted})
    assert desk.outputs.wanted and desk.outputs.problem == ""
    drive = StereoDrive()
    odometry_result = drive.go(*range(6))
    desk.send(odometry_result)
    (message,) = desk.publishers["/tf"].sent
    (stamped,) = message.transforms
    assert isinstance(stamped, TransformStamped)
    ends = [stamped.header.frame_id, stamped.child_frame_id]
    assert ends == (["left_optical", "msga_odom"] if inverted else ["msga_odom", "left_optical"])
    rotation, position = transform_of(stamped.transform)
    assert odometry_result.update.pose is not None
    matrix = (
        np.linalg.inv(odometry_result.update.pose.matrix)
        if inverted
        else odometry_result.update.pose.matrix
    )
    np.testing.assert_allclose(rotation, matrix[:3, :3], atol=1e-9)
    np.testing.assert_allclose(position, matrix[:3, 3], atol=1e-9)
    desk.outputs.close()
    assert desk.publishers == desk.callbacks == {}


def test_no_transform_to_a_camera_without_a_frame() -> None:
    desk, odometry_result = Desk(**{"publish.tf": True}), StereoDrive().go(0, 1)
    odometry_result.header.frame_id = ""
    desk.send(odometry_result)
    assert desk.publishers["/tf"].sent == [] and "frame_id" in desk.outputs.problem


def test_no_transform_without_tf2_msgs_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", None)  # as where it is not installed
    desk = Desk(**{"publish.tf": True})
    assert "/tf" not in desk.publishers and not desk.outputs.wanted
    level, text, _ = odometry_status(OdometryCondition(problem=desk.outputs.problem), None)
    assert level == DiagnosticStatus.WARN and "tf2_msgs" in text


def test_diagnostics_of_the_odometry() -> None:
    drive = StereoDrive()
    assert odometry_status(OdometryCondition(), None)[:2] == (
        DiagnosticStatus.OK,
        "no subscriber",
    )
    drive.go(0, 1, 2)
    level, text, values = odometry_status(OdometryCondition(), drive.tracking.report)
    assert (level, text) == (DiagnosticStatus.OK, "session 1, 3 frames")
    assert dict(values)["session_began_with"] == "the first frame"
    drive.follow(3, blind=True)
    level, text, values = odometry_status(OdometryCondition(), drive.tracking.report)
    assert level == DiagnosticStatus.WARN and text.startswith("LOST") and dict(values)["lost"] == 1
    drive.infos["right"].p = drive.infos["right"].p * np.array([1, 1, 1, 0] * 3)
    drive.follow(4)
    level, text, _ = odometry_status(OdometryCondition(), drive.tracking.report)
    assert level == DiagnosticStatus.WARN and "baseline" in text


def test_a_pose_that_is_of_no_use_is_a_warning() -> None:
    """21 m and 46 degrees are no odometry, whatever the last motion was."""
    drive = StereoDrive()
    drive.go(0, 1, 2)
    usable = replace(drive.tracking.report, sigma_m=1.9, sigma_deg=3.0)
    limits = OdometryCondition(max_sigma_m=2.0, max_sigma_deg=4.0)
    assert odometry_status(limits, usable)[0] == DiagnosticStatus.OK
    for lost in (replace(usable, sigma_m=21.0), replace(usable, sigma_deg=46.0)):
        level, text, _ = odometry_status(limits, lost)
        assert level == DiagnosticStatus.WARN and "good to" in text and "max_sigma" in text
        assert odometry_status(OdometryCondition(), lost)[0] == DiagnosticStatus.OK  # 0: never


def test_the_diagnostics_name_a_rig_that_has_turned_and_leave_a_good_one_alone() -> None:
    good, turned = StereoDrive(), StereoDrive(true_rig=RIG.turned(np.radians([0.5, 0.0, -0.8])))
    assert rig_status(None, 2.0)[1] == "not checked: no matches yet"
    for frame in range(8):
        good.follow(frame, wanted=False)
        turned.follow(frame, wanted=False)
    level, text, values = rig_status(good.tracking.report, 2.0)
    assert (level, text) == (DiagnosticStatus.OK, "as calibrated")
    assert dict(values)["turned_y_deg"] == "unknown"  # one instant does not tell it
    level, text, values = rig_status(turned.tracking.report, 2.0)
    assert level == DiagnosticStatus.WARN
    named = re.findall(r"([+-][0-9.]+) about ([xyz]) \((\w+)\)", text)
    assert [one[1:] for one in named] == [("x", "pitch"), ("z", "roll")]
    assert [float(one[0]) for one in named] == pytest.approx([0.5, -0.8], abs=0.05)
    assert float(dict(values)["shift_px"]) > 2.0  # type: ignore[arg-type]
    assert rig_status(turned.tracking.report, 20.0)[0] == DiagnosticStatus.OK  # live tolerance
