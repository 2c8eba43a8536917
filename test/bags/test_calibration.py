"""Calibrations of recorded bags that contradict the images, or say too little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="the library rosbags is not installed")

from bags.bag_maker import Drive, write

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
    assert any("no trajectory: the calibration tells no baseline" in text for text in warnings)
