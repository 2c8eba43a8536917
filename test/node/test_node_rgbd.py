"""The node in mode rgbd, in its own process, fed rendered and real depth images over DDS."""
# ruff: noqa: E402

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from msga_ros.msg import Correspondences, RelativePose
from nav_msgs.msg import Odometry
from node.harness import NodeProcess, header, stamp_ns
from node.rgbd_scenes import RgbdDrive
from node.scenes import rotation_error_deg, transform_of
from sensor_msgs.msg import CompressedImage, Image
from shared_data import shared_path
from std_srvs.srv import Trigger

from msga_ros.datasets.sequences.folder import FolderSequence
from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence
from msga_ros.node.image_message import image_message
from msga_ros.stream.message_set import RGBD_INPUTS

pytestmark = pytest.mark.ros

OUTPUTS = {"/msga/odometry": Odometry, "/msga/temporal_pose": RelativePose}
PARAMETERS = {
    "mode": "rgbd",
    "frontend.max_keypoints": 800,
    "publish.diagnostics_period": 0.2,
    "sync.slop": 0.005,
}


@pytest.fixture(scope="module")
def scene() -> RgbdDrive:
    """A depth sensor's noise, holes, shadows beside edges, nothing beyond 8 m."""
    options = SyntheticOptions(
        frames=10, frames_per_round=300, width=400, height=300, focal=300.0, stereo=False,
        depth=True,
    )  # fmt: skip
    return RgbdDrive.of(SyntheticSequence(options), 10)


@pytest.fixture(scope="module")
def run(trained_weights: Path) -> Iterator[NodeProcess]:
    parameters = {**PARAMETERS, "network.weights": trained_weights}
    with NodeProcess(RGBD_INPUTS, parameters) as running:
        for topic, kind in OUTPUTS.items():
            running.listen(kind, topic)
        running.wait_connected()
        yield running


def play(run: NodeProcess, drive: RgbdDrive, frames: range) -> list[Odometry]:
    """Send frames one after the other; where the camera was at each."""
    return [go(run, drive.stamp(one), drive.messages(one)) for one in frames]


def go(run: NodeProcess, stamp: int, messages: dict[str, Any]) -> Odometry:
    odometry: Odometry = run.feed(messages, lambda: run._by_stamp("/msga/odometry", stamp))
    return odometry


def place(message: Odometry) -> np.ndarray:
    at = message.pose.pose.position
    return np.array([at.x, at.y, at.z])


@pytest.fixture(scope="module")
def drive(run: NodeProcess, scene: RgbdDrive) -> list[Odometry]:
    return play(run, scene, range(7))


def test_the_pose_over_time_is_in_metres(
    run: NodeProcess, drive: list[Odometry], scene: RgbdDrive
) -> None:
    for number in range(1, 7):
        pose = run.wait_for(lambda n=number: run.pose_of(scene.stamp(n)))
        assert pose.status == RelativePose.STATUS_OK and pose.translation_scale_known
        assert stamp_ns(pose.reference_header) == scene.stamp(number - 1)
        rotation, position = transform_of(pose.transform)
        true_rotation, true_position = scene.moved(number - 1, number)
        assert rotation_error_deg(rotation, true_rotation) < 0.3
        wrong = position - true_position
        assert np.linalg.norm(wrong) < 0.1 * np.linalg.norm(true_position)
        covariance = np.reshape(pose.covariance, (6, 6))
        assert np.linalg.matrix_rank(covariance, tol=1e-12) == 6  # the length is measured, too
        assert wrong @ np.linalg.solve(covariance[:3, :3], wrong) < 16.3  # 99.9 %, three of them


def test_odometry_adds_up_in_metres(drive: list[Odometry], scene: RgbdDrive) -> None:
    assert (drive[0].header.frame_id, drive[0].child_frame_id) == ("msga_odom", "camera_optical")
    assert not place(drive[0]).any()  # the first frame is the origin
    _, true = scene.moved(0, 6)
    assert np.linalg.norm(place(drive[-1]) - true) < 0.04 * np.linalg.norm(true)


def test_correspondences_are_those_of_one_camera_with_ids(
    run: NodeProcess, drive: list[Odometry], scene: RgbdDrive
) -> None:
    first, second = (
        run.wait_for(lambda n=n: run.correspondences_of(scene.stamp(n))) for n in (4, 5)
    )
    assert first.pairing == Correspondences.PAIRING_TEMPORAL
    assert len(set(first.track_ids) & set(second.track_ids) - {0}) > 30


def test_the_diagnostics_say_what_has_a_depth(run: NodeProcess, drive: list[Odometry]) -> None:
    depth = run.fresh_diagnostic("depth")
    assert depth["level"] == "0" and 50 < int(depth["with_depth"]) < int(depth["keypoints"])
    assert 1.0 < float(depth["median_depth_m"]) < 8.0
    assert run.diagnostic("odometry")["level"] == "0" and run.diagnostic("rig") == {}


@pytest.mark.usefixtures("drive")
def test_frames_without_depth_have_a_direction_alone(run: NodeProcess, scene: RgbdDrive) -> None:
    """The reference of frame 8 has none: rotation and direction by the essential matrix."""
    nothing = np.zeros(scene.frames[7].images["left"].shape[:2])
    go(run, scene.stamp(7), scene.messages(7, nothing))
    assert "no pixel of the depth image has a depth" in run.fresh_diagnostic("input")["message"]
    depth = run.diagnostic("depth")
    assert depth["level"] == "1" and "no length" in depth["message"]
    metric = go(run, scene.stamp(8), scene.messages(8))
    pose = run.wait_for(lambda: run.pose_of(scene.stamp(8)))
    assert not pose.translation_scale_known
    translation = transform_of(pose.transform)[1]
    assert np.linalg.norm(translation) == pytest.approx(1.0)
    # The odometry goes on in metres from a keyframe that has depth.
    _, true = scene.moved(0, 8)
    assert np.linalg.norm(place(metric) - true) < 0.05 * np.linalg.norm(true)


@pytest.mark.usefixtures("drive")
def test_what_is_wrong_with_a_depth_image_is_said(run: NodeProcess, scene: RgbdDrive) -> None:
    width, height = scene.frames[9].images["left"].shape[1::-1]
    grey = np.zeros((height, width), np.uint8)
    half = np.ones((height // 2, width // 2), np.uint16)
    for number, (pixels, encoding, kind, text) in enumerate((
        (half, "16UC1", "image_size", "200x150, the colour image on /image 400x300: it is not"),
        (grey, "mono8", "encoding", "'mono8': a depth image is 16UC1"),
    )):  # fmt: skip
        wrong = RgbdDrive(scene.frames, later_ns=-20_000_000 + 10_000_000 * number).messages(9)
        wrong["depth/image"] = image_message(pixels, wrong["image"].header, encoding)
        run.feed(wrong, lambda kind=kind: f"bad_input {kind}" in run.diagnostic("input"))
        assert text in run.diagnostic("input")["last_bad_input"]
    # The next good set works, and a depth image within `sync.slop` is of the same instant.
    later = scene.messages(9)
    later["depth/image"].header = header(scene.stamp(9) + 3_000_000, "camera_optical")
    go(run, scene.stamp(9), later)


@pytest.mark.usefixtures("drive")
def test_real_depth_images(run: NodeProcess) -> None:
    """Structured light, a hand-held camera that turns fast; clocks of depth and truth differ."""
    sequence = FolderSequence(shared_path("data/rgbd/tum_fr1_rpy"), stereo=False, depth=True)
    real = RgbdDrive.of(sequence, 6, later_ns=60_000_000_000)
    assert run.call(Trigger, "/msga/reset", Trigger.Request()).success
    odometry = play(run, real, range(6))
    assert not place(odometry[0]).any()
    for number in range(1, 6):
        pose = run.wait_for(lambda n=number: run.pose_of(real.stamp(n)))
        assert pose.translation_scale_known
        rotation, position = transform_of(pose.transform)
        true_rotation, true_position = real.moved(number - 1, number)
        assert rotation_error_deg(rotation, true_rotation) < 2.0
        assert np.linalg.norm(position - true_position) < 0.02
    assert np.linalg.norm(place(odometry[-1]) - real.moved(0, 5)[1]) < 0.03


def test_compressed_depth(scene: RgbdDrive, any_weights: Path) -> None:
    parameters = {
        **PARAMETERS,
        "depth.transport": "compressedDepth",
        "network.weights": any_weights,
    }

    def compressed(number: int) -> dict[str, Any]:
        messages = scene.messages(number)
        raw: Image = messages["depth/image"]
        pixels = np.frombuffer(raw.data, np.uint16).reshape(raw.height, raw.width)
        png = cv2.imencode(".png", pixels)[1].tobytes()
        message = CompressedImage(header=raw.header, format="16UC1; compressedDepth png")
        message.data = struct.pack("<iff", 0, 0.0, 0.0) + png
        return {**messages, "depth/image": message}

    with NodeProcess(RGBD_INPUTS, parameters) as run:
        run.feed(compressed(0), lambda: run.diagnostic("processing").get("processed") == "1")
        pose = run.feed(compressed(1), lambda: run.pose_of(scene.stamp(1)))
        assert pose.translation_scale_known
        assert run.stop() == 0
