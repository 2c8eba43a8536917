"""The node with learned features and `msga_dense`, fed real images over DDS; what does not load."""
# ruff: noqa: E402

from __future__ import annotations

import os
from pathlib import Path

import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from learned_extra import LEARNED, need
from msga_ros.msg import Correspondences, RelativePose
from node.harness import STEREO, NodeProcess
from node.scenes import StereoSequence, direction_error_deg, rotation_error_deg, transform_of

pytestmark = pytest.mark.ros

XFEAT = {
    "frontend.name": "xfeat",
    "frontend.device": "cpu",
    "frontend.max_keypoints": 800,
    "publish.diagnostics_period": 0.2,
}


@pytest.mark.parametrize("name", [*LEARNED, "msga_dense"])
def test_poses_of_real_images_come_over_dds(name: str, kitti: Path) -> None:
    if name in LEARNED:
        need(name)
    sequence = StereoSequence(kitti)
    size = {} if name == "xfeat" else {"frontend.max_image_size": 640}  # the others are slower
    with NodeProcess(STEREO, {**XFEAT, **size, "frontend.name": name}) as run:
        stamp = sequence.stamp(3)
        pose = run.feed(sequence.stereo(3), lambda: run.pose_of(stamp))
        matches = run.wait_for(lambda: run.correspondences_of(stamp))
        assert isinstance(pose, RelativePose) and isinstance(matches, Correspondences)
        assert pose.status == RelativePose.STATUS_OK
        rotation, translation = transform_of(pose.transform)
        true_rotation, true_translation = sequence.current_in_reference((3, "left"), (3, "right"))
        assert rotation_error_deg(rotation, true_rotation) < 1.5
        assert direction_error_deg(translation, true_translation) < 10.0
        assert matches.network_inliers == matches.matched > 200  # the sieve is none
        assert f"{name}, none on cpu" in run.log()


def test_a_matcher_that_does_not_fit_is_a_failed_configuration() -> None:
    wrong = {**XFEAT, "frontend.name": "orb", "frontend.matcher": "lightglue"}
    with NodeProcess(STEREO, wrong, wait_for_state="unconfigured") as run:
        run.wait_for(lambda: "cannot configure" in run.log(), what="reason")
        reason = "not for 'orb'; for that one there are nearest"
        assert reason in run.log()
        run.wait_for(lambda: reason in run.diagnostic("model").get("message", ""), what="reason")


def test_a_front_end_that_does_not_load_is_a_failed_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kornia.py").write_text("raise ImportError('libtorch of another version')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    with NodeProcess(STEREO, XFEAT, wait_for_state="unconfigured") as run:
        run.wait_for(lambda: "cannot configure" in run.log(), what="reason")
        reason = "the front end xfeat needs the package kornia (libtorch of another version); pip"
        assert reason in run.log()
