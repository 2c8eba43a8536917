"""Motion of one camera: depths that err together do not bend it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from msga_ros.geometry.pose import rotation_angle_deg
from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.odometry import mono_motion
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.mono_motion import solve_motion
from msga_ros.odometry.observations import Observations, TwoFrameSolution

FOCAL, NOISE_PX = 500.0, 0.3
ROTATION, POSITION = rotation_matrix([0.02, -0.2, 0.01]), np.array([0.6, 0.05, 0.2])


def observed(rng: np.random.Generator) -> Observations:
    """A room of 140 points, seen after a step and a turn; 60 have a depth, known to 5 %."""
    points = rng.uniform([-2.0, -1.5, 3.0], [2.0, 1.5, 6.0], (140, 3))
    moved = (points - POSITION) @ ROTATION
    left0, left1 = (
        seen[:, :2] / seen[:, 2:] + rng.normal(0, NOISE_PX / FOCAL, (140, 2))
        for seen in (points, moved)
    )
    inverse = (1 + 0.05 * rng.normal(size=140)) / points[:, 2]
    inverse[60:] = np.nan
    nothing = np.full((140, 2), np.nan)
    return Observations(
        left0=left0,
        left1=left1,
        right0=nothing,
        right1=nothing,
        weight=np.ones(140),
        inverse_depth=inverse,
        inverse_depth_sigma=0.05 * inverse,
    )


def check(solution: TwoFrameSolution | None) -> None:
    """The motion is the true one, of the length that the depths say, and explains the matches."""
    assert solution is not None
    assert rotation_angle_deg(solution.rotation.T @ ROTATION) < 0.3
    np.testing.assert_allclose(solution.position, POSITION, atol=0.05)
    assert solution.inlier.mean() > 0.9


@pytest.mark.parametrize("turn_deg", [0.0, 1.0, 3.0, 6.0])
def test_a_pose_by_bad_depths_does_not_bend_the_motion(
    turn_deg: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The depths' pose is off by a turn that a shift to the side hides; the matches know better."""
    turned = rotation_matrix([0.0, np.radians(turn_deg), 0.0]) @ ROTATION
    shifted = POSITION - [np.radians(turn_deg) * 4.5, 0.0, 0.0]
    pose = turned, shifted
    monkeypatch.setattr(mono_motion, "absolute_pose", lambda *_: pose)
    observations = observed(np.random.default_rng(3))
    solution, by_points = solve_motion(
        observations, FOCAL, OdometryConfig(), scaled=True, speed=9.0
    )
    check(solution)
    assert by_points


def test_without_depths_the_length_is_the_last_one() -> None:
    observations = observed(np.random.default_rng(4))
    unknown = replace(observations, inverse_depth=np.full(140, np.nan))
    for scaled, length in ((True, 9.0), (False, 1.0)):
        solution, by_points = solve_motion(
            unknown, FOCAL, OdometryConfig(), scaled=scaled, speed=9.0
        )
        assert solution is not None and not by_points
        assert np.linalg.norm(solution.position) == pytest.approx(length)
        assert rotation_angle_deg(solution.rotation.T @ ROTATION) < 0.5
