"""When another motion takes the place of the one that was found, and when it casts doubt on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from two_view_scene import random_scene

from msga_ros.geometry.robust.base import RobustEstimate, failure
from msga_ros.geometry.robust.rival import Rival
from msga_ros.network.match_scores import MatchScores
from msga_ros.two_view import robust_pose
from msga_ros.two_view.config import PoseConfig
from msga_ros.two_view.robust_pose import robust_estimate, sampling_for, widest_limit

COUNT = 60


@pytest.mark.parametrize(
    ("deficit", "inliers", "taken", "doubtful"),
    [
        (5.0, COUNT, False, False),  # clearly worse
        (0.5, COUNT, False, True),  # as good within the lead that is asked for
        (-0.5, COUNT, True, True),
        (-5.0, COUNT, True, False),  # clearly better
        (-5.0, COUNT - 1, False, True),  # better by its cost, but with matches behind the cameras
        (-0.5, COUNT - 1, False, True),
    ],
)
def test_it_takes_cost_and_number(
    deficit: float,
    inliers: int,
    taken: bool,
    doubtful: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = random_scene(1, COUNT, noise=1e-4, outliers=0.0)
    other = RobustEstimate(
        True, np.eye(3), np.array([1.0, 0, 0]), np.zeros((3, 3)), np.arange(COUNT) < inliers, 0
    )
    monkeypatch.setattr(robust_pose, "strongest_rival", lambda *_: Rival(other, deficit))
    scores = MatchScores(np.full((3, 3), np.nan), np.zeros(COUNT), np.ones(COUNT))
    found, doubt = robust_estimate(
        "poselib",
        scores,
        scene.correspondences.astype(np.float64),
        0.0,
        2e-3,
        PoseConfig(min_lead=1.0),
    )
    assert np.array_equal(found.rotation, other.rotation) == taken
    assert found.iterations > 0  # of the sampling, whichever motion it is
    assert (doubt is not None) == doubtful
    if doubt is not None:
        assert np.array_equal(doubt.rotation, other.rotation) != taken


def test_a_solver_is_told_what_the_sieve_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the candidates alone, with the options of the configuration."""
    scene = random_scene(2, COUNT, noise=1e-4, outliers=0.0)
    rows = scene.correspondences.astype(np.float64)
    scores = MatchScores(np.eye(3), np.zeros(COUNT), np.arange(COUNT, dtype=np.float64))
    candidate = scores.score > 20.0
    seen: dict[str, Any] = {}

    def recorder(*points: np.ndarray, **options: Any) -> RobustEstimate:
        seen.update(options, points=points)
        return failure(len(points[0]))

    monkeypatch.setattr(robust_pose, "solver", {"recorder": recorder}.__getitem__)
    config = PoseConfig(seed=3, confidence=0.5, max_iterations=77)
    robust_estimate("recorder", scores, rows, 20.0, 2e-3, config)
    points0, points1, threshold = seen.pop("points")
    np.testing.assert_array_equal(np.hstack((points0, points1)), rows[candidate])
    np.testing.assert_array_equal(seen.pop("score"), scores.score[candidate])
    np.testing.assert_array_equal(seen.pop("essential"), scores.essential)
    assert threshold == 2e-3
    assert seen == {"seed": 3, "confidence": 0.5, "max_iterations": 77}


def test_a_motion_that_enough_agree_with_is_found_and_no_other_is_looked_for_long() -> None:
    """Of 80 matches of which 36 are true; whoever asks for 30 need not wait for the motion that
    six agree with."""
    config, fewest = PoseConfig(min_lead=0), 30
    asked = sampling_for(config, 80, fewest)
    assert asked.max_iterations < 0.4 * config.max_iterations
    for seed in range(8):
        scene = random_scene(seed, 80, noise=1e-4, outliers=0.55)
        rows = scene.correspondences.astype(np.float64)
        scores = MatchScores(np.full((3, 3), np.nan), np.zeros(80), np.ones(80))
        full, _ = robust_estimate("poselib", scores, rows, 0.0, 2e-3, config)
        bounded, _ = robust_estimate("poselib", scores, rows, 0.0, 2e-3, asked)
        assert full.inlier.sum() >= fewest
        np.testing.assert_array_equal(bounded.inlier, full.inlier)
    scene = random_scene(3, 80, noise=1e-4, outliers=1.0)
    rows = scene.correspondences.astype(np.float64)
    full, _ = robust_estimate("poselib", scores, rows, 0.0, 2e-3, config)
    bounded, _ = robust_estimate("poselib", scores, rows, 0.0, 2e-3, asked)
    assert 0 < bounded.iterations < 0.4 * full.iterations


@pytest.mark.parametrize(
    ("widest", "fewest", "most"),
    [
        (100, 0, 10_000),  # nobody says how many
        (1000, 30, 10_000),  # never longer than the configuration says
        (31, 30, 300),  # noisy samples of true matches: never very few
        (60, 30, 871),  # three times ln(1e-4) / ln(1 - 0.5^5)
        (20, 30, 10_000),
    ],
)
def test_samples_for_so_many_matches(widest: int, fewest: int, most: int) -> None:
    assert sampling_for(PoseConfig(), widest, fewest).max_iterations == most


def test_no_solver_is_asked_about_more_than_the_widest(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def solved(method: str, rows: np.ndarray, *_: Any) -> RobustEstimate:
        asked.append(len(rows))
        return failure(len(rows))

    monkeypatch.setattr(robust_pose, "solve", solved)
    rows = random_scene(1, COUNT).correspondences.astype(np.float64)
    scores = MatchScores(np.full((3, 3), np.nan), np.zeros(COUNT), np.linspace(-2, 2, COUNT))
    robust_estimate("poselib", scores, rows, 0.5, 2e-3, PoseConfig())
    assert max(asked) == scores.candidates(widest_limit(0.5)).sum() < COUNT
