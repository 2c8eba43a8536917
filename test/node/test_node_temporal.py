"""The node in mode temporal, in its own process, fed a real sequence over DDS."""
# ruff: noqa: E402

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from builtin_interfaces.msg import Time
from msga_ros.msg import Correspondences, RelativePose
from node.harness import TEMPORAL, NodeProcess, stamp_ns
from node.scenes import StereoSequence, direction_error_deg, rotation_error_deg, transform_of
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def sequence(kitti: Path) -> StereoSequence:
    return StereoSequence(kitti)


def left(sequence: StereoSequence, frame: int) -> dict[str, Any]:
    return sequence.messages(frame, "left", "")


def play(run: NodeProcess, sequence: StereoSequence, frames: range) -> list[RelativePose]:
    """Send frames one after the other; the poses of all but the first, which has no partner."""
    before = int(run.fresh_diagnostic("processing")["processed"])
    run.feed(
        left(sequence, frames[0]),
        lambda: int(run.diagnostic("processing")["processed"]) > before,
    )
    return [send(run, sequence, frame) for frame in frames[1:]]


def send(run: NodeProcess, sequence: StereoSequence, frame: int) -> RelativePose:
    """Send one frame and wait for its pose."""
    stamp = sequence.stamp(frame)
    pose: RelativePose = run.feed(left(sequence, frame), lambda: run.pose_of(stamp))
    return pose


@pytest.fixture(scope="module")
def run(any_weights: Path) -> Iterator[NodeProcess]:
    parameters = {
        "mode": "temporal",
        "use_sim_time": True,
        "sync.jump_back": 0.3,
        "network.weights": any_weights,
        "frontend.max_keypoints": 800,
        "publish.diagnostics_period": 0.2,
    }
    with NodeProcess(TEMPORAL, parameters) as running:
        yield running


@pytest.fixture(scope="module")
def first_pass(run: NodeProcess, sequence: StereoSequence) -> list[RelativePose]:
    """Frames 10 to 20: the pose of each in the one before."""
    return play(run, sequence, range(10, 21))


def test_every_frame_is_related_to_the_one_before(
    first_pass: list[RelativePose], sequence: StereoSequence
) -> None:
    for frame, pose in zip(range(11, 21), first_pass, strict=True):
        assert pose.header.frame_id == pose.reference_header.frame_id == "left_optical"
        assert stamp_ns(pose.header) == sequence.stamp(frame)
        assert stamp_ns(pose.reference_header) == sequence.stamp(frame - 1)
        assert not pose.translation_scale_known
        if pose.status == RelativePose.STATUS_OK:
            _, position = transform_of(pose.transform)
            assert np.linalg.norm(position) == pytest.approx(1.0, abs=1e-6)


def test_poses_are_right(
    first_pass: list[RelativePose], sequence: StereoSequence, trained_weights: Path
) -> None:
    rotation_errors, direction_errors = [], []
    for frame, pose in zip(range(11, 21), first_pass, strict=True):
        rotation, position = transform_of(pose.transform)
        true_rotation, true_position = sequence.current_in_reference(
            (frame - 1, "left"), (frame, "left")
        )
        rotation_errors.append(rotation_error_deg(rotation, true_rotation))
        direction_errors.append(direction_error_deg(position, true_position))
    assert np.median(rotation_errors) < 0.5
    assert np.mean(np.array(rotation_errors) < 2.0) >= 0.8
    # The car drives forward: so does the camera, not backward.
    assert np.mean(np.array(direction_errors) < 5.0) >= 0.8


def test_a_bag_that_loops_starts_anew(
    run: NodeProcess, sequence: StereoSequence, first_pass: list[RelativePose]
) -> None:
    (again,) = play(run, sequence, range(10, 12))
    assert stamp_ns(again.reference_header) == sequence.stamp(10)
    assert again.transform == first_pass[0].transform


def test_a_simulated_clock_that_jumps_back_starts_anew(
    run: NodeProcess, sequence: StereoSequence
) -> None:
    play(run, sequence, range(12, 14))
    clock = run.node.create_publisher(Clock, "/clock", 10)
    run.wait_for(lambda: clock.get_subscription_count() > 0, what="subscription to /clock")
    for seconds in (100, 40) * 5:  # the first may be lost
        clock.publish(Clock(clock=Time(sec=seconds)))
        run.fresh_diagnostic("model")
        if "time jumped back by 60.000 s" in run.diagnostic("input").get("last_bad_input", ""):
            break
    assert "time jumped back by 60.000 s" in run.fresh_diagnostic("input")["last_bad_input"]
    (pose,) = play(run, sequence, range(20, 22))
    assert stamp_ns(pose.reference_header) == sequence.stamp(20)


def test_a_reset_forgets_the_reference(run: NodeProcess, sequence: StereoSequence) -> None:
    play(run, sequence, range(24, 26))
    assert run.call(Trigger, "/msga/reset", Trigger.Request()).success
    (pose,) = play(run, sequence, range(30, 32))
    assert stamp_ns(pose.reference_header) == sequence.stamp(30)


def test_track_ids_follow_the_points(
    run: NodeProcess, sequence: StereoSequence, trained_weights: Path
) -> None:
    play(run, sequence, range(40, 43))
    first = run.wait_for(lambda: run.correspondences_of(sequence.stamp(41)))
    second = run.wait_for(lambda: run.correspondences_of(sequence.stamp(42)))
    assert first.pairing == Correspondences.PAIRING_TEMPORAL
    earlier, later = tracks(first, first.points), tracks(second, second.reference_points)
    shared = earlier.keys() & later.keys()
    assert len(shared) > 50
    assert all(earlier[track] == later[track] for track in shared)


def tracks(message: Correspondences, points: Any) -> dict[int, tuple[float, float]]:
    """Point of every track."""
    pairs = np.reshape(points, (-1, 2)).tolist()
    return {track: (u, v) for track, (u, v) in zip(message.track_ids, pairs, strict=True) if track}


def test_sigint_ends_it_cleanly(run: NodeProcess) -> None:
    assert run.stop(signal.SIGINT) == 0
    assert "Traceback" not in run.log()


def test_keyframe_over_compressed_images_in_a_namespace(
    sequence: StereoSequence, any_weights: Path
) -> None:
    parameters = {
        "mode": "temporal",
        "temporal.reference": "keyframe",
        "temporal.keyframe_min_inliers": 1,
        "temporal.keyframe_min_inlier_ratio": 0.0,
        "temporal.keyframe_max_parallax_deg": 180.0,
        "image_transport": "compressed",
        "max_image_pixels": 1_000_000,
        "network.weights": any_weights,
        "frontend.name": "orb",
        "frontend.max_keypoints": 500,
        "publish.diagnostics_period": 0.2,
    }

    def compressed(frame: int, cut: int | None = None, grow: int = 1) -> dict[str, Any]:
        messages = left(sequence, frame)
        pixels = np.tile(sequence.pixels(frame, "left"), (grow, grow))
        picture = CompressedImage(header=messages["image"].header, format="jpeg")
        picture.data = cv2.imencode(".jpg", pixels)[1].tobytes()[:cut]
        return {"image": picture, "camera_info": messages["camera_info"]}

    def bad(kind: str) -> bool:
        return f"bad_input {kind}" in run.diagnostic("input")

    remap = ["-r", "__ns:=/robot", "-r", "image:=/cam/image_raw", "-r", "camera_info:=/cam/info"]
    names = {"image": "/cam/image_raw", "camera_info": "/cam/info"}
    with NodeProcess(TEMPORAL, parameters, remap, topics=names, namespace="/robot") as run:
        processed = "processed"
        run.feed(compressed(0), lambda: run.diagnostic("processing").get(processed) == "1")
        for frame in range(1, 4):
            stamp = sequence.stamp(frame)
            pose = run.feed(compressed(frame), lambda stamp=stamp: run.pose_of(stamp))
            assert stamp_ns(pose.reference_header) == sequence.stamp(0)
        run.feed(compressed(4, cut=5000), lambda: bad("truncated"))
        run.feed(compressed(5, cut=40), lambda: bad("compressed") or bad("truncated"))
        width, height = sequence.size(6, "left")
        run.feed(compressed(6, grow=2), lambda: bad("oversized"))
        assert f"/cam/image_raw/compressed: an image of {2 * width}x{2 * height}" in run.log()
        pose = run.feed(compressed(7), lambda: run.pose_of(sequence.stamp(7)))
        assert stamp_ns(pose.reference_header) == sequence.stamp(0)
        assert run.stop() == 0
