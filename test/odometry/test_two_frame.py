"""Motion between two frames: right, and as uncertain as it says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from odometry.rig_scene import CAMERA, RIG, Scene
from scipy import stats

from msga_ros.geometry.pose import rotation_angle_deg
from msga_ros.geometry.rotations import rotation_matrix, rotation_vector
from msga_ros.odometry.observations import Observations, Rig, RigBelief, TwoFrameSolution
from msga_ros.odometry.poses import UncertainPose, pose_error
from msga_ros.odometry.two_frame import solve_two_frames

NOISE = 0.5


def observe(
    scene: Scene, rng: np.random.Generator, noise: float = NOISE, rig: Rig = RIG
) -> Observations:
    """Frames 0 and 1; three in ten lack the right view in one frame, as many in the other."""
    views = [
        CAMERA.normalize(scene.view(frame, rng, noise, side).keypoints)
        for frame, side in ((0, None), (1, None), (0, rig), (1, rig))
    ]
    seen = np.isfinite(views[0]).all(1) & np.isfinite(views[1]).all(1)
    left0, left1, right0, right1 = (view[seen] for view in views)
    right0[rng.random(len(right0)) < 0.3] = np.nan
    right1[rng.random(len(right1)) < 0.3] = np.nan
    nothing = np.full(len(left0), np.nan)
    return Observations(left0, left1, right0, right1, np.ones(len(left0)), nothing, nothing)


def solve(
    observations: Observations, scene: Scene, rng: np.random.Generator, **options: object
) -> TwoFrameSolution:
    rotation, position = scene.true_motion(0, 1)
    solution = solve_two_frames(
        observations,
        rotation_matrix(rng.normal(0, 0.002, 3)) @ rotation,
        position + rng.normal(0, 0.03, 3),
        np.full(len(observations), np.nan),
        rig=RIG,
        focal=500.0,
        **options,  # type: ignore[arg-type]
    )
    assert solution is not None
    return solution


def error(solution: TwoFrameSolution, scene: Scene) -> np.ndarray:
    pose = UncertainPose(solution.rotation, solution.position, solution.covariance)
    return pose_error(pose, *scene.true_motion(0, 1))


def test_exact_without_noise() -> None:
    rng = np.random.default_rng(0)
    scene = Scene.drive(rng, 2)
    solution = solve(observe(scene, rng, 0.0), scene, rng)
    assert np.abs(error(solution, scene)).max() < 1e-6


@pytest.mark.parametrize("sigma", [NOISE, None])
def test_covariance_is_consistent(sigma: float | None) -> None:
    """The normalised error squared of 80 independent motions is chi-square distributed."""
    rng = np.random.default_rng(1)
    squared = []
    for _ in range(80):
        scene = Scene.drive(rng, 2)
        solution = solve(observe(scene, rng), scene, rng, sigma=sigma)
        wrong = error(solution, scene)
        squared.append(wrong @ np.linalg.solve(solution.covariance, wrong))
    low, high = stats.chi2.ppf([0.001, 0.999], 6 * len(squared))
    assert low < sum(squared) < high
    # Not only on average: single motions, too.
    beyond = np.mean(np.array(squared) > stats.chi2.ppf(0.95, 6))
    assert 0.0 < beyond < 0.12


def test_sigma_is_estimated() -> None:
    rng = np.random.default_rng(2)
    sigmas = []
    for _ in range(20):
        scene = Scene.drive(rng, 2)
        sigmas.append(solve(observe(scene, rng), scene, rng).sigma)
    assert np.mean(sigmas) == pytest.approx(NOISE, rel=0.05)


def test_outliers_are_found_and_do_no_harm() -> None:
    rng = np.random.default_rng(3)
    scene = Scene.drive(rng, 2)
    observations = observe(scene, rng)
    wrong = np.arange(len(observations)) % 4 == 0
    observations.left1[wrong] = np.roll(observations.left1[wrong], 1, axis=0)
    solution = solve(observations, scene, rng)
    assert solution.inlier[wrong].mean() < 0.1
    assert solution.inlier[~wrong].mean() > 0.9
    turned = rotation_angle_deg(solution.rotation.T @ scene.true_motion(0, 1)[0])
    assert turned < 0.1
    assert np.linalg.norm(error(solution, scene)[:3]) < 0.02


def test_inliers_and_points_stand_with_their_matches() -> None:
    """Among more matches than the solution has points, in another order."""
    rng = np.random.default_rng(5)
    scene = Scene.drive(rng, 2)
    observations = observe(scene, rng)
    wrong = np.arange(len(observations)) % 4 == 0
    observations.left1[wrong] = np.roll(observations.left1[wrong], 1, axis=0)
    solution = solve(observations, scene, rng)
    count = len(observations) + 7
    rows = rng.permutation(count)[: len(observations)]
    inlier, points = solution.among(rows, count)
    assert inlier.sum() == solution.inlier.sum() < len(rows)
    assert np.array_equal(inlier[rows], solution.inlier)
    np.testing.assert_array_equal(points[rows], solution.points_in_current())
    others = np.delete(np.arange(count), rows)
    assert not inlier[others].any() and np.isnan(points[others]).all()


def test_a_rig_out_of_calibration_is_found_and_corrected() -> None:
    """Vergence off by 0.15 degrees makes the motion several percent too long or too short."""
    rng = np.random.default_rng(4)
    truth = np.radians([0.03, 0.15, -0.04])
    scene = Scene.drive(rng, 2, points=600)
    observations = observe(scene, rng, 0.2, RIG.turned(truth))
    trusted = solve(observations, scene, rng)
    doubted = solve(observations, scene, rng, belief=RigBelief.calibrated(np.radians(0.1)))
    assert doubted.rig is not None
    sigma = np.sqrt(np.diag(doubted.rig.covariance))
    assert (np.abs(doubted.rig.mean - truth) < 4 * sigma).all()
    assert sigma.max() < np.radians(0.03)
    length = np.linalg.norm(scene.true_motion(0, 1)[1])
    assert abs(np.linalg.norm(trusted.position) - length) > 0.02 * length
    assert abs(np.linalg.norm(doubted.position) - length) < 0.01 * length


def test_covariance_holds_what_is_not_known_of_the_rig() -> None:
    """Over rigs as wrong as it is believed, the normalised error stays chi-square distributed."""
    rng = np.random.default_rng(5)
    sigma, squared = np.radians(0.1), []
    for _ in range(40):
        scene = Scene.drive(rng, 2)
        observations = observe(scene, rng, NOISE, RIG.turned(rng.normal(0, sigma, 3)))
        belief = RigBelief.calibrated(sigma)
        solution = solve(observations, scene, rng, sigma=NOISE, belief=belief)
        wrong = error(solution, scene)
        squared.append(wrong @ np.linalg.solve(solution.covariance, wrong))
    low, high = stats.chi2.ppf([0.001, 0.999], 6 * len(squared))
    assert low < sum(squared) < high


def test_a_belief_that_is_wrong_moves_the_pose_as_far_as_is_said() -> None:
    """`by_rig`: a rig believed to be turned by one standard deviation more, along each axis."""
    rng = np.random.default_rng(8)
    sigma = np.radians(0.1)
    scene = Scene.drive(rng, 2, points=60)
    observations = observe(scene, rng, 1.0)
    information = np.eye(3) / sigma**2
    solutions = [
        solve(observations, scene, rng, sigma=1.0, belief=RigBelief(mean, information))
        for mean in (np.zeros(3), *(sigma * np.eye(3)))
    ]
    middle, others = solutions[0], solutions[1:]
    for column, other in zip(middle.by_rig.T, others, strict=True):
        turn = rotation_vector(other.rotation @ middle.rotation.T)
        moved = np.concatenate([other.position - middle.position, turn])
        # To first order, and the weights of the points move along.
        assert np.linalg.norm(moved - column) < 0.35 * np.linalg.norm(moved)
        assert np.linalg.norm(moved) > 2e-4
    # It is part of the covariance, beside the noise of the keypoints.
    noise = np.einsum("nir,njr->ij", middle.sensitivity, middle.sensitivity)
    np.testing.assert_allclose(
        middle.covariance - noise, middle.by_rig @ middle.by_rig.T, atol=1e-12
    )


def test_one_camera_tells_no_length() -> None:
    rng = np.random.default_rng(6)
    scene = Scene.drive(rng, 2)
    seen = observe(scene, rng)
    nothing = np.full_like(seen.left0, np.nan)
    alone = dataclasses.replace(seen, right0=nothing, right1=nothing)
    rotation, position = scene.true_motion(0, 1)
    solution = solve_two_frames(
        alone,
        rotation,
        3.0 * position,
        np.full(len(alone), np.nan),
        rig=None,
        focal=500.0,
        scale_known=False,
    )
    assert solution is not None
    along = solution.position / np.linalg.norm(solution.position)
    assert np.linalg.norm(solution.position) == pytest.approx(3.0 * np.linalg.norm(position))
    assert along @ solution.covariance[:3, :3] @ along == pytest.approx(0.0, abs=1e-9)
    assert along @ position / np.linalg.norm(position) > np.cos(np.radians(1.5))


def test_too_few_points_are_no_motion() -> None:
    rng = np.random.default_rng(7)
    scene = Scene.drive(rng, 2)
    seen = observe(scene, rng)
    few = seen.subset(np.arange(len(seen)) < 2)
    rotation, position = scene.true_motion(0, 1)
    nothing = np.full(len(few), np.nan)
    assert solve_two_frames(few, rotation, position, nothing, rig=RIG, focal=500.0) is None
