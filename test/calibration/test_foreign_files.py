"""Files that are no calibration, or a broken one: one line with file and entry, and no harm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from calibration import rig_files

from msga_ros.calibration import read_cameras
from msga_ros.calibration.base import CalibrationError


def reason(path: Path | str) -> str:
    with pytest.raises(CalibrationError) as caught:
        read_cameras(str(path))
    text = str(caught.value)
    assert text.startswith(str(path)) and "\n" not in text and len(text) < 600 + len(str(path))
    return text


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


KALIBR, ORB, OPENCV = rig_files.kalibr(), rig_files.orb_slam3(), rig_files.opencv_stereo()
EUROC, ROS = rig_files.euroc(0), rig_files.ros(0)
ECHOED = "k: [500, 0, 320, 0, 500, 240, 0, 0, 1]\nr: {r}\n"
FX = rig_files.FOCAL[0][0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (changed(KALIBR, "pinhole", "omni"), "cam0: camera_model 'omni' is not supported"),
        (changed(KALIBR, f"intrinsics: [{FX}, ", "intrinsics: ["), "intrinsics has 3 entries"),
        (changed(KALIBR, str(FX), ".nan"), "cam0: intrinsics holds NaN"),
        (changed(KALIBR, str(FX), "0.0"), "focal lengths 0, "),
        (changed(KALIBR, str(FX), "1.0e308"), "not pixels"),
        (changed(KALIBR, "radtan", "fov"), "unknown distortion model 'fov'"),
        (changed(KALIBR, "[0.0, 0.0, 0.0, 1.0]", "[0, 0, 0, 2]"), "cam1: T_cn_cnm1: the last row"),
        (changed(KALIBR, "  - [0.0, 0.0, 0.0, 1.0]\n", "  - [1]\n"), "T_cn_cnm1 has 13 numbers"),
        (changed(KALIBR, "resolution: [752, 480]", "resolution: [752, -4]"), "no size in pixels"),
        ("cam0: 3\ncam1: {intrinsics: 5}\n", "cam0 has no entries of its own"),
        (changed(EUROC, "intrinsics", "intrinsic"), "not a camera calibration"),
        (changed(EUROC, "data: [", "data: [9.0, "), "T_BS has 17 numbers"),
        (changed(EUROC, "resolution", "res"), "resolution is missing"),
        (changed(EUROC, "camera_model: pinhole", "camera_model: omni"), "'omni' is not supported"),
        (changed(ORB, "PinHole", "Mei"), "Camera.type 'Mei' is not supported"),
        (changed(ORB, "Camera2.fy", "Camera2.f"), "Camera2.fy is missing"),
        (changed(ORB, "Camera1.fy: ", "Camera1.fy: x"), "Camera1.fy: 'x4"),
        (OPENCV[: OPENCV.index("T: ")], "T is missing"),
        (changed(OPENCV, "K2", "K3"), "K2 is missing"),
        (OPENCV.replace("R: !!", "R: [0.1, 0.2, 0.3]\nQ: !!"), "R has 3 numbers: a rot"),
        (OPENCV.replace("R: !!", "R: [2, 0, 0, 0, 2, 0, 0, 0, 2]\nQ: !!"), "R: the rotation is no"),
        (changed(ROS, "camera_matrix", "matrix"), "not a camera calibration"),
        (changed(ROS, "plumb_bob", "magic"), "unknown distortion model 'magic'"),
        (changed(ROS, "image_width: 752", "image_width: 1e999"), "image_width holds NaN or inf"),
        (ECHOED.format(r="[1, 0, 0, 0, 1, 0, 0, 0, -1]"), "R: the rotation is no rotation"),
        (ECHOED.format(r="[2, 0, 0, 0, 2, 0, 0, 0, 2]"), "R: the rotation is no rotation"),
        ("camera_matrix: 7\n", "camera_matrix is no list"),
        ("k: " + str([1.0] * 100_000), "too long"),
        ("k: " + str([1.0] * 200), "k has 200 numbers"),
        ("k: " + "[" * 500 + "]" * 500, "too deep"),
        ("k: " + "[" * 100_000, "too deep"),
        ("a: &a [1, 1]\nb: &b [*a, *a]\nk: [*b, *b]\n", "aliases"),
        ("k: !!python/object/apply:os.system [ls]\n", "not readable as YAML"),
        ("K1: !!opencv-matrix 3\n", "not readable as YAML"),
        ("[1, 2]", "no mapping"),
        ("", "no mapping"),
        ("- a\n- b", "no mapping"),
        ("x" * 900 + ": 1", "not a camera calibration"),
        ("a: [", "not readable as YAML"),
    ],
)  # fmt: skip
def test_the_entry_is_named(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "rig.yaml"
    path.write_text(text)
    assert expected in reason(path)


def test_files_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "rig.yaml"
    path.write_bytes(b"\xff\xfe\x00k")
    assert "no text" in reason(path)
    path.write_bytes(b"k: [1]\n" + b" " * 1_000_001)
    assert "larger than" in reason(path)
    assert "there is no such file" in reason(tmp_path / "nowhere.yaml")
    assert "there is no such file" in reason(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "there is no such file" in reason(tmp_path / "pipe")


def test_a_byte_order_mark_and_a_hash_in_the_name(tmp_path: Path) -> None:
    path = tmp_path / "rig#2.yaml"
    path.write_text("\ufeff" + KALIBR, encoding="utf-8")
    assert len(read_cameras(str(path))) == 2
