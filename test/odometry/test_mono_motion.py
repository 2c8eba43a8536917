"""Motion of one camera: depths that err together do not bend it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from msga_ros.geometry.pose import rotation_angle_deg
from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.odometry import mono_motion, one_camera
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
    monkeypatch.setattr(mono_motion, "pose_from_depths", lambda *_: pose)
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


def moved(observations: Observations, config: OdometryConfig | None = None) -> tuple[float, bool]:
    """Length of the motion found at the last speed of 9, and whether points told it."""
    solution, by_points = solve_motion(
        observations, FOCAL, config or OdometryConfig(), scaled=True, speed=9.0
    )
    assert solution is not None
    return float(np.linalg.norm(solution.position)), by_points


def test_depths_that_say_nothing_tell_no_length() -> None:
    observations = observed(np.random.default_rng(5))
    vague = replace(observations, inverse_depth_sigma=0.6 * observations.inverse_depth)
    few = observations.inverse_depth.copy()
    few[OdometryConfig().min_inliers - 1 :] = np.nan
    for one in (vague, replace(observations, inverse_depth=few)):
        assert moved(one) == (pytest.approx(9.0), False)
    true = float(np.linalg.norm(POSITION))
    assert moved(observations) == (pytest.approx(true, rel=0.1), True)


def test_after_a_standstill_the_length_is_one() -> None:
    unknown = replace(observed(np.random.default_rng(6)), inverse_depth=np.full(140, np.nan))
    solution, _ = solve_motion(unknown, FOCAL, OdometryConfig(), scaled=True, speed=0.0)
    assert solution is not None and np.linalg.norm(solution.position) == pytest.approx(1.0)


def test_wrong_matches_among_the_points_do_not_bend_their_pose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the matches alone say nothing, the pose by depths has to stand wrong ones."""
    monkeypatch.setattr(mono_motion, "relative_pose", lambda *_: None)
    rng = np.random.default_rng(7)
    observations = observed(rng)
    left1 = observations.left1.copy()
    left1[:28] = rng.uniform(-0.6, 0.6, (28, 2))
    solution, by_points = solve_motion(
        replace(observations, left1=left1), FOCAL, OdometryConfig(), scaled=True, speed=9.0
    )
    assert solution is not None and by_points
    assert rotation_angle_deg(solution.rotation.T @ ROTATION) < 0.3
    np.testing.assert_allclose(solution.position, POSITION, atol=0.05)
    assert solution.inlier[28:].mean() > 0.9 and solution.inlier[:28].mean() < 0.2


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("behind", [30, 40, 60])
def test_the_length_is_that_of_most_points_before_the_camera(
    behind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the points with a depth some are far too near, and more match what is behind."""
    turned = rotation_matrix([0.0, 0.1, 0.0]) @ ROTATION
    monkeypatch.setattr(mono_motion, "pose_from_depths", lambda *_: (turned, -POSITION))
    observations = observed(np.random.default_rng(8))
    left1, inverse = observations.left1.copy(), observations.inverse_depth.copy()
    # Beyond the point at infinity, seen from the epipole: the rays meet behind both cameras.
    rays = np.column_stack([observations.left0, np.ones(140)])
    infinite = rays @ ROTATION
    infinite = infinite[:, :2] / infinite[:, 2:]
    left1[:behind] = (2 * infinite - left1)[:behind]
    inverse[behind : behind + 5] *= 0.01
    wrong = replace(
        observations, left1=left1, inverse_depth=inverse, inverse_depth_sigma=0.05 * inverse
    )
    solution, _ = solve_motion(wrong, FOCAL, OdometryConfig(), scaled=True, speed=9.0)
    if behind < 60:  # else no depth is left that could tell
        assert solution is not None
        assert rotation_angle_deg(solution.rotation.T @ ROTATION) < 0.5
        length = float(np.linalg.norm(POSITION))
        assert np.linalg.norm(solution.position) == pytest.approx(length, rel=0.1)


def explained(monkeypatch: pytest.MonkeyPatch, *counts: int | None) -> list[int]:
    """Adjustments that explain so many of the 140 matches, one after the other; None: fails.

    Returns, filled as they are asked for, which of them were.
    """
    asked: list[int] = []

    def solve(*_: object, **__: object) -> TwoFrameSolution | None:
        count = counts[len(asked)]
        asked.append(len(asked))
        if count is None:
            return None
        nothing = np.zeros(140)
        return TwoFrameSolution(
            rotation=ROTATION, position=POSITION, covariance=np.eye(6),
            inlier=np.arange(140) < count, ray=np.zeros((140, 2)), inverse_depth=nothing,
            inverse_depth_sigma=nothing, sensitivity=np.zeros((140, 6, 9)), sigma=1.0,
            by_rig=np.zeros((6, 3)), rig=None,
        )  # fmt: skip

    monkeypatch.setattr(one_camera, "solve_two_frames", solve)
    return asked


@pytest.mark.parametrize(
    ("counts", "taken", "begun"),
    [
        ((80, 86), 80, 2),  # five of a hundred more, seven of these, it has to explain
        ((80, 88), 88, 2),
        ((134,), 134, 1),  # there is no room for so many more
        ((None, 30), 30, 2),
        ((80, None), 80, 2),
        ((80, 11), 80, 2),
        ((None, None), None, 2),
        ((11, 11), None, 2),  # fewer than a motion takes
    ],
)
def test_the_second_beginning_is_taken_where_it_explains_clearly_more(
    counts: tuple[int | None, ...],
    taken: int | None,
    begun: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = explained(monkeypatch, *counts)
    observations = observed(np.random.default_rng(9))
    solution, by_points = solve_motion(
        observations, FOCAL, OdometryConfig(), scaled=True, speed=9.0
    )
    assert (None if solution is None else solution.inlier.sum()) == taken
    assert by_points is (taken is not None) and len(asked) == begun


def test_where_neither_points_nor_matches_tell_there_is_no_motion() -> None:
    observations = observed(np.random.default_rng(10))
    still = replace(observations, left1=observations.left0, inverse_depth=np.full(140, np.nan))
    assert solve_motion(still, FOCAL, OdometryConfig(), scaled=True, speed=9.0) == (None, False)


def test_the_limits_of_the_configuration_are_kept() -> None:
    observations = observed(np.random.default_rng(11))
    for config in (OdometryConfig(min_noise_px=4.0), OdometryConfig(noise_px=5.0)):
        solution, _ = solve_motion(observations, FOCAL, config, scaled=True, speed=9.0)
        assert solution is not None and solution.sigma == max(config.min_noise_px, config.noise_px)
