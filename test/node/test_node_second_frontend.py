"""The node with a second front end, fed real images over DDS: asked where the first one refuses."""
# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from msga_ros.msg import CameraImage, ImagePair, RelativePose
from msga_ros.srv import RelateImages
from node.harness import STEREO, TEMPORAL, NodeProcess
from node.scenes import StereoSequence, direction_error_deg, rotation_error_deg, transform_of

from msga_ros.node.diagnostics import Condition, NodeCondition, diagnostics_message
from msga_ros.node.motion_diagnostics import OdometryCondition
from msga_ros.node.qos import service_qos
from msga_ros.stream.statistics import Statistics
from msga_ros.two_view.result import SecondOpinion

pytestmark = pytest.mark.ros

PARAMETERS = {
    "frontend.name": "orb",
    "frontend.max_keypoints": 20,
    "sieve.name": "none",
    "second_frontend.name": "sift",
    "second_frontend.sieve": "none",
    "publish.diagnostics_period": 0.2,
}


@pytest.fixture(scope="module")
def sequence(kitti: Path) -> StereoSequence:
    return StereoSequence(kitti)


@pytest.fixture(scope="module")
def run() -> Iterator[NodeProcess]:
    with NodeProcess(STEREO, PARAMETERS) as running:
        yield running


def assert_right(pose: Any, truth: tuple[np.ndarray, np.ndarray]) -> None:
    """Status OK, and the pose is about the true one."""
    assert pose.status == RelativePose.STATUS_OK
    rotation, translation = transform_of(pose.transform)
    assert rotation_error_deg(rotation, truth[0]) < 1.5
    assert direction_error_deg(translation, truth[1]) < 10.0


def test_stereo_poses_that_the_first_one_refuses_come_and_are_counted(
    run: NodeProcess, sequence: StereoSequence
) -> None:
    for count, frame in enumerate((3, 4, 6), 1):
        stamp = sequence.stamp(frame)
        pose = run.feed(sequence.stereo(frame), lambda stamp=stamp: run.pose_of(stamp))
        assert_right(pose, sequence.current_in_reference((frame, "left"), (frame, "right")))
        matches = run.wait_for(lambda stamp=stamp: run.correspondences_of(stamp))
        assert matches.matched > 200 and matches.detected > 1000  # those of the second one
        assert len(matches.track_ids) == 0
        seen = run.fresh_diagnostic("processing")
        assert seen["second_frontend"] == "sift"
        counts = [int(seen[f"second_{name}"]) for name in ("asked", "answered", "failed")]
        assert counts == [count, count, 0]
    assert float(seen["latency_second_ms"].split()[1].strip(",")) > 1.0
    assert run.fresh_diagnostic("odometry")["level"] != "2"


def test_two_images_on_request(run: NodeProcess, sequence: StereoSequence) -> None:
    client = run.node.create_client(RelateImages, "/msga/relate_images", qos_profile=service_qos())
    run.wait_for(client.service_is_ready, what="service")
    views = [
        CameraImage(image=made[f"{side}/image"], camera_info=made[f"{side}/camera_info"])
        for side in ("left", "right")
        for made in [sequence.messages(4, side, f"{side}/")]
    ]
    pair = ImagePair(reference=views[0], current=views[1], stereo=True)
    future = client.call_async(RelateImages.Request(pair=pair))
    response = run.wait_for(lambda: future.done() and future.result(), what="response")
    assert response.success
    truth = sequence.current_in_reference((4, "left"), (4, "right"))
    assert_right(response.relative_pose, truth)
    run.node.destroy_client(client)


def test_poses_over_time(sequence: StereoSequence) -> None:
    with NodeProcess(TEMPORAL, {**PARAMETERS, "mode": "temporal"}) as run:
        run.feed(
            sequence.messages(3, "left", ""),
            lambda: int(run.diagnostic("processing").get("processed", 0)) > 0,
        )
        for frame in (4, 5, 6):
            stamp = sequence.stamp(frame)
            pose = run.feed(
                sequence.messages(frame, "left", ""), lambda stamp=stamp: run.pose_of(stamp)
            )
            truth = sequence.current_in_reference((frame - 1, "left"), (frame, "left"))
            assert_right(pose, truth)
            matches = run.wait_for(lambda stamp=stamp: run.correspondences_of(stamp))
            assert matches.matched > 200 and not np.any(matches.track_ids)
        assert int(run.fresh_diagnostic("processing")["second_answered"]) == 3


def test_a_second_front_end_that_cannot_be_is_a_failed_configuration() -> None:
    same = {**PARAMETERS, "second_frontend.name": "orb"}
    with NodeProcess(STEREO, same, wait_for_state="unconfigured") as run:
        run.wait_for(lambda: "cannot configure" in run.log(), what="reason")
        reason = "second_frontend.name must be another front end than frontend.name"
        assert reason in run.log()
        run.wait_for(lambda: reason in run.diagnostic("model").get("message", ""), what="reason")


@pytest.mark.parametrize("problem", ["", "RuntimeError: no memory"])
def test_the_diagnostics_warn_while_the_second_one_fails(problem: str) -> None:
    statistics = Statistics()
    statistics.result("DEGENERATE", 20, 100, SecondOpinion("sift", False, problem))
    node = NodeCondition(*("active", "", "", "cpu", "cpu", "cpu", "", "orb"), True, "", {}, {})
    for second in ("sift", ""):
        condition = Condition(node, "temporal", False, OdometryCondition(), 2.0, second)
        message = diagnostics_message("/msga", Time(), condition, statistics.snapshot())
        (status,) = [one for one in message.status if one.name == "msga: processing"]
        values = {one.key: one.value for one in status.values}
        assert values.get("second_failed") == (str(int(bool(problem))) if second else None)
        assert (status.level == DiagnosticStatus.WARN) is bool(problem)
        assert problem in status.message
