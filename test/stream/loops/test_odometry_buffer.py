"""The odometry at the time of an image: interpolated, never made up."""

from __future__ import annotations

import numpy as np
import pytest

from msga_ros.geometry.rotations import rotation_matrix, rotation_vector
from msga_ros.stream.loops.odometry_buffer import Missing, OdometryBuffer, OdometryPose

SECOND = 1_000_000_000


def pose(seconds: float, x: float = 0.0, yaw: float = 0.0, frame: str = "odom") -> OdometryPose:
    turn = rotation_matrix([0.0, 0.0, yaw])
    return OdometryPose(round(seconds * SECOND), turn, np.array([x, 0.0, 0.0]), frame, "base_link")


def filled(*poses: OdometryPose, max_gap: float = 1.0) -> OdometryBuffer:
    buffer = OdometryBuffer(max_gap)
    assert all(buffer.add(one) for one in poses)
    return buffer


def test_between_two_poses_the_robot_moves_evenly() -> None:
    buffer = filled(pose(0), pose(1, x=2.0, yaw=3.0))
    at = buffer.at(SECOND // 4)
    assert isinstance(at, OdometryPose)
    assert np.allclose(at.position, [0.5, 0, 0])
    assert np.allclose(rotation_vector(at.rotation), [0, 0, 0.75])
    assert (at.frame, at.child, at.stamp) == ("odom", "base_link", SECOND // 4)


@pytest.mark.parametrize("stamp", [0, SECOND, 2 * SECOND])
def test_a_pose_of_the_same_stamp_is_taken_as_it_is(stamp: int) -> None:
    poses = [pose(0), pose(1, x=5), pose(2, x=-1)]
    assert filled(*poses).at(stamp) is poses[stamp // SECOND]


def test_what_is_not_known_is_said() -> None:
    buffer = filled(pose(1), pose(2), pose(4), pose(4.5), pose(4.6, frame="other"))
    assert OdometryBuffer(1.0).at(0) is Missing.NOT_YET
    assert buffer.at(5 * SECOND) is Missing.NOT_YET
    assert buffer.at(SECOND - 1) is Missing.TOO_OLD
    assert buffer.at(3 * SECOND) is Missing.GAP
    assert buffer.at(round(4.55 * SECOND)) is Missing.GAP  # between two odometries
    assert isinstance(buffer.at(round(1.5 * SECOND)), OdometryPose)


def test_a_stamp_that_does_not_advance_is_passed_over() -> None:
    buffer = filled(pose(1, x=1), pose(2, x=2))
    assert not buffer.add(pose(2, x=99)) and not buffer.add(pose(1.5, x=99))
    assert buffer.newest is not None and buffer.newest.position[0] == 2
    buffer.clear()
    assert buffer.newest is None and buffer.add(pose(0))


def test_memory_is_bounded() -> None:
    buffer = OdometryBuffer(1.0, depth=3)
    for number in range(10):
        buffer.add(pose(number))
    assert buffer.at(5 * SECOND) is Missing.TOO_OLD
    assert [one.stamp // SECOND for one in buffer.since(0, 9 * SECOND)] == [7, 8, 9]
