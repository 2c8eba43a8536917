"""`msga bag` on the command line: what it prints, and one clear line for every mistake."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bags.bag_maker import QUICK, Drive, write
from typer.testing import CliRunner

from msga_ros.bags.types import typestore
from msga_ros.cli import app


def run(*arguments: Any) -> Any:
    values = {name: str(value).lower() for name, value in QUICK.items()}
    settings = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    return CliRunner().invoke(app, ["bag", *map(str, arguments), *settings])


def refused(result: Any) -> str:
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    return str(result.stderr)


def test_other_topics_and_storage(tmp_path: Path, drive: Drive) -> None:
    renamed = [
        (topic.replace("/left/image", "/cam0/image_raw").replace("/left", "/cam0"), *rest)
        for topic, *rest in drive.stereo(range(2))
    ]
    source = write(tmp_path / "in", renamed)  # type: ignore[arg-type]
    assert "/cam0/image_raw" in refused(run(source, tmp_path / "out"))
    result = run(
        source, tmp_path / "out", "--left-image", "/cam0/image_raw", "--storage", "sqlite3",
        "--namespace", "robot/msga",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "out.db3").is_file()
    assert "complete sets" in " ".join(result.output.split())
    assert (tmp_path / "out" / "trajectory_tum.txt").is_file()
    from rosbags.rosbag2 import Reader

    with Reader(tmp_path / "out") as reader:
        assert "/robot/msga/correspondences" in {one.topic for one in reader.connections}

    # What exists is not overwritten unless asked for, and never anything but a bag.
    assert "exists" in refused(run(source, tmp_path / "out"))
    again = run(source, tmp_path / "out", "--left-image", "/cam0/image_raw", "--overwrite")
    assert again.exit_code == 0, again.output
    assert (tmp_path / "out" / "out.mcap").is_file()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep me")
    given = ("--left-image", "/cam0/image_raw", "--overwrite")
    assert "not a bag" in refused(run(source, tmp_path / "mine", *given))
    assert (tmp_path / "mine" / "letter.txt").read_text() == "keep me"
    assert "cannot take the place" in refused(run(source, source, *given))


def test_mistakes(tmp_path: Path, drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = write(tmp_path / "in", drive.mono(range(1))), tmp_path / "out"
    assert "no such bag" in refused(run(tmp_path / "nothing", target))
    assert "--matches-image" in refused(run(source, target, "--matches-image", "gif"))
    assert "--storage" in refused(run(source, target, "--storage", "txt"))
    assert "no_such" in refused(run(source, target, "--set", "no_such=1"))
    assert "frontend.ratio" in refused(run(source, target, "--set", "frontend.ratio=7"))
    # The default mode is stereo, this is a bag of one camera.
    assert "left/image" in refused(run(source, target))
    assert not target.exists()
    monkeypatch.setitem(sys.modules, "rosbags", None)
    assert "msga_ros[bags]" in refused(run(source, target))


def test_parameter_file(tmp_path: Path, drive: Drive) -> None:
    source = write(tmp_path / "in", drive.mono(range(2)))
    parameters = tmp_path / "msga.yaml"
    parameters.write_text("/**: {ros__parameters: {mode: temporal, sync: {slop: 0}}}")
    result = run(source, tmp_path / "out", "--config", parameters, "--no-trajectory")
    assert result.exit_code == 0, result.output
    assert not list((tmp_path / "out").glob("trajectory*"))
    parameters.write_text("/**: [")
    assert "not a readable YAML" in refused(run(source, tmp_path / "other", "--config", parameters))


def test_odometry_parameters_reach_the_odometry(tmp_path: Path, drive: Drive) -> None:
    """With more inliers asked for than there are, no motion is found after the first frame."""
    from rosbags.rosbag2 import Reader

    source = write(tmp_path / "in", drive.stereo(range(3)))
    spreads = []
    for name, least, status in (("usual", 12, 0), ("strict", 100_000, 3)):
        result = run(source, tmp_path / name, "--set", f"odometry.min_inliers={least}")
        assert result.exit_code == status, result.output
        store = typestore()
        with Reader(tmp_path / name) as reader:
            rows = [one for one in reader.messages() if one[0].topic == "/msga/odometry"]
        poses = [store.deserialize_cdr(data, connection.msgtype) for connection, _, data in rows]
        assert len(poses) == 3
        spreads.append(float(np.trace(poses[-1].pose.covariance.reshape(6, 6)[:3, :3])))
    assert spreads[1] > 10 * spreads[0]
