"""Poses of the camera and of the robot say the same motion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.rotations import rotation_from_quaternion, rotation_matrix
from msga_ros.loops.reports import LoopEdge, MapPose, ScaleSource
from msga_ros.odometry.mount import Mount
from msga_ros.odometry.poses import UncertainPose
from msga_ros.stream.loops.fields import NO_KEYFRAME, edge_fields, in_map, located_pose
from msga_ros.stream.loops.odometry_buffer import OdometryPose
from msga_ros.stream.loops.session import camera_pose
from msga_ros.two_view.result import Status

MOUNT = Mount("base_link", rotation_matrix([0.4, -1.2, 0.3]), np.array([0.2, -0.1, 1.0]))
ROBOTS = [
    OdometryPose(0, rotation_matrix([0, 0, 0.3]), np.array([1.0, 2.0, 0.0])),
    OdometryPose(1, rotation_matrix([0.1, 0, -0.9]), np.array([4.0, -1.0, 0.2])),
]


def edge(**fields: object) -> LoopEdge:
    """Between the cameras of both robots."""
    first, second = (camera_pose(one, MOUNT) for one in ROBOTS)
    motion = first.after(second.inverse())
    pose = UncertainPose(motion.rotation, motion.translation, np.diag([1.0, 2, 3, 4, 5, 6]))
    made = LoopEdge(3, 8, 0.0, 1.0, pose, 99, ScaleSource.DEPTH, Status.OK, 0.5, 2)
    return replace(made, **fields)


def test_the_edge_of_the_robot_is_between_its_poses() -> None:
    fields = edge_fields(edge(), MOUNT)
    first, second = ROBOTS
    position, turn, _ = fields["base_pose"]
    assert fields["base_frame"] == "base_link"
    assert np.allclose(rotation_from_quaternion(turn), first.rotation.T @ second.rotation)
    assert np.allclose(position, first.rotation.T @ (second.position - first.position))
    assert (fields["reference"], fields["current"], fields["scale"]) == (3, 8, 2)


@pytest.mark.parametrize(
    "fields", [{"scale": ScaleSource.NONE}, {"status": Status.DEGENERATE}], ids=["length", "spot"]
)
def test_without_a_length_there_is_no_motion_of_the_robot(fields: dict[str, object]) -> None:
    assert edge_fields(edge(**fields), MOUNT)["base_frame"] == ""


def test_an_edge_of_no_keyframe_has_a_number_that_no_keyframe_has() -> None:
    assert edge_fields(edge(current=-1), None)["current"] == NO_KEYFRAME


def test_the_robot_in_the_map_is_where_it_was() -> None:
    turns, positions = in_map([camera_pose(robot, MOUNT) for robot in ROBOTS], MOUNT)
    for robot, turn, position in zip(ROBOTS, turns, positions, strict=True):
        assert np.allclose(rotation_from_quaternion(turn), robot.rotation)
        assert np.allclose(position, robot.position)
    assert [len(one) for one in in_map([], MOUNT)] == [0, 0]


def test_an_image_is_where_its_edge_leads_from_the_keyframe() -> None:
    """The covariance is that of the edge, along the axes of the map."""
    first, second = (camera_pose(one, MOUNT) for one in ROBOTS)
    found = located_pose(edge(), [MapPose(2, 0.0, None), MapPose(3, 0.0, first)])
    assert found is not None
    assert np.allclose(found.position, second.centre)
    assert np.allclose(found.rotation, second.rotation.T)
    turn = np.kron(np.eye(2), first.rotation.T)
    assert np.allclose(found.covariance, turn @ edge().pose.covariance @ turn.T)
    assert located_pose(edge(), [MapPose(3, 0.0, None)]) is None
    assert located_pose(edge(scale=ScaleSource.NONE), [MapPose(3, 0.0, Pose.identity())]) is None
