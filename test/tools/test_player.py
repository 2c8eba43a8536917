"""The player in a process of its own, heard by this one over DDS."""
# ruff: noqa: E402

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package (make setup, source it)")

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from msga_ros.datasets.sequences.base import LEFT, RIGHT, Frame
from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence
from msga_ros.geometry.camera import Camera
from msga_ros.node.qos import sensor_qos
from msga_ros.stream.cv_bridge_fallback import CvBridge
from msga_ros.tools import player
from msga_ros.tools.child_environment import (
    LOCAL_VARIABLES,
    own_context,
    ros_environment,
    variables,
)
from msga_ros.tools.child_processes import parameter_arguments
from msga_ros.tools.player import Player
from msga_ros.tools.player_messages import pose_from_message, pose_message, rectifications

pytestmark = pytest.mark.ros

# Nothing may be lost on the way, so that what is missing was not sent.
_RELIABLE = QoSProfile(depth=50)
_KINDS = {"image": Image, "camera_info": CameraInfo, "true_pose": PoseStamped, "sent": Header}


@contextmanager
def _playing(
    parameters: Mapping[str, object], topics: list[str]
) -> Iterator[tuple[subprocess.Popen[str], dict[str, list[Any]], Any]]:
    """The player's process, what arrives on `topics`, and a function that listens for a moment."""
    environment = ros_environment()
    context = Context()
    with variables(environment, LOCAL_VARIABLES):
        rclpy.init(context=context, domain_id=int(environment["ROS_DOMAIN_ID"]))
        node = Node("listener", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    heard: dict[str, list[Any]] = defaultdict(list)
    for topic in topics:
        kind = _KINDS[topic.rpartition("/")[2]]
        node.create_subscription(kind, topic, heard[topic].append, _RELIABLE)
    reliable = {f"qos_overrides.{one}.publisher.reliability": "reliable" for one in topics}
    arguments = parameter_arguments({**reliable, **parameters})
    command = [sys.executable, "-m", "msga_ros.tools.player", *arguments]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process, heard, lambda: executor.spin_once(timeout_sec=0.05)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def _listen_to_the_end(
    process: subprocess.Popen[str], heard: Mapping[str, list[Any]], spin: Any
) -> None:
    limit = time.monotonic() + 60.0
    while process.poll() is None:
        assert time.monotonic() < limit, "the player did not end"
        spin()
    quiet = 0
    while quiet < 5:
        before = sum(map(len, heard.values()))
        spin()
        quiet = quiet + 1 if sum(map(len, heard.values())) == before else 0
    assert process.returncode == 0, process.stdout.read() if process.stdout else ""


def _stamp(header: Header) -> int:
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def test_synthetic_stereo_arrives_whole() -> None:
    inputs = [f"/{side}/{what}" for side in (LEFT, RIGHT) for what in ("image", "camera_info")]
    truths = [f"/msga_player/{side}/true_pose" for side in (LEFT, RIGHT)]
    parameters = {"frames": 4, "rate": 5.0, "wait_for_subscribers": 30.0, "wait_for_sent": True}
    before = time.time_ns()
    with _playing(parameters, [*inputs, *truths, "/msga_player/sent"]) as (process, heard, spin):
        _listen_to_the_end(process, heard, spin)
    stamps = [_stamp(header) for header in heard["/msga_player/sent"]]
    assert len(stamps) == 4
    assert stamps == sorted(set(stamps))
    assert before < stamps[0] < stamps[-1] < time.time_ns()
    for topic in [*inputs, *truths]:
        assert [_stamp(message.header) for message in heard[topic]] == stamps, topic

    sequence = SyntheticSequence(SyntheticOptions(frames=4))
    expected = sequence[2]
    assert expected.poses is not None
    for side in (LEFT, RIGHT):
        image, info = heard[f"/{side}/image"][2], heard[f"/{side}/camera_info"][2]
        assert (image.encoding, image.header.frame_id) == ("bgr8", f"{side}_optical_frame")
        assert info.header == image.header
        np.testing.assert_array_equal(CvBridge().imgmsg_to_cv2(image), expected.images[side])
        assert (info.width, info.height) == (640, 480)
        for rectified in (False, True):
            camera = Camera.from_camera_info(info, rectified)
            np.testing.assert_allclose(camera.k, expected.cameras[side].k)
        pose = pose_from_message(heard[f"/msga_player/{side}/true_pose"][2])
        np.testing.assert_allclose(pose.rotation, expected.poses[side].rotation, atol=1e-9)
        np.testing.assert_allclose(pose.translation, expected.poses[side].translation, atol=1e-9)
    baseline = -heard["/right/camera_info"][0].p[3] / heard["/right/camera_info"][0].p[0]
    assert baseline == pytest.approx(sequence.options.baseline)
    assert heard["/left/camera_info"][0].p[3] == 0.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three gray images of one camera, each of one level, without poses."""
    (tmp_path / "images").mkdir()
    entries = []
    for number, stamp in enumerate((100.25, 100.5, 101.0)):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), np.full((48, 64), number, np.uint8))
        k = [[50.0, 0.0, 31.5], [0.0, 50.0, 23.5], [0.0, 0.0, 1.0]]
        entries.append(
            {"file": f"{number}.png", "width": 64, "height": 48, "K": k, "timestamp": stamp}
        )
    (tmp_path / "scene.json").write_text(json.dumps({"images": entries}))
    return tmp_path


def test_folder_of_one_camera_with_its_own_stamps(folder: Path) -> None:
    parameters = {
        "source": str(folder),
        "mode": "temporal",
        "stamps": "sequence",
        "rate": 20.0,
        "wait_for_subscribers": 30.0,
        "wait_for_sent": True,
    }
    topics = ["/image", "/camera_info", "/msga_player/sent", "/msga_player/true_pose"]
    with _playing(parameters, topics) as (process, heard, spin):
        _listen_to_the_end(process, heard, spin)
    images = heard["/image"]
    assert [_stamp(image.header) * 1e-9 for image in images] == [100.25, 100.5, 101.0]
    assert [image.encoding for image in images] == ["mono8"] * 3
    assert [image.data[0] for image in images] == [0, 1, 2]
    assert len(heard["/camera_info"]) == 3
    assert heard["/msga_player/true_pose"] == []  # nobody knows


def test_it_waits_for_one_who_counts_where_it_is_told_to(folder: Path) -> None:
    given = {"source": str(folder), "mode": "temporal", "wait_for_sent": True}
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    make = partial(Player, parameter_overrides=overrides)
    with own_context(make, ros_environment()) as (player, spin):
        for name, kind in (("image", Image), ("camera_info", CameraInfo)):
            player.create_subscription(kind, name, lambda _: None, sensor_qos())
        limit = time.monotonic() + 30.0
        while not all(map(player.count_subscribers, ("image", "camera_info"))):
            assert time.monotonic() < limit
            spin(0.05)
        for _ in range(15):
            spin(0.1)  # its timer has run by then, and more than once
        assert player.sent == 0
        player.create_subscription(Header, "/msga_player/sent", lambda _: None, 10)
        while player.sent < 3:
            assert time.monotonic() < limit
            spin(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_loop_goes_on_until_it_is_interrupted(folder: Path, number: signal.Signals) -> None:
    parameters = {
        "source": str(folder),
        "mode": "temporal",
        "loop": True,
        "rate": 20.0,
        "wait_for_subscribers": 30.0,
    }
    with _playing(parameters, ["/image", "/camera_info"]) as (process, heard, spin):
        limit = time.monotonic() + 60.0
        while len(heard["/image"]) < 8:
            assert process.poll() is None
            assert time.monotonic() < limit
            spin()
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert {image.data[0] for image in heard["/image"]} == {0, 1, 2}
    stamps = [_stamp(image.header) for image in heard["/image"]]
    assert stamps == sorted(set(stamps))  # wall clock: it never jumps back


def test_a_signal_while_something_is_sent_ends_it_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """The context is gone in the middle of a callback: that is no error. Any other one is."""

    class Sending:
        def __init__(self) -> None:
            if signalled:
                rclpy.shutdown()
            raise RuntimeError("Failed to publish: publisher's context is invalid")

    monkeypatch.setattr(player, "Player", Sending)
    signalled = True
    assert player.main([]) == 0
    signalled = False
    with pytest.raises(RuntimeError, match="Failed to publish"):
        player.main([])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"source": "/nothing/here"}, "neither 'synthetic' nor a folder nor a video file"),
        ({"mode": "sideways"}, "mode must be one of stereo, temporal"),
        ({"rate": 5}, "'rate'"),  # an integer where a double is expected
    ],
)
def test_what_cannot_be_played_is_one_clear_line(
    parameters: dict[str, object], message: str
) -> None:
    with _playing(parameters, []) as (process, _, _spin):
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.strip().splitlines()[-1].startswith("msga_player: ")
    assert message in output
    assert "Traceback" not in output


def test_unrectified_rig_gets_a_rectification_that_is_one() -> None:
    """Points in space lie on one row of both rectified views, their disparity gives the depth."""
    options = SyntheticOptions(rig_rotation_deg=(2.0, -4.0, 1.0))
    sequence = SyntheticSequence(options)
    poses = sequence.poses(0)
    blank = dict.fromkeys(poses, np.zeros((480, 640), np.uint8))
    matrices = rectifications(Frame(0.0, blank, dict.fromkeys(poses, sequence.camera), poses))
    rng = np.random.default_rng(0)
    in_left = rng.uniform((-2, -2, 4), (2, 2, 9), (50, 3))
    rig = poses[RIGHT].relative_to(poses[LEFT])
    in_right = in_left @ rig.rotation.T + rig.translation
    rectified = in_left @ matrices[LEFT][0].T
    homogeneous = np.hstack([rectified, np.ones((50, 1))])
    left, right = (homogeneous @ matrices[side][1].T for side in (LEFT, RIGHT))
    left, right = left[:, :2] / left[:, 2:], right[:, :2] / right[:, 2:]
    np.testing.assert_allclose(left[:, 1], right[:, 1], atol=1e-6)
    disparity = left[:, 0] - right[:, 0]
    focal, baseline = matrices[RIGHT][1][0, 0], options.baseline
    np.testing.assert_allclose(disparity, focal * baseline / rectified[:, 2], rtol=1e-6)
    own = in_right @ matrices[RIGHT][0].T + [baseline, 0.0, 0.0]  # the right camera's own view
    np.testing.assert_allclose(own, rectified, atol=1e-6)


def test_pose_survives_its_message() -> None:
    sequence = SyntheticSequence(SyntheticOptions(rig_rotation_deg=(0.0, 170.0, 40.0)))
    for index in range(0, 180, 20):
        for pose in sequence.poses(index).values():
            back = pose_from_message(pose_message(pose, Header().stamp, "world"))
            np.testing.assert_allclose(back.rotation, pose.rotation, atol=1e-9)
            np.testing.assert_allclose(back.translation, pose.translation, atol=1e-9)
