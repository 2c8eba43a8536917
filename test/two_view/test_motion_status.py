"""What a motion is worth: the limits of the configuration, and whose errors are independent."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from msga_ros.geometry.epipolar import sampson_distance_squared
from msga_ros.geometry.pose import essential_matrix
from msga_ros.network.match_scores import MatchScores
from msga_ros.two_view.config import PipelineConfig, PoseConfig
from msga_ros.two_view.motion import Motion, motion_status
from msga_ros.two_view.relative_pose import estimate_motion
from msga_ros.two_view.result import Status


def motion(over_noise: float, independent: bool) -> Motion:
    everybody = np.ones(50, dtype=bool)
    return Motion(
        essential=np.eye(3),
        rotation=np.eye(3),
        translation=np.array([1.0, 0.0, 0.0]),
        covariance=np.eye(6),
        candidate=everybody,
        inlier=everybody,
        inlier_probability=np.ones(50),
        median_parallax=0.1,
        parallax_over_noise=over_noise,
        false_alarms=0.0,
        ambiguous=False,
        independent=independent,
    )


@pytest.mark.parametrize(
    ("over_noise", "independent", "status"),
    [
        (3.1, False, Status.OK),
        (2.9, False, Status.DEGENERATE),
        (2.9, True, Status.OK),
        (2.0, True, Status.DEGENERATE),
    ],
)
def test_independent_matches_need_less_parallax_over_their_noise(
    over_noise: float, independent: bool, status: Status
) -> None:
    assert motion_status(motion(over_noise, independent), PoseConfig()) is status


@pytest.mark.parametrize(
    ("picked", "independent", "false_alarms", "status"),
    [
        (True, True, 1e-13, Status.OK),
        (True, True, 1e-11, Status.TOO_FEW_MATCHES),
        (False, True, 1e-11, Status.OK),  # whoever let all through has chosen none by its looks
        (True, False, 1e-11, Status.OK),  # asked of all matches already
        (False, True, 1e-2, Status.TOO_FEW_MATCHES),
    ],
)
def test_matches_picked_by_a_sieve_must_agree_the_more(
    picked: bool, independent: bool, false_alarms: float, status: Status
) -> None:
    candidate = np.ones(50, dtype=bool)
    candidate[40:] = not picked
    one = dataclasses.replace(
        motion(5.0, independent), candidate=candidate, inlier=candidate, false_alarms=false_alarms
    )
    assert motion_status(one, PoseConfig()) is status
    ambiguous = dataclasses.replace(one, ambiguous=True)
    if false_alarms < 1e-3:
        assert motion_status(ambiguous, PoseConfig()) is Status.DEGENERATE


def test_wrong_matches_that_were_picked_to_agree_are_no_motion() -> None:
    """Of thousands that are all wrong, those within one and a half thresholds of some motion."""
    config = PipelineConfig(pose=PoseConfig(min_lead=0, min_parallax_over_noise=0))
    threshold = 1 / 600
    sideways = torch.from_numpy(essential_matrix(np.eye(3), np.array([1.0, 0.0, 0.0])))
    chances = []
    for seed in (2, 3, 5, 7):
        matches = np.random.default_rng(seed).uniform(-0.5, 0.5, (4000, 4))
        squared = sampson_distance_squared(torch.from_numpy(matches), sideways).numpy()
        picked = np.flatnonzero(squared < (1.5 * threshold) ** 2)[:24]
        score = np.full(4000, -5.0)
        score[picked] = 5.0
        scores = MatchScores(np.full((3, 3), np.nan), np.full(4000, np.inf), score)
        found = estimate_motion(scores, matches, config, 1 / threshold)
        assert motion_status(found, config.pose) is Status.TOO_FEW_MATCHES
        chances.append(found.false_alarms)
    # The test for unrelated points lets them pass.
    assert max(chances) < config.pose.max_false_alarms
