"""`msga bag` with matchers that have no fixed keypoints: of another package, and `msga_dense`."""

from __future__ import annotations

from pathlib import Path

from bags.bag_maker import Drive, write
from bags.test_run import read
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
