"""Which of several motions the scores speak for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from two_view_scene import TwoViewScene, random_scene

from msga_ros.geometry.epipolar import sampson_distance_squared
from msga_ros.geometry.pose import essential_matrix
from msga_ros.geometry.robust import poselib
from msga_ros.geometry.robust.base import RobustEstimate, failure, verified
from msga_ros.geometry.robust.selection import at_most_likely, log_likelihoods, most_likely
from msga_ros.network.match_scores import MatchScores
from msga_ros.two_view import robust_pose
from msga_ros.two_view.config import PoseConfig
from msga_ros.two_view.robust_pose import robust_estimate

THRESHOLD = 2e-3


def essential(scene: TwoViewScene) -> np.ndarray:
    return essential_matrix(scene.rotation, scene.translation)


def two_motions(many: int, few: int) -> tuple[np.ndarray, RobustEstimate, RobustEstimate]:
    """`many` matches of one motion and then `few` of another, and both motions."""
    one, other = (random_scene(seed, n, 1e-4, 0.0) for seed, n in ((1, many), (2, few)))
    matches = np.vstack((one.correspondences, other.correspondences)).astype(np.float64)
    estimates = [
        verified(essential(scene), matches[:, :2], matches[:, 2:], THRESHOLD)
        for scene in (one, other)
    ]
    return matches, estimates[0], estimates[1]


def test_a_few_that_are_sure_outweigh_many_that_are_not() -> None:
    matches, one, other = two_motions(60, 40)
    assert one.inlier.sum() > other.inlier.sum()
    unsure = np.full(100, 1.0)
    assert most_likely([other, one], matches, unsure, THRESHOLD) is one
    score = np.concatenate((np.full(60, -2.0), np.full(40, 5.0)))
    assert most_likely([one, other], matches, score, THRESHOLD) is other
    assert most_likely([other, one], matches, score, THRESHOLD) is other


def test_scores_beyond_what_can_be_believed_count_as_sure() -> None:
    matches, one, other = two_motions(60, 40)
    score = np.concatenate((np.full(60, 20.0), np.full(40, 1e3)))
    assert most_likely([other, one], matches, score, THRESHOLD) is one


def test_a_failure_is_no_answer() -> None:
    matches, one, _ = two_motions(60, 40)
    score = np.zeros(100)
    assert most_likely([failure(100), one], matches, score, THRESHOLD) is one
    assert most_likely([failure(100)], matches, score, THRESHOLD) is None


@pytest.fixture
def scored() -> tuple[np.ndarray, MatchScores]:
    """Sixty matches of one motion, hardly above the threshold, forty of another, well above."""
    matches, _, _ = two_motions(60, 40)
    score = np.concatenate((np.full(60, 0.2), np.full(40, 4.0)))
    return matches, MatchScores(np.full((3, 3), np.nan), np.full(100, np.inf), score)


def test_sampling_alone_would_take_the_many(scored: tuple[np.ndarray, MatchScores]) -> None:
    """The motion that most candidates agree with is not the one that the scores speak for."""
    matches, scores = scored
    found, _ = robust_estimate("poselib", scores, matches, 0.0, THRESHOLD, PoseConfig(min_lead=0))
    assert found.success and found.inlier[60:].mean() > 0.95
    equal = dataclasses.replace(scores, score=np.full(100, 1.0))
    found, _ = robust_estimate("poselib", equal, matches, 0.0, THRESHOLD, PoseConfig(min_lead=0))
    assert found.inlier[:60].mean() > 0.95


def test_inliers_are_candidates_within_the_threshold(
    scored: tuple[np.ndarray, MatchScores],
) -> None:
    """Sampling reaches further in distance and in score than what is called an inlier."""
    matches, scores = scored
    score = scores.score.copy()
    score[60:70] = -0.5  # looked at, but no candidates
    scores = dataclasses.replace(scores, score=score)
    found, _ = robust_estimate("poselib", scores, matches, 0.0, THRESHOLD, PoseConfig(min_lead=0))
    assert len(found.inlier) == 90
    again = verified(found.essential, matches[score > 0, :2], matches[score > 0, 2:], THRESHOLD)
    assert np.array_equal(found.inlier, again.inlier)


def test_what_is_no_number_is_left_out(scored: tuple[np.ndarray, MatchScores]) -> None:
    matches, scores = scored
    matches = np.vstack((matches, np.full((5, 4), np.nan)))
    score = np.concatenate((scores.score, np.full(5, -np.inf)))
    scores = MatchScores(scores.essential, np.full(105, np.inf), score)
    found, _ = robust_estimate("poselib", scores, matches, 0.0, THRESHOLD, PoseConfig(min_lead=0))
    assert found.success and len(found.inlier) == 100


def test_equal_answers_are_not_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    matches, _, _ = two_motions(60, 40)
    asked = []
    solve = robust_pose.solve
    monkeypatch.setattr(robust_pose, "solve", lambda *a: asked.append(len(a[1])) or solve(*a))
    for score in (np.full(100, 3.0), np.arange(100) / 25.0 - 2):
        scores = MatchScores(np.full((3, 3), np.nan), np.full(100, np.inf), score)
        robust_estimate("poselib", scores, matches, 0.0, THRESHOLD, PoseConfig(min_lead=0))
    assert asked == [100, 68, 31]


def test_matches_below_the_threshold_speak_in_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two motions with as many candidates each, the one that the doubtful matches agree with."""
    matches, one, other = two_motions(60, 60)
    for doubtful, expected in ((slice(20, 60), one), (slice(80, 120), other)):
        score = np.concatenate((np.full(60, 2.0), np.full(60, 2.0)))
        score[20:60] = score[80:120] = -9.0
        score[doubtful] = -0.9
        score[[0, 60]] = 1.0  # what makes the second part of the samplings another one
        answers = iter((one, other))
        monkeypatch.setattr(robust_pose, "solve", lambda *_, answers=answers: next(answers))
        scores = MatchScores(np.full((3, 3), np.nan), np.full(120, np.inf), score)
        config = PoseConfig(min_lead=0)
        found, _ = robust_estimate("poselib", scores, matches, 0.5, THRESHOLD, config)
        assert rotation_angle(found.rotation, expected.rotation) < np.deg2rad(0.5)


def test_no_motion_nearby_is_more_likely() -> None:
    """Nor the sampled one, at which all its inliers pull alike."""
    for seed in range(4):
        scene = random_scene(seed, 80, 2e-5, 0.0)
        random = np.random.default_rng(seed)
        matches = scene.correspondences.astype(np.float64)
        matches[40:] += random.uniform(-1.0, 1.0, (40, 4)) * THRESHOLD
        first, second = matches[:, :2], matches[:, 2:]
        sampled = poselib.estimate(first, second, THRESHOLD)
        likely = at_most_likely(sampled, first, second, THRESHOLD)
        others = [sampled.essential]
        for turn in 2e-4 * np.vstack((np.eye(3), -np.eye(3))):
            rotation = Rotation.from_rotvec(turn).as_matrix()
            others.append(essential_matrix(rotation @ likely.rotation, likely.translation))
            others.append(essential_matrix(likely.rotation, rotation @ likely.translation))
        sure = np.full(80, 8.0)
        logs = log_likelihoods(np.stack([likely.essential, *others]), matches, sure, THRESHOLD)
        assert logs.argmax() == 0
        again = verified(likely.essential, first, second, THRESHOLD)
        assert np.array_equal(likely.inlier, again.inlier)


def test_matches_far_away_do_not_pull() -> None:
    matches, one, _ = two_motions(60, 40)
    alone = at_most_likely(one, matches[:60, :2], matches[:60, 2:], THRESHOLD)
    far = ~near(matches, one)
    assert far[60:].sum() > 20
    kept = np.flatnonzero(~far | (np.arange(100) < 60))
    among = at_most_likely(one, matches[:, :2], matches[:, 2:], THRESHOLD)
    without = at_most_likely(one, matches[kept, :2], matches[kept, 2:], THRESHOLD)
    assert np.array_equal(among.rotation, without.rotation)
    assert rotation_angle(among.rotation, alone.rotation) < np.deg2rad(0.1)


def test_too_few_matches_nearby_leave_the_motion_as_it_is() -> None:
    matches, one, _ = two_motions(60, 40)
    few = np.vstack((matches[:5], matches[60:][~near(matches, one)[60:]][:5]))
    kept = at_most_likely(one, few[:, :2], few[:, 2:], THRESHOLD)
    np.testing.assert_allclose(kept.rotation, one.rotation, atol=1e-9)
    assert kept.inlier.sum() == 5


def test_what_is_sampled_is_refined_on_the_candidates(
    scored: tuple[np.ndarray, MatchScores],
) -> None:
    matches, scores = scored
    matches = matches + np.random.default_rng(0).uniform(-0.5, 0.5, matches.shape) * THRESHOLD
    found, _ = robust_estimate("poselib", scores, matches, 0.0, THRESHOLD, PoseConfig(min_lead=0))
    again = at_most_likely(found, matches[:, :2], matches[:, 2:], THRESHOLD)
    assert rotation_angle(found.rotation, again.rotation) < 1e-6
    sampled = poselib.estimate(matches[60:, :2], matches[60:, 2:], 1.5 * THRESHOLD)
    assert rotation_angle(sampled.rotation, again.rotation) > 1e-5


def near(matches: np.ndarray, motion: RobustEstimate) -> np.ndarray:
    """Which matches are within ten thresholds of a motion."""
    rows, essential = torch.from_numpy(matches), torch.from_numpy(motion.essential)
    distance: np.ndarray = sampson_distance_squared(rows, essential).numpy()
    return distance < (10 * THRESHOLD) ** 2


def rotation_angle(one: np.ndarray, other: np.ndarray) -> float:
    return float(Rotation.from_matrix(one.T @ other).magnitude())
