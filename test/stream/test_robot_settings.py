"""Frames of the odometry from the parameters."""

from __future__ import annotations

import numpy as np
import pytest

from msga_ros.geometry.rotations import quaternion, rotation_matrix
from msga_ros.stream.robot_settings import RobotSettings
from msga_ros.stream.settings import Settings, SettingsError


def robot(**values: str) -> RobotSettings:
    return Settings.from_values({f"odometry.{name}": text for name, text in values.items()}).robot


def test_the_frames_are_those_of_rep_105_where_there_is_a_robot() -> None:
    assert (robot().frame, robot().base_frame) == ("msga_odom", "")
    assert robot(base_frame="base_link").frame == "odom"
    assert robot(base_frame="/base_link").base_frame == "base_link"
    assert robot(base_frame="base_link", frame="odom_visual").frame == "odom_visual"
    assert robot(base_frame="base_link").mount is None  # from /tf_static


def test_a_camera_that_looks_ahead() -> None:
    """As a URDF has it: the optical frame's z is the robot's x, its x the robot's right."""
    mount = robot(base_frame="base_link", camera_in_base="0.3 0 1.2 -1.5707963 0 -1.5707963").mount
    assert mount is not None and mount.frame == "base_link"
    np.testing.assert_allclose(mount.position, [0.3, 0, 1.2])
    np.testing.assert_allclose(mount.rotation @ [0, 0, 1], [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(mount.rotation @ [1, 0, 0], [0, -1, 0], atol=1e-6)


def test_roll_pitch_and_yaw_are_about_fixed_axes_in_this_order() -> None:
    mount = robot(base_frame="b", camera_in_base="0, 0, 0, 0.1, 0.2, 0.3").mount
    assert mount is not None
    turns = [rotation_matrix(axis) for axis in np.diag([0.1, 0.2, 0.3])]
    np.testing.assert_allclose(mount.rotation, turns[2] @ turns[1] @ turns[0], atol=1e-12)


def test_a_quaternion() -> None:
    turn = rotation_matrix([0.4, -0.2, 1.0])
    text = " ".join(map(str, (1, 2, 3, *quaternion(turn))))
    mount = robot(base_frame="b", camera_in_base=text).mount
    assert mount is not None
    np.testing.assert_allclose(mount.rotation, turn, atol=1e-9)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"base_frame": "b", "camera_in_base": "1 2 3"}, "six numbers"),
        ({"base_frame": "b", "camera_in_base": "1 2 3 a b c"}, "six numbers"),
        ({"base_frame": "b", "camera_in_base": "1 2 3 nan 0 0"}, "six numbers"),
        ({"base_frame": "b", "camera_in_base": "1 2 3 0 0 0 0"}, "length 1"),
        ({"base_frame": "b", "camera_in_base": "1 " * 100_000}, "six numbers"),
        ({"camera_in_base": "0 0 0 0 0 0"}, "without odometry.base_frame"),
        ({"base_frame": "odom"}, "both 'odom'"),
        ({"base_frame": "base", "frame": "/base"}, "both 'base'"),
    ],
)
def test_what_contradicts_itself_is_named(values: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        robot(**values)
    assert len(str(caught.value)) < 300
