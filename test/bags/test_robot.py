"""Odometry of a bag in the robot's frame: the camera's place from a parameter or `/tf_static`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="the library rosbags is not installed")

from bags.bag_maker import START_NS, TF_MESSAGE, TYPES, Drive, Item, make_header, write, write_ros1
from bags.test_run import read, rotation
from scipy.spatial.transform import Rotation

from msga_ros.bags.errors import BagError

# An optical frame looking along x of the base, 0.3 m before and 1.2 m above its origin.
LOOKS_FORWARD = Rotation.from_euler("xyz", [-np.pi / 2, 0, -np.pi / 2])
PLACE = np.array([0.3, 0.0, 1.2])
CAMERA_IN_BASE = "0.3 0 1.2 -1.5707963 0 -1.5707963"
BASE = {"odometry.base_frame": "base_link"}
SIFT = {"frontend.name": "sift", "frontend.max_keypoints": 800}


def static(parent: str, child: str, place: np.ndarray, turn: Rotation) -> Item:
    transform = TYPES["geometry_msgs/msg/TransformStamped"](
        header=make_header(START_NS, parent),
        child_frame_id=child,
        transform=TYPES["geometry_msgs/msg/Transform"](
            translation=TYPES["geometry_msgs/msg/Vector3"](*map(float, place)),
            rotation=TYPES["geometry_msgs/msg/Quaternion"](*map(float, turn.as_quat())),
        ),
    )
    return "/tf_static", TF_MESSAGE, START_NS, TYPES[TF_MESSAGE](transforms=[transform])


def chain() -> list[Item]:
    """The camera hangs from the base by two transforms, as a robot description has it."""
    upright = Rotation.identity()
    return [
        static("base_link", "mast", PLACE, upright),
        static("mast", "left_optical", np.zeros(3), LOOKS_FORWARD),
    ]


@pytest.mark.parametrize("storage", ["mcap", "ros1", "parameter"])
def test_the_robot_moves_as_its_camera_says(
    tmp_path: Path, drive: Drive, process: Any, storage: str
) -> None:
    items, parameters = drive.stereo(range(2)), {**SIFT, **BASE}
    if storage == "parameter":
        parameters["odometry.camera_in_base"] = CAMERA_IN_BASE
    else:
        items += chain()
    ros1 = storage == "ros1"
    source = write_ros1(tmp_path / "in.bag", items) if ros1 else write(tmp_path / "in", items)
    target, _, warnings = process(source, parameters=parameters)
    assert warnings == []
    first, second = read(target)["/msga/odometry"]
    assert (first.header.frame_id, first.child_frame_id) == ("odom", "base_link")
    camera, _, _ = process(source, "camera", parameters=SIFT)
    moved = read(camera)["/msga/odometry"][1].pose.pose
    # x_base(first) = M T M^-1 x_base(second), with the camera's motion T and its place M.
    motion, place, turn = np.eye(4), np.eye(4), LOOKS_FORWARD.as_matrix()
    motion[:3, :3] = rotation(moved.orientation)
    motion[:3, 3] = [moved.position.x, moved.position.y, moved.position.z]
    place[:3, :3], place[:3, 3] = turn, PLACE
    expected = place @ motion @ np.linalg.inv(place)
    pose = second.pose.pose
    found = [pose.position.x, pose.position.y, pose.position.z]
    np.testing.assert_allclose(found, expected[:3, 3], atol=1e-6)
    np.testing.assert_allclose(rotation(pose.orientation), expected[:3, :3], atol=1e-6)
    assert pose.position.x > 0.5 > abs(pose.position.z)  # a car drives forward: axes of REP 103
    assert second.twist.twist.linear.x > 0.0
    tum = np.loadtxt(target / "trajectory_tum.txt")
    np.testing.assert_allclose(tum[1, 1:4], expected[:3, 3], atol=1e-6)


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([], "nothing came on /tf_static"),
        ([static("base_link", "lidar", PLACE, LOOKS_FORWARD)], "no frame 'left_optical'"),
    ],
)
def test_a_camera_without_a_place_is_named(
    tmp_path: Path, drive: Drive, process: Any, items: list[Item], reason: str
) -> None:
    source = write(tmp_path / "in", drive.stereo(range(2)) + items)
    with pytest.raises(BagError, match=reason) as caught:
        process(source, parameters=BASE)
    assert "give odometry.camera_in_base" in str(caught.value)
    process(source, parameters=BASE, trajectory=False)  # nothing is told in the robot's frame


def test_a_transform_that_cannot_be_is_named(tmp_path: Path, drive: Drive, process: Any) -> None:
    broken = static("base_link", "lidar", np.array([np.nan, 0, 0]), LOOKS_FORWARD)
    source = write(tmp_path / "in", [*drive.stereo(range(2)), broken, *chain()])
    _, _, warnings = process(source, parameters=BASE)
    assert len(warnings) == 1
    assert "holds NaN" in warnings[0]


def test_the_frame_of_the_odometry_has_the_name_that_is_asked_for(
    tmp_path: Path, drive: Drive, process: Any
) -> None:
    source = write(tmp_path / "in", drive.stereo(range(2)))
    target, _, _ = process(source, parameters={"odometry.frame": "my_odom"})
    assert read(target)["/msga/odometry"][0].header.frame_id == "my_odom"
