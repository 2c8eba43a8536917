"""The odometry of the node in mode stereo, in its own process, fed real images over DDS."""
# ruff: noqa: E402

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from msga_ros.msg import Correspondences, RelativePose
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as PathMessage
from node.harness import STEREO, TEMPORAL, NodeProcess, stamp_ns
from node.scenes import StereoSequence, transform_of
from std_srvs.srv import Trigger

from msga_ros.geometry.rotations import rotation_matrix, rotation_vector
from msga_ros.node.image_message import image_message

pytestmark = pytest.mark.ros

OUTPUTS = {
    "/msga/odometry": Odometry,
    "/msga/path": PathMessage,
    "/msga/temporal_pose": RelativePose,
}
FRAMES = range(0, 12, 2)  # one in two is dropped: two metres from one to the next


@pytest.fixture(scope="module")
def sequence(kitti: Path) -> StereoSequence:
    return StereoSequence(kitti)


@pytest.fixture(scope="module")
def run(sequence: StereoSequence, trained_weights: Path) -> Iterator[NodeProcess]:
    parameters = {
        "rectified": True,
        "network.weights": trained_weights,
        "frontend.max_keypoints": 1200,
        "publish.diagnostics_period": 0.2,
        "odometry.path_spacing": 1.5,
    }
    with NodeProcess(STEREO, parameters) as running:
        for topic, kind in OUTPUTS.items():
            running.listen(kind, topic)
        running.wait_connected()
        yield running


def play(run: NodeProcess, sets: dict[int, dict[str, Any]]) -> list[Odometry]:
    """Send sets by their stamp; the odometry of each."""
    return [
        run.feed(messages, lambda stamp=stamp: run._by_stamp("/msga/odometry", stamp))
        for stamp, messages in sets.items()
    ]


def frames(sequence: StereoSequence, numbers: range, later_s: float = 0.0) -> dict[int, Any]:
    stamps = {n: sequence.stamp(n) + round(later_s * 1e9) for n in numbers}
    return {stamp: sequence.stereo(n, stamp) for n, stamp in stamps.items()}


def place(message: Odometry) -> np.ndarray:
    at = message.pose.pose.position
    return np.array([at.x, at.y, at.z])


def sigma_m(message: Odometry) -> float:
    return float(np.sqrt(np.trace(np.reshape(message.pose.covariance, (6, 6))[:3, :3])))


@pytest.fixture(scope="module")
def drive(run: NodeProcess, sequence: StereoSequence) -> list[Odometry]:
    return play(run, frames(sequence, FRAMES))


def test_odometry_is_metric_and_its_covariance_grows(
    drive: list[Odometry], sequence: StereoSequence
) -> None:
    first, last = drive[0], drive[-1]
    assert (first.header.frame_id, first.child_frame_id) == ("msga_odom", "left_optical")
    assert [stamp_ns(one.header) for one in drive] == [sequence.stamp(n) for n in FRAMES]
    assert not place(first).any() and 0 < sigma_m(first) < 0.01
    _, true = sequence.current_in_reference((FRAMES[0], "left"), (FRAMES[-1], "left"))
    assert np.linalg.norm(true) > 8
    assert np.linalg.norm(place(last) - true) < 0.03 * np.linalg.norm(true)
    sigmas = [sigma_m(one) for one in drive]
    assert sigmas == sorted(sigmas) and sigmas[-1] > 0
    for one, frame in zip(drive[1:], FRAMES[1:], strict=True):
        turn, moved = sequence.current_in_reference((frame - 2, "left"), (frame, "left"))
        ahead = rotation_matrix(-rotation_vector(turn) / 2) @ moved  # an arc, in its own axes
        seconds = (sequence.stamp(frame) - sequence.stamp(frame - 2)) * 1e-9
        speed = one.twist.twist.linear
        np.testing.assert_allclose([speed.x, speed.y, speed.z], ahead / seconds, atol=0.5)
        assert 0 < one.twist.covariance[0] < 1.0
    assert first.twist.covariance[0] > 100.0  # nothing is known of the velocity yet


def test_temporal_poses_are_metric(
    run: NodeProcess, drive: list[Odometry], sequence: StereoSequence
) -> None:
    number = {sequence.stamp(n): n for n in FRAMES}
    for odometry in drive[1:]:
        stamp = stamp_ns(odometry.header)
        pose = run.wait_for(lambda s=stamp: run._by_stamp("/msga/temporal_pose", s))
        assert pose.status == RelativePose.STATUS_OK and pose.translation_scale_known
        assert pose.header.frame_id == pose.reference_header.frame_id == "left_optical"
        reference = number[stamp_ns(pose.reference_header)]
        assert reference < number[stamp]
        true = sequence.current_in_reference((reference, "left"), (number[stamp], "left"))
        rotation, position = transform_of(pose.transform)
        assert np.linalg.norm(position - true[1]) < 0.05 * np.linalg.norm(true[1])
        assert np.degrees(np.arccos(min((np.trace(rotation @ true[0].T) - 1) / 2, 1))) < 0.5


def test_the_pair_itself_is_as_before(run: NodeProcess, drive: list[Odometry]) -> None:
    stamp = stamp_ns(drive[-1].header)
    pose = run.wait_for(lambda: run.pose_of(stamp))
    assert (pose.reference_header.frame_id, pose.header.frame_id) == (
        "left_optical",
        "right_optical",
    )
    assert stamp_ns(pose.reference_header) == stamp


def test_the_path_is_the_way_of_the_odometry(run: NodeProcess, drive: list[Odometry]) -> None:
    last = stamp_ns(drive[-1].header)
    path = run.wait_for(lambda: run._by_stamp("/msga/path", last))
    stamps = [stamp_ns(one.header) for one in path.poses]
    assert stamps == sorted(stamps) and stamps[-1] == last
    by_stamp = {stamp_ns(one.header): one.pose.pose for one in drive}
    assert all(one.pose == by_stamp[stamp_ns(one.header)] for one in path.poses)


def test_track_ids_stay_with_the_left_features(run: NodeProcess, drive: list[Odometry]) -> None:
    stamps = [stamp_ns(one.header) for one in drive]
    messages = [run.wait_for(lambda s=s: run.correspondences_of(s)) for s in stamps]
    shared = []
    for earlier, later in itertools.pairwise(messages):
        before, now = tracks(earlier), tracks(later)
        both = before.keys() & now.keys()
        shared.append(len(both))
        # The scene comes nearer: no point moves across half of the image in a fifth of a second.
        moved = [np.abs(before[track] - now[track]).max() for track in both]
        assert np.median(moved) < 60 and np.mean(np.array(moved) < 500) > 0.98
    assert min(shared) > 50


def tracks(message: Correspondences) -> dict[int, np.ndarray]:
    points = np.reshape(message.reference_points, (-1, 2))
    assert len(message.track_ids) == len(points)
    ids = np.array(message.track_ids)
    found = ids[ids > 0].tolist()
    assert len(found) == len(set(found))
    return dict(zip(found, points[ids > 0], strict=True))


def test_the_diagnostics_say_what_it_costs_and_that_the_rig_is_good(
    run: NodeProcess, drive: list[Odometry]
) -> None:
    work = run.fresh_diagnostic("processing")
    assert "median" in work["latency_odometry_ms"]
    odometry, rig = run.diagnostic("odometry"), run.diagnostic("rig")
    assert (odometry["level"], odometry["session"], odometry["lost"]) == ("0", "1", "0")
    assert odometry["frames"] == str(len(FRAMES))
    assert (rig["level"], rig["message"]) == ("0", "as calibrated")


@pytest.mark.usefixtures("drive")
def test_a_reset_begins_at_the_origin_and_is_told(
    run: NodeProcess, sequence: StereoSequence
) -> None:
    assert run.call(Trigger, "/msga/reset", Trigger.Request()).success
    first, second = play(run, frames(sequence, range(0, 4, 2), 10.0))
    assert not place(first).any() and 0 < sigma_m(first) < 0.01
    assert 1.0 < np.linalg.norm(place(second)) < 4.0
    told = run.fresh_diagnostic("odometry")
    assert told["session"] == "2" and "reset" in told["session_began_with"]
    path = run.wait_for(lambda: run._by_stamp("/msga/path", stamp_ns(second.header)))
    assert len(path.poses) == 2
    assert "odometry: session 2 begins at the origin" in run.log()


@pytest.mark.usefixtures("drive")
def test_a_new_activation_and_time_that_jumps_back_begin_at_the_origin(
    run: NodeProcess, sequence: StereoSequence
) -> None:
    play(run, frames(sequence, range(4, 8, 2), 20.0))
    sessions = int(run.fresh_diagnostic("odometry")["session"])
    for change in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE):
        request = ChangeState.Request(transition=Transition(id=change))
        assert run.call(ChangeState, "/msga/change_state", request).success
    run.wait_connected()
    (first,) = play(run, frames(sequence, range(8, 9), 20.0))
    assert not place(first).any()
    assert int(run.fresh_diagnostic("odometry")["session"]) == sessions + 1
    run.messages["/msga/odometry"].clear()
    (looped,) = play(run, frames(sequence, range(0, 1)))
    assert not place(looped).any()
    assert int(run.fresh_diagnostic("odometry")["session"]) == sessions + 2


@pytest.mark.usefixtures("drive")
def test_a_right_camera_that_has_turned_is_named(
    run: NodeProcess, sequence: StereoSequence
) -> None:
    def turned(messages: dict[str, Any]) -> dict[str, Any]:
        made = copy.copy(messages)
        old = messages["right/image"]
        pixels = np.frombuffer(old.data, np.uint8).reshape(old.height, old.step)
        # One degree about the axis of view: what a mount that came loose does.
        k = sequence.k(0, "right")
        turn = k @ cv2.Rodrigues(np.radians([0.0, 0.0, 1.0]))[0] @ np.linalg.inv(k)
        image = cv2.warpPerspective(pixels, turn, (old.width, old.height))
        made["right/image"] = image_message(image, old.header)
        return made

    run.call(Trigger, "/msga/reset", Trigger.Request())
    sets = frames(sequence, range(20, 30), 50.0)
    play(run, {stamp: turned(messages) for stamp, messages in sets.items()})
    rig = run.fresh_diagnostic("rig")
    assert rig["level"] == "1"
    assert "about z (roll)" in rig["message"]
    assert float(rig["turned_z_deg"].split()[0]) == pytest.approx(1.0, abs=0.3)


def test_one_camera_claims_no_scale(any_weights: Path) -> None:
    parameters = {"mode": "temporal", "odometry.run": "always", "network.weights": any_weights}
    with NodeProcess(TEMPORAL, parameters) as running:
        running.fresh_diagnostic("model")
        names = {name for name, _ in running.node.get_topic_names_and_types()}
        assert "/msga/relative_pose" in names
        assert not names & OUTPUTS.keys()
        assert running.diagnostic("odometry") == running.diagnostic("rig") == {}
