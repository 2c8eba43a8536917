"""Covariance of the relative pose: does it foretell how estimates scatter?"""

from __future__ import annotations

import numpy as np
import poselib
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import chi2
from two_view_scene import TwoViewScene, random_scene, real_pairs

from msga_ros.geometry.covariance import relative_pose_covariance
from msga_ros.geometry.pose import invert_pose
from msga_ros.geometry.robust import SOLVERS

SIGMA = 5e-4  # half a pixel at a focal length of 1000
TRIALS = 150
UNIT_CAMERA = {"model": "PINHOLE", "width": 2, "height": 2, "params": [1.0, 1.0, 0.0, 0.0]}


def refined(scene: TwoViewScene, points0: np.ndarray, points1: np.ndarray):
    """Least-squares pose (PoseLib, no robust loss) started from the truth."""
    start = poselib.CameraPose()
    start.R, start.t = scene.rotation, scene.translation
    pose, _ = poselib.refine_relative_pose(
        points0, points1, start, UNIT_CAMERA, UNIT_CAMERA, {"loss_type": "TRIVIAL"}
    )
    return pose.R, pose.t / np.linalg.norm(pose.t)


def pose_difference(true, estimated) -> np.ndarray:
    """The six numbers of RelativePose.covariance that lead from the estimate to the truth."""
    (rotation_true, position_true), (rotation, position) = (
        invert_pose(*p) for p in (true, estimated)
    )
    turn = Rotation.from_matrix(rotation_true @ rotation.T).as_rotvec()
    return np.concatenate([position_true - position, turn])


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("known_sigma", [True, False])
def test_foretells_the_scatter_of_estimates(seed: int, known_sigma: bool) -> None:
    """The normalised estimation error squared is chi-square with five degrees of freedom."""
    scene = random_scene(seed, count=80)
    rng = np.random.default_rng(100 + seed)
    differences, errors = [], []
    for _ in range(TRIALS):
        points0 = scene.points0 + SIGMA * rng.normal(size=scene.points0.shape)
        points1 = scene.points1 + SIGMA * rng.normal(size=scene.points1.shape)
        estimate = refined(scene, points0, points1)
        covariance = relative_pose_covariance(
            points0, points1, *estimate, SIGMA if known_sigma else None
        )
        difference = pose_difference((scene.rotation, scene.translation), estimate)
        differences.append(difference)
        errors.append(
            difference @ np.linalg.pinv(covariance, rcond=1e-9, hermitian=True) @ difference
        )
    # For an unknown sigma the error has an F distribution, whose mean is (N - 5) / (N - 7) larger.
    mean = np.mean(errors) * (1.0 if known_sigma else 73 / 75)
    low, high = chi2.ppf([5e-4, 1 - 5e-4], 5 * TRIALS) / TRIALS
    assert low < mean < high
    predicted = relative_pose_covariance(
        scene.points0, scene.points1, scene.rotation, scene.translation, SIGMA
    )
    ratio = np.std(differences, axis=0) / np.sqrt(np.diag(predicted))
    assert (ratio > 0.8).all()
    assert (ratio < 1.25).all()


def test_the_length_of_the_translation_has_no_variance() -> None:
    scene = random_scene(2)
    covariance = relative_pose_covariance(
        scene.points0, scene.points1, scene.rotation, 3.0 * scene.translation, SIGMA
    )
    np.testing.assert_allclose(covariance, covariance.T)
    values = np.linalg.eigvalsh(covariance)
    assert values[0] == pytest.approx(0.0, abs=1e-15)
    assert values[1] > 0
    position = invert_pose(scene.rotation, scene.translation)[1]
    np.testing.assert_allclose(covariance[:3, :3] @ position, 0.0, atol=1e-15)


def test_an_estimated_sigma_has_a_floor_and_a_given_one_has_not() -> None:
    scene = random_scene(6, noise=1e-4)
    views = (scene.points0, scene.points1, scene.rotation, scene.translation)
    floored = relative_pose_covariance(*views, minimum_sigma=SIGMA)
    np.testing.assert_allclose(floored, relative_pose_covariance(*views, sigma=SIGMA))
    free = relative_pose_covariance(*views)
    assert np.trace(free) == pytest.approx((1e-4 / SIGMA) ** 2 * np.trace(floored), rel=0.5)
    np.testing.assert_allclose(relative_pose_covariance(*views, minimum_sigma=1e-6), free)
    low = relative_pose_covariance(*views, sigma=1e-4, minimum_sigma=SIGMA)
    assert np.trace(low) == pytest.approx((1e-4 / SIGMA) ** 2 * np.trace(floored))


def test_covers_the_errors_of_real_pairs() -> None:
    """With the inlier threshold as floor, the error is of the size that the covariance says."""
    ratios = []
    for pair in real_pairs(40):
        kept = pair.ratio < 0.8
        points0, points1 = pair.correspondences[kept, :2], pair.correspondences[kept, 2:]
        found = SOLVERS.load("poselib")(points0, points1, 1.0 / pair.focal)
        covariance = relative_pose_covariance(
            points0[found.inlier],
            points1[found.inlier],
            found.rotation,
            found.translation,
            minimum_sigma=1.0 / pair.focal,
        )
        difference = pose_difference(
            (pair.rotation, pair.translation), (found.rotation, found.translation)
        )
        spread = np.sqrt([np.trace(covariance[:3, :3]), np.trace(covariance[3:, 3:])])
        ratios.append([np.linalg.norm(difference[:3]), np.linalg.norm(difference[3:])] / spread)
    assert (np.median(ratios, axis=0) < 2.0).all()
    assert (np.median(ratios, axis=0) > 0.2).all()


def test_more_matches_and_less_noise_are_better() -> None:
    scene = random_scene(3, count=400)
    pose = (scene.rotation, scene.translation)

    def total(count: int, sigma: float) -> float:
        return np.trace(
            relative_pose_covariance(scene.points0[:count], scene.points1[:count], *pose, sigma)
        )

    assert total(400, 2 * SIGMA) == pytest.approx(4 * total(400, SIGMA))
    assert total(100, SIGMA) == pytest.approx(4 * total(400, SIGMA), rel=0.5)


def test_less_parallax_is_less_certain_in_translation_alone() -> None:
    near = random_scene(4, depth=(3.0, 6.0), angle=0.0)
    far = random_scene(4, depth=(30.0, 60.0), angle=0.0)
    spread = [
        np.sqrt(
            np.diag(
                relative_pose_covariance(s.points0, s.points1, s.rotation, s.translation, SIGMA)
            )
        )
        for s in (near, far)
    ]
    assert np.linalg.norm(spread[1][:3]) > 3 * np.linalg.norm(spread[0][:3])
    assert np.linalg.norm(spread[1][3:]) < 3 * np.linalg.norm(spread[0][3:])


@pytest.mark.parametrize(
    "case", ["few", "few_sigma_unknown", "no_parallax", "one_point", "nan", "t"]
)
def test_no_answer_is_nan_and_no_exception(case: str) -> None:
    scene = random_scene(5)
    points0, points1, translation, sigma = scene.points0, scene.points1, scene.translation, SIGMA
    if case == "few":
        points0, points1 = points0[:4], points1[:4]
    elif case == "few_sigma_unknown":
        points0, points1, sigma = points0[:5], points1[:5], None
    elif case == "no_parallax":
        rays = np.column_stack([points0, np.ones(len(points0))]) @ scene.rotation.T
        points1 = rays[:, :2] / rays[:, 2:]
    elif case == "one_point":
        points0, points1 = np.repeat(points0[:1], 50, axis=0), np.repeat(points1[:1], 50, axis=0)
    elif case == "nan":
        points0 = np.where(np.arange(100)[:, None] == 7, np.nan, points0)
    else:
        translation = np.zeros(3)
    covariance = relative_pose_covariance(points0, points1, scene.rotation, translation, sigma)
    assert covariance.shape == (6, 6)
    assert np.isnan(covariance).all()
