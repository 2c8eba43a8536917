"""Runs over a sequence whose truth is known for some frames alone."""

from __future__ import annotations

import numpy as np
import pytest

from msga_ros.evaluation.odometry.sequence_run import Run
from msga_ros.odometry.poses import pose_matrix


def run(known: list[int] | None, count: int = 12) -> Run:
    """Along x, the estimate a tenth too long; `known`: frames with a truth."""
    places = [np.array([float(number), 0.1 * number**2, 0.0]) for number in range(count)]
    poses = np.array([pose_matrix(np.eye(3), 1.1 * place) for place in places])
    truth = None
    if known is not None:
        truth = np.full((count, 4, 4), np.nan)
        for number in known:
            truth[number] = pose_matrix(np.eye(3), places[number])
    return Run("any", np.arange(float(count)), poses, truth, (), 1.0)


def test_frames_without_a_truth_are_not_judged() -> None:
    known = [0, 1, 2, 4, 5, 6, 7, 8, 9]
    errors = run(known).errors(with_scale=False)
    assert errors is not None
    assert errors.rpe_trans_percent == pytest.approx(10.0, abs=0.5)
    assert np.isfinite([errors.ate_m, errors.rpe_rot_deg, errors.length]).all()
    judged = run(known).judged()
    assert judged.stamps.tolist() == known and judged.truth is not None
    assert np.isfinite(judged.truth).all() and len(judged.poses) == len(known)


def test_without_any_truth_nothing_is_judged() -> None:
    assert run(None).errors(with_scale=True) is None
    assert run(None).judged().stamps.tolist() == list(range(12))
