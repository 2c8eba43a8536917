"""The node in mode stereo, in its own process, fed real images over DDS."""
# ruff: noqa: E402

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from msga_ros.msg import Correspondences, RelativePose
from node.harness import STEREO, NodeProcess, stamp_ns
from node.scenes import StereoSequence, direction_error_deg, rotation_error_deg, transform_of
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParametersAtomically
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def sequence(kitti: Path) -> StereoSequence:
    return StereoSequence(kitti)


@pytest.fixture(scope="module")
def run(sequence: StereoSequence, any_weights: Path) -> Iterator[NodeProcess]:
    parameters = {
        "network.weights": any_weights,
        "frontend.max_keypoints": 800,
        "sync.jump_back": 3.0,
        "publish.diagnostics_period": 0.2,
    }
    with NodeProcess(STEREO, parameters) as running:
        yield running


class Clock:
    """Stamps that go on over all the tests of the module."""

    now = 1_800_000_000_000_000_000

    @classmethod
    def tick(cls) -> int:
        cls.now += 100_000_000
        return cls.now


def feed(run: NodeProcess, sequence: StereoSequence, frame: int) -> tuple[int, RelativePose]:
    """Send a good pair and wait for its pose."""
    stamp = Clock.tick()
    pose = run.feed(sequence.stereo(frame, stamp), lambda: run.pose_of(stamp))
    return stamp, pose


def test_poses_and_matches_are_right(
    run: NodeProcess, sequence: StereoSequence, trained_weights: Path
) -> None:
    rotation_errors, direction_errors, level = [], [], []
    for frame in range(0, 50, 5):
        stamp, pose = feed(run, sequence, frame)
        matches = run.wait_for(lambda stamp=stamp: run.correspondences_of(stamp))
        rotation, position = transform_of(pose.transform)
        true_rotation, true_position = sequence.current_in_reference(
            (frame, "left"), (frame, "right")
        )
        rotation_errors.append(rotation_error_deg(rotation, true_rotation))
        direction_errors.append(direction_error_deg(position, true_position))
        inlier = np.array(matches.inlier)
        points0 = np.reshape(matches.reference_points, (-1, 2))[inlier]
        points1 = np.reshape(matches.points, (-1, 2))[inlier]
        # In a rectified pair a true match stays in its row and moves to the left.
        rows = np.abs(points0[:, 1] - points1[:, 1]) < 2.0
        level.append(np.mean(rows & (points1[:, 0] < points0[:, 0] + 1.0)))
    assert np.median(rotation_errors) < 1.0
    assert np.mean(np.array(rotation_errors) < 2.0) >= 0.8
    assert np.mean(np.array(direction_errors) < 5.0) >= 0.8
    assert np.median(level) > 0.9


def test_headers_sizes_and_scale(run: NodeProcess, sequence: StereoSequence) -> None:
    stamp, pose = feed(run, sequence, 10)
    matches: Correspondences = run.wait_for(lambda: run.correspondences_of(stamp))
    for message in (pose, matches):
        assert message.header.frame_id == "right_optical"
        assert message.reference_header.frame_id == "left_optical"
        assert stamp_ns(message.header) == stamp
        assert stamp_ns(message.reference_header) == stamp
    assert matches.pairing == Correspondences.PAIRING_STEREO
    assert (matches.width, matches.height) == sequence.size(10, "right")
    assert (matches.reference_width, matches.reference_height) == sequence.size(10, "left")
    np.testing.assert_allclose(np.reshape(matches.k, (3, 3)), sequence.k(10, "right"))
    np.testing.assert_allclose(np.reshape(matches.reference_k, (3, 3)), sequence.k(10, "left"))
    assert len(matches.points) == len(matches.reference_points) == 2 * matches.matched > 0
    assert len(matches.inlier) == len(matches.inlier_probability) == matches.matched
    assert sum(matches.inlier) == matches.geometric_inliers == pose.inliers
    if pose.status == RelativePose.STATUS_OK:
        assert pose.translation_scale_known
        length = np.linalg.norm(transform_of(pose.transform)[1])
        assert length == pytest.approx(sequence.baseline, rel=1e-6)


def test_same_images_give_the_same_numbers(run: NodeProcess, sequence: StereoSequence) -> None:
    (first_stamp, first), (second_stamp, second) = (feed(run, sequence, 3) for _ in range(2))
    np.testing.assert_array_equal(first.essential, second.essential)
    assert first.transform == second.transform
    matches = [run.wait_for(lambda s=s: run.correspondences_of(s))
               for s in (first_stamp, second_stamp)]  # fmt: skip
    assert matches[0].inlier_probability == matches[1].inlier_probability


def test_pictures_come_once_somebody_looks(run: NodeProcess, sequence: StereoSequence) -> None:
    run.listen(Image, "/msga/matches_image")
    run.listen(MarkerArray, "/msga/markers")
    run.wait_connected()
    pictures, markers = run.messages["/msga/matches_image"], run.messages["/msga/markers"]
    stamp = Clock.tick()
    picture: Image = run.feed(
        sequence.stereo(5, stamp),
        lambda: next((one for one in pictures if stamp_ns(one.header) == stamp), None),
    )
    assert picture.encoding == "bgr8"
    width, height = sequence.size(5, "left")
    assert picture.width >= 2 * width and picture.height >= height
    assert len(picture.data) == picture.step * picture.height
    drawn = np.frombuffer(picture.data, np.uint8).reshape(picture.height, -1, 3)
    assert (np.ptp(drawn.astype(int), axis=2) > 60).any()  # lines in colour over grey views
    array = run.wait_for(lambda: markers and markers[-1], what="markers")
    assert {one.header.frame_id for one in array.markers} == {"right_optical"}


# Bad input: what is changed in a good set, the kind that the diagnostics count, the topic to blame.
def spoil_data(message: Any) -> None:
    message.data = message.data[:1000]


def spoil_encoding(message: Any) -> None:
    message.encoding = "yuv422_magic"


def spoil_zeros(message: Any) -> None:
    message.k = [0.0] * 9


def spoil_nan(message: Any) -> None:
    message.k = [float("nan")] * 9


def spoil_size(message: Any) -> None:
    message.height, message.step = message.height // 2, message.step


def spoil_announced_size(message: Any) -> None:
    message.width, message.height, message.step = 60_000, 60_000, 60_000


def spoil_black(message: Any) -> None:
    message.data = bytes(len(message.data))


BAD: list[tuple[str, Callable[[Any], None], str]] = [
    ("left/camera_info", spoil_zeros, "camera_info"),
    ("right/camera_info", spoil_nan, "camera_info"),
    ("left/image", spoil_encoding, "encoding"),
    ("right/image", spoil_data, "truncated"),
    ("right/image", spoil_size, "image_size"),
    ("left/image", spoil_announced_size, "oversized"),
    ("left/image", spoil_black, "no_features"),
]


@pytest.mark.parametrize(("name", "spoil", "kind"), BAD, ids=[f"{n}-{k}" for n, _, k in BAD])
def test_bad_input_is_named_and_the_next_pair_is_right(
    run: NodeProcess,
    sequence: StereoSequence,
    name: str,
    spoil: Callable[[Any], None],
    kind: str,
) -> None:
    def count() -> int:
        return int(run.diagnostic("input").get(f"bad_input {kind}", "0"))

    _, good_before = feed(run, sequence, 20)
    before = int(run.fresh_diagnostic("input").get(f"bad_input {kind}", "0"))
    messages = copy.deepcopy(sequence.stereo(20, Clock.tick()))
    spoil(messages[name])
    run.feed(messages, lambda: count() > before)
    found = run.diagnostic("input")
    assert found["level"] == "1"
    assert f"/{name}: " in found["message"]
    line = f"/{name}: {found['last_bad_input'].partition(': ')[2]}"
    run.wait_for(lambda: line in run.log(), what=f"line of the log: {line}")
    _, good_after = feed(run, sequence, 20)
    assert good_after.transform == good_before.transform
    assert good_after.inliers == good_before.inliers


def test_time_that_jumps_back_goes_on(run: NodeProcess, sequence: StereoSequence) -> None:
    feed(run, sequence, 0)
    Clock.now -= 60_000_000_000
    _, pose = feed(run, sequence, 0)
    assert pose.reference_header.stamp == pose.header.stamp
    assert "time jumped back" in run.log()


def test_late_pair_is_dropped_and_counted(run: NodeProcess, sequence: StereoSequence) -> None:
    stamp, _ = feed(run, sequence, 0)
    late = sequence.stereo(1, stamp - 50_000_000)
    run.feed(late, lambda: "dropped out_of_order" in run.diagnostic("processing"))
    assert run.pose_of(stamp - 50_000_000) is None
    feed(run, sequence, 2)


def test_every_set_is_accounted_for(run: NodeProcess, sequence: StereoSequence) -> None:
    for frame in range(12):  # faster than the node can follow
        run.publish(sequence.stereo(frame, Clock.tick()))
    feed(run, sequence, 0)

    def balanced() -> bool:
        found, work = run.diagnostic("input"), run.diagnostic("processing")
        drops = sum(int(work.get(f"dropped {why}", 0)) for why in ("superseded", "bad_input"))
        sets = int(found["complete_sets"])
        return sets == int(work["processed"]) + drops and int(work["dropped"]) >= drops

    run.wait_for(balanced, what="balance of sets, processed and dropped")
    work = run.diagnostic("processing")
    assert float(work["rate_hz"]) > 0
    stages = ("wait", "convert", "extract", "match", "network", "pose", "publish", "other", "total")
    for stage in stages:
        assert "median" in work[f"latency_{stage}_ms"]
    assert 0 <= float(work["inlier_ratio"]) <= 1
    assert run.diagnostic("model")["device"] in ("cpu", "cuda", "cuda:0")


def double(name: str, value: float) -> ParameterMessage:
    typed = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
    return ParameterMessage(name=name, value=typed)


def string(name: str, value: str) -> ParameterMessage:
    typed = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
    return ParameterMessage(name=name, value=typed)


def test_thresholds_change_live_together_or_not_at_all(
    run: NodeProcess, sequence: StereoSequence
) -> None:
    def change(*parameters: ParameterMessage) -> Any:
        request = SetParametersAtomically.Request(parameters=list(parameters))
        return run.call(SetParametersAtomically, "/msga/set_parameters_atomically", request).result

    def value(name: str) -> float:
        request = GetParameters.Request(names=[name])
        answer = run.call(GetParameters, "/msga/get_parameters", request)
        return float(answer.values[0].double_value)

    ratio, threshold = value("frontend.ratio"), value("pose.threshold_px")
    stamp, _ = feed(run, sequence, 8)
    before = run.wait_for(lambda: run.correspondences_of(stamp)).matched
    refused = change(double("frontend.ratio", 0.7), double("pose.threshold_px", -1.0))
    assert not refused.successful and "pose.threshold_px" in refused.reason
    assert value("frontend.ratio") == ratio
    assert change(double("frontend.ratio", 0.6), double("pose.threshold_px", 2.0)).successful
    stamp, _ = feed(run, sequence, 8)
    assert run.wait_for(lambda: run.correspondences_of(stamp)).matched < 0.9 * before
    structural = change(string("mode", "temporal"))
    assert not structural.successful and "read-only" in structural.reason
    unknown = change(string("pose.refine", "guess"))
    assert not unknown.successful and "poselib" in unknown.reason
    assert change(
        double("frontend.ratio", ratio), double("pose.threshold_px", threshold)
    ).successful


def test_parameters_are_described(run: NodeProcess) -> None:
    request = DescribeParameters.Request(names=["mode", "frontend.ratio"])
    answer = run.call(DescribeParameters, "/msga/describe_parameters", request)
    mode, ratio = answer.descriptors
    assert mode.read_only and "stereo, temporal" in mode.additional_constraints
    assert ratio.floating_point_range[0].to_value == 1.0 and "best" in ratio.description


def test_reset_answers(run: NodeProcess, sequence: StereoSequence) -> None:
    assert run.call(Trigger, "/msga/reset", Trigger.Request()).success
    feed(run, sequence, 0)


def test_sigterm_ends_it_cleanly(run: NodeProcess) -> None:
    assert run.stop() == 0
    assert "Traceback" not in run.log()
