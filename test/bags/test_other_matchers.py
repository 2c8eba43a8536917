"""`msga bag` with matchers that have no fixed keypoints: of another package, and `msga_dense`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bags.bag_maker import Drive, write
from bags.test_run import raw, read
from tiny_package import tiny_folder, with_tiny
from typer.testing import CliRunner

from msga_ros.cli import app

__all__ = ["tiny_folder"]  # a fixture


def test_matches_and_poses_but_no_trajectory(
    tiny_folder: Path, tmp_path: Path, drive: Drive
) -> None:
    source, target = write(tmp_path / "in", drive.stereo(range(2))), tmp_path / "out"
    stages = ("--set", "frontend.name=tiny", "--set", "sieve.name=tiny")
    more = ("--set", "frontend.tiny.most=800")
    printed = with_tiny(
        tiny_folder, "-m", "msga_ros.cli", "bag", str(source), str(target), *stages, *more
    )
    assert "no trajectory: the front end has no fixed keypoints" in " ".join(printed.split())
    found = read(target)
    assert len(found["/msga/correspondences"]) == len(found["/msga/relative_pose"]) == 2
    assert "/msga/odometry" not in found
    for matches, pose in zip(
        found["/msga/correspondences"], found["/msga/relative_pose"], strict=True
    ):
        assert matches.matched > 100 and pose.status == 0
        assert (matches.detected, matches.detected_reference) == (0, 0)
        assert not matches.track_ids.any()


def test_the_matcher_without_a_detector(tmp_path: Path, drive: Drive) -> None:
    source, target = write(tmp_path / "in", drive.stereo(range(1))), tmp_path / "out"
    settings = ("--set", "frontend.name=msga_dense", "--set", "frontend.max_image_size=480")
    result = CliRunner().invoke(app, ["bag", str(source), str(target), *settings])
    assert result.exit_code == 0, result.output
    assert "no trajectory: the front end has no fixed keypoints" in " ".join(result.output.split())
    found = read(target)
    (matches,), (pose,) = found["/msga/correspondences"], found["/msga/relative_pose"]
    assert matches.network_inliers == matches.matched > 200  # the sieve is none
    assert pose.status == 0 and "/msga/odometry" not in found


POOR = {"frontend.max_keypoints": 25, "sieve.name": "none"}
SECOND = {"second_frontend.name": "sift", "second_frontend.sieve": "none"}


def test_a_second_front_end_has_the_poses_and_the_trajectory_is_that_of_the_first(
    tmp_path: Path, drive: Drive, process: Any
) -> None:
    source = write(tmp_path / "in", drive.stereo(range(4)))
    alone, plain, _ = process(source, "alone", parameters=POOR)
    target, summary, warnings = process(source, "both", parameters={**POOR, **SECOND})
    assert warnings == []
    assert plain.by_status.get("OK", 0) < summary.by_status["OK"] == 4
    assert (plain.second_asked, plain.second_answered) == (0, 0)
    answered = 4 - plain.by_status.get("OK", 0)
    assert (summary.second_asked, summary.second_answered) == (answered, answered)
    found, before = read(target), read(alone)
    # Stereo odometry follows what the first one matched, refused or not.
    assert len(found["/msga/odometry"]) == len(before["/msga/odometry"]) == 4
    for one, other in zip(found["/msga/odometry"], before["/msga/odometry"], strict=True):
        assert one.pose.pose == other.pose.pose
    for matches, pose in zip(
        found["/msga/correspondences"], found["/msga/relative_pose"], strict=True
    ):
        assert pose.status == 0 and len(matches.track_ids) in (0, matches.matched)
    assert any(matches.matched > 100 for matches in found["/msga/correspondences"])


def test_one_camera_with_a_second_front_end_interrupted_and_taken_up_again(
    tmp_path: Path, drive: Drive, process: Any
) -> None:
    source = write(tmp_path / "in", drive.mono(range(5)))
    parameters = {**POOR, **SECOND, "mode": "temporal"}
    whole, summary, _ = process(source, "whole", parameters=parameters)
    assert summary.second_answered > 0
    with pytest.raises(KeyboardInterrupt):
        process(source, "again", parameters=parameters, stop_after=3)
    again, resumed, _ = process(source, "again", parameters=parameters)
    assert resumed.resumed > 0 and raw(again) == raw(whole)
    counts = [(one.second_asked, one.second_answered) for one in (summary, resumed)]
    assert counts[0] == counts[1]
