"""`msga loops`: the same frames make the same files, with odometry, scale and loops."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from msga_ros.cli import app
from msga_ros.datasets.sequences.folder import FolderSequence
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.mapping import LoopMapper
from msga_ros.loops.odometry_file import OdometryFileError, RecordedOdometry
from msga_ros.loops.reports import ScaleSource, View
from msga_ros.loops.store import KeyframeStore
from msga_ros.loops.vlad import packaged_vocabulary
from msga_ros.two_view.pipeline import TwoViewPipeline


def test_there_and_back_with_another_camera(
    kitti: Path, tmp_path: Path, trained_weights: Path
) -> None:
    """The way back is seen by the other camera of the rig: each frame knows its place again, and
    the odometry of the way there says how far away that is."""
    frames = list(FolderSequence(kitti, stereo=True))[:5:2]
    entries = {"frontend.max_keypoints": 800, "network.weights": str(trained_weights)}
    pipeline = TwoViewPipeline.from_config(**entries)
    with KeyframeStore(tmp_path / "map", in_memory=1) as store:
        mapper = LoopMapper(store, pipeline, packaged_vocabulary(), LoopConfig(min_inliers=30))
        for number, frame in enumerate(frames):
            assert frame.poses is not None
            left = frame.images["left"], frame.cameras["left"], frame.poses["left"]
            assert not mapper.add(View(f"there {number}", number, *left)).accepted
        noise = np.random.default_rng(0).integers(0, 256, left[0].shape, np.uint8)
        assert not mapper.locate(noise, left[1]).found
        for number, frame in reversed(list(enumerate(frames))):
            assert frame.poses is not None
            right = frame.images["right"], frame.cameras["right"], frame.poses["right"]
            (loop,) = mapper.add(View("back", 60.0 - 9 * number, *right)).accepted
            seen = frames[loop.reference].poses
            assert seen is not None and abs(loop.reference - number) <= 1
            true = frame.poses["right"].relative_to(seen["left"]).inverse()
            np.testing.assert_allclose(loop.pose.rotation, true.rotation, atol=0.02)
            assert loop.scale is ScaleSource.ODOMETRY
            sigma = np.sqrt(np.diag(loop.pose.covariance)[:3])
            assert (np.abs(loop.pose.position - true.translation) < 3 * sigma).all()
            assert sigma.max() < 0.6


def test_the_command_without_odometry(kitti: Path, tmp_path: Path) -> None:
    arguments = ["loops", str(kitti), "--map", str(tmp_path / "map"), "--every", "8"]
    arguments += ["--frames", "9", "--set", "frontend.max_keypoints=500"]
    runner = CliRunner()
    first = runner.invoke(app, arguments)
    assert first.exit_code == 0 and "0 loops among 2 keyframes" in first.output, first.output
    output = tmp_path / "loops.csv"
    again = runner.invoke(app, [*arguments, "-o", str(output)])
    assert "2 loops among 4 keyframes, 2 of them from before" in again.output, again.output
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["reference"] for row in rows] == [row["current"] for row in rows]
    for row in rows:  # the same images: no motion, and no direction of it
        assert row["status"] == "DEGENERATE" and row["tx"] == "nan" and row["scale"] == "none"
        assert float(row["r00"]) == pytest.approx(1.0, abs=1e-6)
    # The loops of a run alone are said and written, though the map holds those before it.
    third = runner.invoke(app, [*arguments, "-o", str(output)])
    assert "2 loops among 6 keyframes, 4 of them from before" in third.output, third.output
    with output.open() as file:
        assert len(list(csv.DictReader(file))) == 2
    orb = runner.invoke(app, [*arguments, "--set", "frontend.name=orb"])
    assert orb.exit_code == 2 and "features of sift, not of orb" in " ".join(orb.output.split())
    nothing = runner.invoke(app, [*arguments, "--picture", str(tmp_path / "path.png")])
    assert nothing.exit_code == 2 and "no keyframe has odometry" in nothing.output


def test_the_command_with_odometry(kitti: Path, tmp_path: Path) -> None:
    """Stereo, the poses of a file: lengths by the rig, and all files are written."""
    tum = tmp_path / "odometry.tum"
    rows = []
    for number in range(9):
        rows.append(f"{0.1 * number:.1f} 0 0 {1.3 * number:.2f} 0 0 0 1")
    tum.write_text("# stamp x y z qx qy qz qw\n" + "\n".join(rows) + "\n")
    names = {one: tmp_path / one for one in ("loops.csv", "graph.g2o", "path.tum", "path.png")}
    arguments = ["loops", str(kitti), "--map", str(tmp_path / "map"), "--every", "4"]
    arguments += ["--frames", "5", "--mode", "stereo", "--odometry", str(tum)]
    arguments += ["--set", "frontend.max_keypoints=500"]
    runner = CliRunner()
    first = runner.invoke(app, arguments)
    assert "0 loops among 2 keyframes" in first.output, first.output
    files = ["-o", "--graph", "--trajectory", "--picture"]
    for option, path in zip(files, names.values(), strict=True):
        arguments += [option, str(path)]
    again = runner.invoke(app, arguments)
    assert "2 loops among 4 keyframes" in again.output, again.output
    with names["loops.csv"].open() as file:
        loops = list(csv.DictReader(file))
    for row in loops:
        assert row["scale"] == "depth" and abs(float(row["tz"])) < 0.01
    words = [line.split()[0] for line in names["graph.g2o"].read_text().splitlines()]
    assert words.count("VERTEX_SE3:QUAT") == 4 and words.count("FIX") == 1
    assert words.count("EDGE_SE3:QUAT") == 2 + 2  # a step on each visit, and the loops
    assert len(names["path.tum"].read_text().splitlines()) == 4
    assert np.asarray(cv2.imread(str(names["path.png"]))).std() > 1


def test_a_tum_file(tmp_path: Path) -> None:
    path = tmp_path / "path.tum"
    half = np.sqrt(0.5)
    path.write_text(f"# x\n10 1 2 3 0 0 0 1\n10.5 2 2 3 0 0 {half} {half}\n20 0 0 0 0 0 0 1\n")
    track = RecordedOdometry.read_tum(path)
    between = track.at(10.25)
    assert between is not None
    np.testing.assert_allclose(between.centre, [1.5, 2, 3])
    turn = between.rotation.T  # camera to odom: by 45 degrees
    np.testing.assert_allclose(turn[:2, 0], [half, half], atol=1e-12)
    assert track.at(9.9) is None and track.at(20.1) is None and track.at(15.0) is None
    last = track.at(20.0)
    assert last is not None and not last.centre.any()
    for wrong in ("1 2 3\n", "a b c d e f g h\n", "1 0 0 0 0 0 0 0\n", "1 nan 0 0 0 0 0 1\n"):
        path.write_text("5 0 0 0 0 0 0 1\n" + wrong)
        with pytest.raises(OdometryFileError, match=r"path\.tum, line 2"):
            RecordedOdometry.read_tum(path)
    path.write_text("# nothing\n")
    with pytest.raises(OdometryFileError, match="no poses"):
        RecordedOdometry.read_tum(path)


def test_the_mount_of_the_camera(tmp_path: Path) -> None:
    """A body that turns to the left about its z axis carries a camera 1 m ahead of it around."""
    from msga_ros.geometry.camera_pose import Pose

    path = tmp_path / "body.tum"
    half = np.sqrt(0.5)
    path.write_text(f"0 5 0 0 0 0 {half} {half}\n")
    ahead = Pose(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.array([1.0, 0.0, 0.0]))
    pose = RecordedOdometry.read_tum(path, ahead).at(0.0)
    assert pose is not None
    np.testing.assert_allclose(pose.centre, [5, 1, 0], atol=1e-12)
    np.testing.assert_allclose(pose.rotation.T @ [0, 0, 1], [0, 1, 0], atol=1e-12)  # it looks on
