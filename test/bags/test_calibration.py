"""Calibrations of recorded bags that contradict the images, or say too little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="the library rosbags is not installed")

from bags.bag_maker import Drive, Item, write

from msga_ros.bags.errors import BagError
from msga_ros.stream.calibrated_sets import BY_LAST

FRAMES = 4
SIFT = {"frontend.name": "sift", "frontend.max_keypoints": 800}


def bag(folder: Path, drive: Drive, change: Callable[[Any], None]) -> Path:
    """A stereo bag whose right camera_info went through `change`."""
    items = drive.stereo(range(FRAMES))
    for topic, *_, message in items:
        if topic == "/right/camera_info":
            change(message)
    return write(folder / "in", items)


SWAPPED = {"left/image": "/right/image", "right/image": "/left/image"}


def other_sign(info: Any) -> None:
    info.p[3] = -info.p[3]


def test_the_wrong_sign_of_p_is_named_and_its_frames_are_lost(
    tmp_path: Path, drive: Drive, process: Any
) -> None:
    _, summary, warnings = process(bag(tmp_path, drive, other_sign), parameters=SIFT)
    assert summary.outcomes == FRAMES
    assert len([text for text in warnings if "the sign of P[3]" in text]) == 1


def test_cameras_that_are_swapped_are_named(tmp_path: Path, drive: Drive, process: Any) -> None:
    source = write(tmp_path / "in", drive.stereo(range(FRAMES)))
    infos = {f"{side}/camera_info": f"/{side}/camera_info" for side in ("left", "right")}
    _, _, warnings = process(source, topics={**SWAPPED, **infos}, parameters=SIFT)
    assert len([text for text in warnings if "left and right are swapped" in text]) == 1


def test_a_pair_that_is_swapped_with_its_calibration_is_in_order(
    tmp_path: Path, drive: Drive, process: Any
) -> None:
    source = write(tmp_path / "in", drive.stereo(range(FRAMES)))
    # A camera_info is that beside its image.
    target, _, warnings = process(source, topics=SWAPPED, parameters=SIFT)
    assert warnings == []
    travelled = np.loadtxt(target / "trajectory_tum.txt")[-1, 1:4]
    true = drive.true_motion(0, FRAMES - 1)[1]
    assert np.linalg.norm(travelled) == pytest.approx(np.linalg.norm(true), rel=0.15)


def test_a_bag_without_a_baseline_says_why_it_has_no_trajectory(
    tmp_path: Path, drive: Drive, process: Any
) -> None:
    def empty(info: Any) -> None:
        info.p[:] = 0

    source = bag(tmp_path, drive, empty)
    _, summary, warnings = process(source, parameters={"rectified": False})
    assert summary.poses == 0
    assert any("no trajectory: the calibration has no baseline" in text for text in warnings)


def without(items: list[Item], *topics: str) -> list[Item]:
    return [item for item in items if item[0] not in topics]


INFOS = ("/left/camera_info", "/right/camera_info")


def test_a_bag_without_camera_info_takes_files(tmp_path: Path, drive: Drive, process: Any) -> None:
    """As those of EuRoC: the same numbers as with the messages."""
    items = drive.stereo(range(2))
    files = {}
    for side, x in (("left", 0.0), ("right", drive.baseline)):
        camera = drive.camera(0, side)
        fx, fy, cx, cy = (float(camera.k[at]) for at in ((0, 0), (1, 1), (0, 2), (1, 2)))
        height, width = drive.pixels(0, side).shape
        path = tmp_path / f"{side}.yaml"
        path.write_text(
            f"sensor_type: camera\nT_BS:\n  cols: 4\n  rows: 4\n  data: [1, 0, 0, {x}, 0, 1, 0, 0, "
            f"0, 0, 1, 0, 0, 0, 0, 1]\nresolution: [{width}, {height}]\ncamera_model: pinhole\n"
            f"intrinsics: [{fx}, {fy}, {cx}, {cy}]\ndistortion_model: radial-tangential\n"
            "distortion_coefficients: [0.0, 0.0, 0.0, 0.0]\n"
        )
        files[f"{side}/calibration"] = str(path)
    raw = {"rectified": False}
    expected, *_ = process(write(tmp_path / "in", items), "expected", parameters=raw)
    source = write(tmp_path / "bare", without(items, *INFOS))
    target, summary, warnings = process(source, parameters={**raw, **files})
    assert warnings == [] and summary.sets == 2
    found, wanted = (np.loadtxt(one / "trajectory_tum.txt") for one in (target, expected))
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    with pytest.raises(BagError, match="give a file as left/calibration"):
        process(source, "none")
    with pytest.raises(BagError, match=r"nowhere\.yaml: there is no such file"):
        process(source, "none", parameters={"calibration": "nowhere.yaml"})


def test_a_camera_info_that_was_recorded_once_costs_no_frame(
    tmp_path: Path, drive: Drive, process: Any
) -> None:
    items = drive.stereo(range(FRAMES))
    first = [item for item in items if item[0] in INFOS][:2]
    source = write(tmp_path / "in", first + without(items, *INFOS))
    _, summary, warnings = process(source)
    assert (summary.sets, summary.outcomes) == (FRAMES, FRAMES)
    assert sorted(warnings) == [f"{topic}: {BY_LAST}" for topic in INFOS]
    equal = {"sync.camera_info": "equal"}
    assert process(source, "equal", parameters=equal)[1].sets == 1
