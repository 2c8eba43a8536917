"""Estimators that have poses for different frames: compared over those that all have."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from msga_ros.cli.vo_rows import Row, print_rows, rows_of
from msga_ros.evaluation.odometry.sequence_run import Run, common_stamps


def run(name: str, frames: list[int], off: dict[int, float]) -> Run:
    """On a straight way of 12 frames, a metre each; `off`: by how much a pose is beside it."""
    truth = np.tile(np.eye(4), (12, 1, 1))
    truth[:, 2, 3] = np.arange(12)
    truth[:, 0, 3] = np.sin(np.arange(12))
    poses = truth.copy()
    for frame, error in off.items():
        poses[frame, 1, 3] += error
    stamps = 0.1 * np.arange(12)
    return Run(name, stamps[frames], poses[frames], truth[frames], (), 1.0)


WHOLE = list(range(12))
BAD_FRAMES = [0, 1, 2, 3]


def test_errors_over_common_frames_do_not_reward_who_gave_up() -> None:
    """Both are wrong in the same frames; one has no pose for them."""
    off = dict.fromkeys(BAD_FRAMES, 1.0)
    brave, shy = run("brave", WHOLE, off), run("shy", WHOLE[4:], off)
    rows = rows_of("way", "stereo", [brave, shy])
    assert [row.frames for row in rows] == [12, 8]
    assert [row.frames_common for row in rows] == [8, 8]
    np.testing.assert_allclose(common_stamps([brave, shy]), brave.stamps[4:])
    assert rows[0].ate_m is not None and rows[0].ate_m > 0.1
    for row in rows:
        assert row.ate_m_common == pytest.approx(0.0, abs=1e-9)
        assert row.rpe_trans_percent_common == pytest.approx(0.0, abs=1e-6)
    text = printed(rows)
    assert "over other frames for each" in text and "the 8 frames that all have a pose for" in text


def test_the_same_frames_are_said_to_be_the_same() -> None:
    rows = rows_of("way", "stereo", [run("one", WHOLE, {}), run("other", WHOLE, {5: 0.1})])
    text = printed(rows)
    assert "a pose for the same 12 frames" in text and "over other frames" not in text


def test_no_frame_in_common() -> None:
    rows = rows_of("way", "mono", [run("one", WHOLE[:5], {}), run("other", WHOLE[6:], {})])
    assert all(row.frames_common == 0 and row.ate_m_common is None for row in rows)
    assert "the 0 frames" in printed(rows)


def printed(rows: list[Row]) -> str:
    file = io.StringIO()
    print_rows(Console(file=file, width=140), rows)
    return file.getvalue()
