"""`msga compare` on a bag: what can be said without poses, on real photographs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from bags.bag_maker import Drive, write
from typer.testing import CliRunner

from msga_ros.bags.errors import BagError
from msga_ros.bags.footage import BagFootage
from msga_ros.cli import app
from msga_ros.cli.footage import footage

QUICK = ("-m", "orb+none,frontend.ratio=0.8", "-m", "opencv-orb")


def msga(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, " ".join(result.output.split())


def test_footage_is_what_was_recorded_and_can_be_had_again(tmp_path: Path, drive: Drive) -> None:
    source = write(tmp_path / "in", drive.mono(range(3)))
    warnings: list[str] = []
    recorded = BagFootage(source, {}, "", warnings.append)
    assert len(recorded) == 3
    for _ in range(2):
        views = list(recorded)
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


def test_a_frame_that_cannot_be_read_is_said_and_left_out(tmp_path: Path, drive: Drive) -> None:
    items = drive.mono(range(4))
    image = items[2][-1]  # of the second frame
    items[2] = (*items[2][:3], dataclasses.replace(image, encoding="magic"))
    warnings: list[str] = []
    recorded = BagFootage(write(tmp_path / "in", items), {}, "", warnings.append)
    views = list(recorded)
    assert [round(one.stamp * 1e9) // 1000 for one in views] == [
        drive.stamp(frame) // 1000 for frame in (0, 2, 3)
    ]
    assert len(warnings) == 1 and "magic" in warnings[0]


def test_a_calibration_file_takes_the_place_of_what_a_bag_lacks(
    tmp_path: Path, drive: Drive
) -> None:
    images = [one for one in drive.mono(range(2)) if one[0] == "/image"]
    source = write(tmp_path / "in", images)
    with pytest.raises(BagError, match="camera_info"):
        BagFootage(source, {}, "", print)
    height, width = drive.pixels(0, "left").shape
    file = tmp_path / "camera.yaml"
    file.write_text(
        f"image_width: {width}\nimage_height: {height}\ncamera_name: left\n"
        "distortion_model: plumb_bob\n"
        "camera_matrix: {rows: 3, cols: 3, data: [400, 0, 300, 0, 410, 90, 0, 0, 1]}\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [0, 0, 0, 0, 0]}\n"
    )
    (first, second) = BagFootage(source, {}, str(file), print)
    for view in (first, second):
        np.testing.assert_allclose(view.camera.k, [[400, 0, 300], [0, 410, 90], [0, 0, 1]])
    frames = list(footage(source, str(file), {}, print))
    assert [round(one.stamp * 1e9) // 1000 for one in frames] == [
        drive.stamp(frame) // 1000 for frame in range(2)
    ]
    assert frames[1].cameras["left"].k[0, 0] == 400
    with pytest.raises(BagError, match=r"nowhere\.yaml"):
        BagFootage(source, {}, str(tmp_path / "nowhere.yaml"), print)


def test_records_of_other_images_are_not_those_of_these(tmp_path: Path, drive: Drive) -> None:
    source = write(tmp_path / "in", drive.stereo(range(3)))
    records = tmp_path / "records.jsonl"
    command = ("compare", source, "-m", QUICK[1], "--gap", 1, "--records", records)
    for lines, side in ((2, "left"), (4, "right"), (4, "left")):
        code, text = msga(*command, "--topic", f"image=/{side}/image")
        assert code == 0, text
        assert len(records.read_text().splitlines()) == lines


def test_two_sources_of_one_name_are_refused(tmp_path: Path, drive: Drive) -> None:
    """Their pairs could not be told from each other in the records."""
    sources = [write(tmp_path / part / "in", drive.mono(range(2))) for part in ("a", "b")]
    code, text = msga("compare", *sources, *QUICK)
    assert code == 2 and "several sources are called in" in text
