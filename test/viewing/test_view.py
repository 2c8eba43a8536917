"""`msga view` without a screen: the recording it writes, read back by Rerun itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_data import shared_path
from typer.testing import CliRunner

from msga_ros.cli import app
from msga_ros.network import CheckpointError, packaged_weights

QUICK = (
    "frontend.name=orb", "frontend.max_keypoints=400", "pose.refine=poselib",
    "pose.threshold_px=2.0", "network.inlier_threshold=0.01", "rectified=true",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _weights() -> None:
    try:
        packaged_weights()
    except CheckpointError as error:
        pytest.skip(str(error))


def run(*arguments: Any) -> Any:
    settings = [word for setting in QUICK for word in ("--set", setting)]
    return CliRunner().invoke(app, ["view", *map(str, arguments), "--device", "cpu", *settings])


def test_without_rerun_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    result = run(tmp_path, "--save", tmp_path / "a.rrd")
    assert result.exit_code == 2
    assert result.output.count("\n") == 1
    assert "msga_ros[view]" in result.output
    assert not (tmp_path / "a.rrd").exists()


@pytest.fixture
def entities() -> Any:
    """Reads a recording with Rerun's own program: what it holds, by entity."""
    pytest.importorskip("rerun", reason="the optional rerun-sdk is not installed")

    def read(path: Path) -> str:
        assert path.stat().st_size > 10_000
        command = [sys.executable, "-m", "rerun", "rrd"]
        subprocess.run([*command, "verify", str(path)], check=True, capture_output=True)
        printed = subprocess.run(
            [*command, "print", str(path)], check=True, capture_output=True, text=True
        )
        return printed.stdout

    return read


EXPECTED = (
    "/matches", "/world/points", "/world/path", "/world/current", "/world/reference",
    "/world/current/inliers", "/world/current/outliers", "/counts/inliers",
)  # fmt: skip


@pytest.mark.parametrize("mode", ["temporal", "stereo"])
def test_folder(tmp_path: Path, entities: Any, mode: str) -> None:
    folder = shared_path("data/scenes/kitti_stereo_seq1")
    path = tmp_path / "folder.rrd"
    result = run(folder, "--mode", mode, "--frames", 2, "--save", path)
    assert result.exit_code == 0, result.output
    assert "2 pairs of views" in result.output
    held = entities(path)
    assert [name for name in EXPECTED if name not in held] == []


def test_matches_without_a_detector(tmp_path: Path, entities: Any) -> None:
    folder, path = shared_path("data/scenes/kitti_stereo_seq1"), tmp_path / "dense.rrd"
    dense = ("--set", "frontend.name=msga_dense", "--set", "frontend.max_image_size=480")
    result = run(folder, "--mode", "stereo", "--frames", 1, "--save", path, *dense)
    assert result.exit_code == 0, result.output
    held = entities(path)
    assert [name for name in EXPECTED if name not in held] == []


def test_bag_of_images_and_bag_of_results(tmp_path: Path, entities: Any) -> None:
    pytest.importorskip("rosbags", reason="the library rosbags is not installed")
    from bags.bag_maker import Drive, write

    drive = Drive(shared_path("data/scenes/kitti_stereo_seq1"))
    source = write(tmp_path / "images", drive.mono(range(3)))
    path = tmp_path / "images.rrd"
    result = run(source, "--save", path)
    assert result.exit_code == 0, result.output
    held = entities(path)
    assert [name for name in EXPECTED if name not in held] == []

    results = tmp_path / "results"
    settings = [word for setting in QUICK for word in ("--set", setting)]
    arguments = ["bag", source, results, "--mode", "temporal", "--matches-image", "jpeg"]
    done = CliRunner().invoke(app, [*map(str, arguments), *settings])
    assert done.exit_code == 0, done.output
    path = tmp_path / "results.rrd"
    result = run(results, "--save", path)
    assert result.exit_code == 0, result.output
    assert "2 pairs of views" in result.output
    held = entities(path)
    assert [name for name in EXPECTED if name not in held] == []


def test_nothing_there(tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="the optional rerun-sdk is not installed")
    result = run(tmp_path / "nothing", "--save", tmp_path / "a.rrd")
    assert result.exit_code == 2
    assert "nothing" in result.output


def test_points_lie_where_the_scene_is() -> None:
    """Two views of known points: what is shown are those points, in the reference camera."""
    from types import SimpleNamespace

    from plugs.scene import SPEED, Scene

    from msga_ros.viewing.pairs import pair_from_messages

    scene = Scene()
    moved = SPEED * 0.1
    pose = SimpleNamespace(
        header=scene.temporal(0, 1).header,
        reference_header=scene.temporal(0, 1).reference_header,
        status=0,
        translation_scale_known=True,
        transform=SimpleNamespace(
            translation=SimpleNamespace(x=moved[0], y=moved[1], z=moved[2]),
            rotation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0),
        ),
    )
    matches = scene.temporal(0, 1, width=640, height=480)
    pair = pair_from_messages(matches, pose)
    inlier = np.asarray(matches.inlier)
    assert len(pair.points) > 40
    errors = np.linalg.norm(pair.points[:, None] - scene.points[inlier][None], axis=2).min(axis=1)
    assert np.median(errors) < 0.05
    assert not pair.stereo and pair.size == (640, 480)
