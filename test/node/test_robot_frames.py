"""Odometry of the robot: the camera's place, and transforms that other nodes publish."""
# ruff: noqa: E402

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg", "tf2_msgs.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package (make setup, source it)")

from geometry_msgs.msg import TransformStamped
from node.harness import header
from node.scenes import transform_of
from node.stereo_drive import StereoDrive
from node.test_motion_outputs import Desk

from msga_ros.geometry.rotations import quaternion, rotation_from_quaternion, rotation_matrix
from msga_ros.node.messages import transform_message

pytestmark = pytest.mark.ros

# Looks ahead and a little to the left, off the robot's origin.
TURN = rotation_matrix([0, 0, 0.3]) @ np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
SHIFT = np.array([0.8, -0.3, 1.1])
BASE = {"odometry.base_frame": "base_link"}
GIVEN = BASE | {
    "odometry.camera_in_base": " ".join(map(str, (*SHIFT, *quaternion(TURN)))),
}
TF = {"publish.tf": True}


def stamped(parent: str, child: str, turn: Any = None, shift: Any = (0, 0, 0)) -> Any:
    """A transform that does not turn, unless `turn` (3, 3) does."""
    made = TransformStamped(header=header(0, parent), child_frame_id=child)
    rotation = np.eye(3) if turn is None else turn
    made.transform = transform_message(rotation, np.array(shift, float))
    return made


def sent(desk: Desk, name: str) -> list[Any]:
    return desk.publishers[name].sent


def robots_way(drive: StereoDrive, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """The robot's true pose where it was at first: x_first = R x + p."""
    turn, shift = drive.scene.true_motion(0, frame)
    rotation = TURN @ turn @ TURN.T
    return rotation, TURN @ shift + SHIFT - rotation @ SHIFT


def test_odometry_path_and_transform_are_the_robots() -> None:
    desk, drive = Desk(**GIVEN, **TF), StereoDrive()
    desk.listen("odometry", "path")
    for frame in range(8):
        desk.send(drive.go(frame))
    message = sent(desk, "odometry")[-1]
    assert (message.header.frame_id, message.child_frame_id) == ("odom", "base_link")
    rotation, position = robots_way(drive, 7)
    at, turn = message.pose.pose.position, message.pose.pose.orientation
    np.testing.assert_allclose([at.x, at.y, at.z], position, atol=0.1)
    found = rotation_from_quaternion([turn.x, turn.y, turn.z, turn.w])
    np.testing.assert_allclose(found, rotation, atol=0.02)
    speed = message.twist.twist.linear
    forward = TURN @ drive.scene.true_motion(6, 7)[1] / 0.1
    np.testing.assert_allclose([speed.x, speed.y, speed.z], forward, atol=0.6)
    assert sent(desk, "path")[-1].poses[-1].pose == message.pose.pose
    (transform,) = sent(desk, "/tf")[-1].transforms
    assert (transform.header.frame_id, transform.child_frame_id) == ("odom", "base_link")
    np.testing.assert_allclose(transform_of(transform.transform)[1], [at.x, at.y, at.z])
    # Nothing about the camera's frame: its parent is the robot's.
    assert {one.transforms[0].child_frame_id for one in sent(desk, "/tf")} == {"base_link"}


def test_the_place_comes_from_a_chain_of_static_transforms() -> None:
    desk, drive = Desk(**BASE), StereoDrive()
    desk.listen("odometry", "temporal_pose")
    desk.send(drive.go(0))
    assert sent(desk, "odometry") == []
    assert "'base_link'" in desk.outputs.problem and "/tf_static" in desk.outputs.problem
    # base_link -> mast -> left_optical, which make up the place.
    mast = rotation_matrix([0.1, 0.2, -0.3])
    desk.say("/tf_static", stamped("mast", "left_optical", mast.T @ TURN))
    desk.send(drive.go(1))
    assert sent(desk, "odometry") == [] and "'base_link'" in desk.outputs.problem
    assert len(sent(desk, "temporal_pose")) == 1  # of the camera: it needs no place
    desk.say("/tf_static", stamped("base_link", "mast", mast, SHIFT))
    desk.send(drive.go(2))
    assert desk.outputs.problem == ""
    (message,) = sent(desk, "odometry")
    at = message.pose.pose.position
    # The origin is where the robot was at the first image, known or not at that time.
    np.testing.assert_allclose([at.x, at.y, at.z], robots_way(drive, 2)[1], atol=0.1)


def test_a_place_that_changes_holds_from_the_next_session() -> None:
    desk, drive = Desk(**BASE), StereoDrive()
    desk.listen("odometry")
    desk.say("/tf_static", stamped("base_link", "left_optical", TURN, SHIFT))
    desk.send(drive.go(0, 1))
    desk.say("/tf_static", stamped("base_link", "left_optical"))
    desk.send(drive.go(2))
    at = sent(desk, "odometry")[-1].pose.pose.position
    np.testing.assert_allclose([at.x, at.y, at.z], robots_way(drive, 2)[1], atol=0.1)
    assert any("has changed" in one for one in desk.complaints)
    desk.send(drive.go(3, 4, epoch=2))
    at = sent(desk, "odometry")[-1].pose.pose.position
    np.testing.assert_allclose([at.x, at.y, at.z], drive.scene.true_motion(3, 4)[1], atol=0.1)


def test_a_transform_that_cannot_be_is_named() -> None:
    desk = Desk(**BASE)
    wrong = stamped("base_link", "left_optical")
    wrong.transform.rotation.w = 0.0
    desk.say("/tf_static", wrong)
    assert any("no rotation" in one for one in desk.complaints)


@pytest.mark.parametrize(
    ("topic", "parent"), [("/tf_static", "base_footprint"), ("/tf", "map"), ("/tf", "odom")]
)
def test_a_frame_that_has_a_parent_gets_no_second_one(topic: str, parent: str) -> None:
    """Not even the same one by another node: both would move it."""
    desk, drive = Desk(**GIVEN, **TF), StereoDrive()
    desk.listen("odometry")
    desk.send(drive.go(0, 1))
    assert len(sent(desk, "/tf")) == 1
    desk.say(topic, stamped(parent, "base_link", shift=(5, 0, 0)))
    desk.send(drive.go(2))
    assert len(sent(desk, "/tf")) == 1 and len(sent(desk, "odometry")) == 2
    assert f"'{parent}'" in desk.outputs.problem and topic in desk.outputs.problem


def test_the_cameras_frame_gets_no_second_parent_either() -> None:
    desk, drive = Desk(**TF), StereoDrive()
    desk.say("/tf_static", stamped("base_link", "left_optical", TURN, SHIFT))
    desk.send(drive.go(0, 1))
    assert sent(desk, "/tf") == [] and "odometry.base_frame" in desk.outputs.problem


def test_the_inverted_transform_leaves_the_parent_of_the_camera_alone() -> None:
    desk, drive = Desk(**TF, **{"publish.tf_inverted": True}), StereoDrive()
    desk.say("/tf_static", stamped("base_link", "left_optical", TURN, SHIFT))
    desk.send(drive.go(0, 1))
    (message,) = sent(desk, "/tf")
    assert message.transforms[0].child_frame_id == "msga_odom"


def test_our_own_transforms_are_no_rivals_and_a_rival_that_is_gone_is_forgotten() -> None:
    desk, drive = Desk(**GIVEN, **TF), StereoDrive()
    desk.send(drive.go(0, 1))
    desk.say("/tf", *sent(desk, "/tf")[-1].transforms)  # as DDS brings it back to us
    desk.send(drive.go(2))
    assert len(sent(desk, "/tf")) == 2 and desk.outputs.problem == ""
    desk.say("/tf", stamped("map", "base_link"))
    desk.send(drive.go(3))
    assert len(sent(desk, "/tf")) == 2
    desk.seconds += 11.0
    desk.send(drive.go(4))
    assert len(sent(desk, "/tf")) == 3 and desk.outputs.problem == ""


def test_nothing_is_broadcast_before_others_had_time_to_speak() -> None:
    desk, drive = Desk(**GIVEN, **TF), StereoDrive()
    desk.seconds = 0.5
    desk.send(drive.go(0, 1))
    assert sent(desk, "/tf") == []


def test_other_topics_of_tf_are_left_alone_where_nothing_is_asked_of_them() -> None:
    assert Desk().callbacks.keys() == set()
    assert Desk(**GIVEN).callbacks.keys() == set()
    assert Desk(**BASE).callbacks.keys() == {"/tf_static"}
    assert Desk(**TF).callbacks.keys() == {"/tf_static", "/tf"}


def test_without_tf2_msgs_the_place_has_to_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", None)
    desk = Desk(**BASE)
    desk.send(StereoDrive().go(0, 1))
    assert "tf2_msgs" in desk.outputs.problem and "camera_in_base" in desk.outputs.problem
    given = Desk(**GIVEN)
    given.listen("odometry")
    given.send(StereoDrive().go(0, 1))
    assert len(sent(given, "odometry")) == 1 and given.outputs.problem == ""
