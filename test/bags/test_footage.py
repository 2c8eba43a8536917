"""`msga compare` on a bag: what can be said without poses, on real photographs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from bags.bag_maker import Drive, write
from typer.testing import CliRunner

from msga_ros.bags.footage import BagFootage
from msga_ros.cli import app

QUICK = ("-m", "orb+none,frontend.ratio=0.8", "-m", "opencv-orb")


def msga(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, " ".join(result.output.split())


def test_footage_is_what_was_recorded_and_can_be_had_again(tmp_path: Path, drive: Drive) -> None:
    source = write(tmp_path / "in", drive.mono(range(3)))
    warnings: list[str] = []
    footage = BagFootage(source, {}, "", warnings.append)
    assert len(footage) == 3
    for _ in range(2):
        views = list(footage)
        assert [round(one.stamp * 1e9) // 1000 for one in views] == [
            drive.stamp(frame) // 1000 for frame in range(3)
        ]
        np.testing.assert_array_equal(views[2].image, drive.pixels(2, "left"))
        np.testing.assert_allclose(views[2].camera.k, drive.camera(2, "left").k)
    assert warnings == []


def test_a_bag_is_compared_by_agreement(tmp_path: Path, drive: Drive) -> None:
    source = write(tmp_path / "in", drive.stereo(range(4)))
    rows_file = tmp_path / "rows.json"
    command = ("compare", source, *QUICK, "--gap", 1, "--json", rows_file)
    code, text = msga(*command)
    assert code == 2 and "/left/image" in text  # the topics that there are
    code, text = msga(*command, "--topic", "image=/left/image")
    assert code == 0, text
    first, second = json.loads(rows_file.read_text())
    assert first["pairs"] == second["pairs"] == 3
    assert first["right"] is None and first["inliers"] > 30 and second["inliers"] > 30
    assert first["cpu_stages"].keys() == {"extract", "match", "network", "pose"}
    code, text = msga(*command, "--topic", "image=/left/image", "--camera", "500,500,320,240")
    assert code == 2 and "calibration file for a bag not found" in text
