"""`msga bag` with a matcher of another package that has no fixed keypoints."""

from __future__ import annotations

from pathlib import Path

from bags.bag_maker import Drive, write
from bags.test_run import read
from tiny_package import tiny_folder, with_tiny

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
