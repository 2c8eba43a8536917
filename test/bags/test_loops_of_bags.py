"""`msga loops BAG`: there and back on a real road, with the odometry that the bag has, or ours."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="the library rosbags is not installed")

from bags.bag_maker import START_NS, TF_MESSAGE, TYPES, Drive, Item, make_header, write, write_ros1
from bags.test_robot import LOOKS_FORWARD, PLACE, chain
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from msga_ros.bags.loop_views import BagViews, Request
from msga_ros.bags.options import read_settings
from msga_ros.cli import app
from msga_ros.loops.reports import View

# Frame and camera of each image; the way back is seen by the other one, 20 s later.
THERE = [(0, "left"), (3, "left"), (6, "left")]
WAY = [*THERE, (6, "right"), (3, "right"), (0, "right")]
DRIFT = 0.1  # m to the side, with each image of the way back
ODOMETRY = "nav_msgs/msg/Odometry"
Robot = list[tuple[int, np.ndarray, np.ndarray]]  # stamp (ns), rotation, position in odom


def stamp(number: int) -> int:
    return START_NS + 20_000_000_000 * number


def robot(drive: Drive) -> Robot:
    """Poses of the base in `odom`, with drift, a little before and after each image."""
    found: Robot = []
    turn = LOOKS_FORWARD.as_matrix()
    for number, (frame, cam) in enumerate(WAY):
        rotation, position = drive.true_motion(0, frame)  # of the left camera in the first
        if cam == "right":
            position = position + rotation @ [drive.baseline, 0.0, 0.0]
        base_rotation = turn @ rotation @ turn.T
        base = turn @ position + PLACE - base_rotation @ PLACE
        base += np.array([0.0, DRIFT * max(0, number - 2), 0.0])
        found += [(stamp(number) + ns, base_rotation, base) for ns in (-(10**7), 10**7)]
    return found


def odometry(poses: Robot, topic: str = "/wheel/odom", late_ns: int = 0) -> list[Item]:
    made = []
    for stamp_ns, rotation, position in poses:
        pose = TYPES["geometry_msgs/msg/Pose"](
            position=TYPES["geometry_msgs/msg/Point"](*map(float, position)),
            orientation=TYPES["geometry_msgs/msg/Quaternion"](
                *map(float, Rotation.from_matrix(rotation).as_quat())
            ),
        )
        zero = TYPES["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
        message = TYPES[ODOMETRY](
            header=make_header(stamp_ns, "odom"),
            child_frame_id="base_link",
            pose=TYPES["geometry_msgs/msg/PoseWithCovariance"](pose=pose, covariance=np.zeros(36)),
            twist=TYPES["geometry_msgs/msg/TwistWithCovariance"](
                twist=TYPES["geometry_msgs/msg/Twist"](linear=zero, angular=zero),
                covariance=np.zeros(36),
            ),
        )
        made.append((topic, ODOMETRY, stamp_ns + late_ns, message))
    return made


def transforms(poses: Robot) -> list[Item]:
    made = []
    for stamp_ns, rotation, position in poses:
        transform = TYPES["geometry_msgs/msg/TransformStamped"](
            header=make_header(stamp_ns, "odom"),
            child_frame_id="base_link",
            transform=TYPES["geometry_msgs/msg/Transform"](
                translation=TYPES["geometry_msgs/msg/Vector3"](*map(float, position)),
                rotation=TYPES["geometry_msgs/msg/Quaternion"](
                    *map(float, Rotation.from_matrix(rotation).as_quat())
                ),
            ),
        )
        made.append(("/tf", TF_MESSAGE, stamp_ns, TYPES[TF_MESSAGE](transforms=[transform])))
    return made


def images(drive: Drive) -> list[Item]:
    """One camera, that of `left_optical`, whichever of the rig took the picture."""
    items: list[Item] = []
    for number, (frame, cam) in enumerate(WAY):
        for topic, kind, time_ns, message in drive.view(frame, cam, "", stamp(number)):
            message.header.frame_id = "left_optical"
            items.append((topic, kind, time_ns, message))
    return items


def in_order(items: Iterable[Item]) -> list[Item]:
    return sorted(items, key=lambda item: item[2])


def command(source: Path, *more: str) -> Any:
    settings = ["frontend.max_keypoints=500", "sieve.name=none", "loops.keyframe_distance=0.3"]
    sets = [word for one in settings for word in ("--set", one)]
    return CliRunner().invoke(app, ["loops", str(source), *sets, *more])


def loops_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["mcap", "ros1"])
def test_a_bag_with_odometry_is_corrected(tmp_path: Path, drive: Drive, kind: str) -> None:
    pytest.importorskip("gtsam", reason="gtsam has no wheel for this Python")
    poses = robot(drive)
    items = in_order([*images(drive), *odometry(poses), *chain()])
    ros1 = kind == "ros1"
    source = write_ros1(tmp_path / "in.bag", items) if ros1 else write(tmp_path / "in", items)
    files = {name: tmp_path / name for name in ("loops.csv", "graph.g2o", "path.tum", "path.png")}
    arguments = ["--optimise", "--candidates", "2"]
    options = ("-o", "--graph", "--trajectory", "--picture")
    for option, path in zip(options, files.values(), strict=True):
        arguments += [option, str(path)]
    first = command(source, *arguments)
    assert first.exit_code == 0, first.output
    assert "odometry: /wheel/odom" in first.output and "among 6 keyframes" in first.output
    found = loops_of(files["loops.csv"])
    assert len(found) >= 3 and {one["scale"] for one in found} <= {"odometry", "none"}
    camera = np.loadtxt(files["path.tum"])
    assert np.allclose(camera[:, 0], [stamp(number) * 1e-9 for number in range(6)])
    away = np.linalg.norm(camera[5, 1:4] - camera[0, 1:4])  # the rig's cameras of frame 0
    assert abs(away - drive.baseline) < 0.1 < 3 * DRIFT  # before: 0.3 m off
    assert files["path.png"].stat().st_size > 5000
    if ros1:
        return
    written = {name: path.read_bytes() for name, path in files.items() if name != "path.png"}
    again = command(source, *arguments)
    assert again.output == first.output
    assert {name: path.read_bytes() for name, path in files.items() if name in written} == written


def views_of(source: Path, **given: Any) -> tuple[list[View], list[str], str]:
    parameters = {"mode": given.pop("mode", "temporal"), **given.pop("parameters", {})}
    warnings: list[str] = []
    opened = BagViews(Request(source, read_settings(None, parameters), **given), warnings.append)
    return list(opened.views(given.get("pipeline"))), warnings, str(opened.source)  # type: ignore[arg-type]


def test_odometry_from_tf_is_that_of_the_topic(tmp_path: Path, drive: Drive) -> None:
    poses = robot(drive)
    by_topic = write(tmp_path / "topic", in_order([*images(drive), *odometry(poses), *chain()]))
    by_tf = write(tmp_path / "tf", in_order([*images(drive), *transforms(poses), *chain()]))
    first, warned, source = views_of(by_topic)
    second, warned2, source2 = views_of(by_tf)
    assert (source, source2) == ("/wheel/odom", "/tf (odom to base_link)")
    assert (warned, warned2) == ([], [])
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        assert one.odometry is not None and other.odometry is not None
        np.testing.assert_allclose(one.odometry.centre, other.odometry.centre, atol=1e-9)
        _, rotation, position = poses[2 * number]
        np.testing.assert_allclose(one.odometry.centre, rotation @ PLACE + position, atol=1e-6)


def test_odometry_that_is_recorded_late_or_not_at_all(tmp_path: Path, drive: Drive) -> None:
    poses = robot(drive)
    late = odometry(poses[:8], late_ns=1_500_000_000)
    source = write(tmp_path / "in", in_order([*images(drive), *late, *chain()]))
    views, warnings, _ = views_of(source)
    assert [view.odometry is None for view in views] == [False] * 4 + [True] * 2
    assert warnings == ["2 of 6 images have no odometry (/wheel/odom)"]


def test_a_clock_that_goes_back(tmp_path: Path, drive: Drive) -> None:
    """A bag of a loop, a second later with the same stamps, from where the odometry is another: its
    messages come after their images, and the first round has one too few."""
    poses = robot(drive)
    moved = [(stamp_ns, rotation, position + 5.0) for stamp_ns, rotation, position in poses]
    late = 500_000_000
    first = [*images(drive), *odometry(poses[:-1], late_ns=late)]
    second = [*images(drive), *odometry(moved, late_ns=late)]
    shift = 101_000_000_000
    items = first + [(topic, kind, at + shift, message) for topic, kind, at, message in second]
    source = write(tmp_path / "in", in_order([*items, *chain()]))
    views, warnings, _ = views_of(source)
    assert [view.odometry is None for view in views] == [number == 5 for number in range(12)]
    assert "time jumps back" in warnings[0] and "1 of 12 images" in warnings[1]
    for one, again in zip(views[:5], views[6:], strict=False):
        assert one.odometry is not None and again.odometry is not None
        np.testing.assert_allclose(again.odometry.centre - one.odometry.centre, 5.0, atol=1e-6)


def test_own_odometry_of_a_stereo_bag(tmp_path: Path, drive: Drive) -> None:
    source = write(tmp_path / "in", drive.stereo((0, 1, 2)))
    path, picture = tmp_path / "path.tum", tmp_path / "path.png"
    done = command(source, "--mode", "stereo", "--trajectory", str(path), "--picture", str(picture))
    assert done.exit_code == 0 and "odometry: own" in done.output, done.output
    centres = np.loadtxt(path)[:, 1:4]
    true = np.array([drive.true_motion(0, frame)[1] for frame in (0, 1, 2)])
    np.testing.assert_allclose(centres, true, atol=0.05)
    assert picture.is_file()


def test_what_a_bag_has_not_is_said_with_what_it_has(tmp_path: Path, drive: Drive) -> None:
    poses = robot(drive)
    items = [*images(drive), *odometry(poses), *odometry(poses, "/ekf/odom")]
    source = write(tmp_path / "in", in_order(items))
    mono = write(tmp_path / "mono", images(drive))
    for arguments, sentence in (
        ([], "several odometries (/ekf/odom, /wheel/odom)"),
        (["--odom", "/wheel/odm"], "no odometry on /wheel/odm; /wheel/odom is meant?"),
        (["--odom", "tf:odom:base"], "/tf has no tf:odom:base; it has nothing"),
        (["--odom", "tf:odom"], "given as tf:PARENT:CHILD"),
        (["--odom", "own"], "no length"),
        (["--odom", "/ekf/odom"], "nothing came on /tf_static; give --mount"),
        (["--topic", "image=/imge"], "on /imge; /image is meant?; the bag has /camera_info"),
        (["--topic", "eye=/image"], "no input 'eye' in mode temporal"),
        (["--mode", "rgbd"], "no images for the input depth/image"),
    ):
        said = command(source, *arguments)
        words = " ".join(said.output.split())
        assert said.exit_code == 2 and sentence in words, (arguments, said.output)
    said = command(mono)
    assert said.exit_code == 0 and "no trajectory" in said.output
    picture = command(mono, "--picture", str(tmp_path / "path.png"))
    assert picture.exit_code == 2 and "no keyframe has odometry" in picture.output
    blind = write(tmp_path / "blind", [item for item in images(drive) if item[0] == "/image"][:2]
                  + [item for item in images(drive) if item[0] == "/camera_info"][-1:])  # fmt: skip
    said = command(blind, "--set", "sync.camera_info=equal")
    assert said.exit_code == 2 and "no view: /image: 2 messages" in " ".join(said.output.split())
