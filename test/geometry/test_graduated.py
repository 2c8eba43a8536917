"""The estimator without sampling: right among outliers, always the same, quiet when hopeless."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from two_view_scene import TwoViewScene, random_scene, real_pairs

from msga_ros.geometry.pose import essential_matrix, invert_pose, pose_error_deg
from msga_ros.geometry.robust import graduated
from msga_ros.geometry.robust.base import RobustEstimate

NOISE = 1e-3
THRESHOLD = 3e-3


def scores(outlier: np.ndarray, seed: int = 0, mistaken: float = 0.1) -> np.ndarray:
    """Logits of a network that takes this share of the matches for their opposite."""
    rng = np.random.default_rng(seed)
    wrong = outlier ^ (rng.random(len(outlier)) < mistaken)
    return np.where(wrong, -2.0, 2.0) + rng.normal(size=len(outlier))


def error_of(estimate: RobustEstimate, rotation: np.ndarray, translation: np.ndarray) -> float:
    """The larger of both errors in degrees, a reversed translation counted as wrong."""
    return max(
        pose_error_deg(estimate.rotation, estimate.translation, rotation, translation, signed=True)
    )


def solve(scene: TwoViewScene, seed: int = 0) -> RobustEstimate:
    """On the matches that the network does not rule out, as in the pipeline."""
    score = scores(scene.outlier, seed)
    kept = score > -1.0
    estimate = graduated.estimate(scene.points0[kept], scene.points1[kept], score[kept], THRESHOLD)
    inlier = kept.copy()
    inlier[kept] = estimate.inlier
    return replace(estimate, inlier=inlier)


def seen(
    points3d: np.ndarray, rotation: np.ndarray, translation: np.ndarray, outliers: float, seed: int
) -> TwoViewScene:
    """The matches of `points3d` (N, 3), with noise, the first share of them torn apart."""
    rng = np.random.default_rng(seed)
    there = points3d @ rotation.T + translation
    points0 = points3d[:, :2] / points3d[:, 2:] + NOISE * rng.normal(size=(len(points3d), 2))
    points1 = there[:, :2] / there[:, 2:] + NOISE * rng.normal(size=(len(points3d), 2))
    outlier = np.arange(len(points3d)) < round(outliers * len(points3d))
    points1[outlier] = rng.uniform(-0.6, 0.6, (int(outlier.sum()), 2))
    direction = translation / np.linalg.norm(translation)
    return TwoViewScene(points0, points1, rotation, direction, points3d, outlier)


def cloud(count: int, seed: int, depth: tuple[float, float] = (3.0, 8.0)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    z = rng.uniform(*depth, size=count)
    return np.column_stack([rng.uniform(-0.5, 0.5, (count, 2)) * z[:, None], z])


@pytest.mark.parametrize("outliers", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("angle", [0.05, 0.3, 0.6])
def test_finds_the_motion_among_outliers(outliers: float, angle: float) -> None:
    errors = []
    for seed in range(8):
        scene = random_scene(seed, 300, NOISE, outliers, angle=angle)
        estimate = solve(scene, seed)
        errors.append(error_of(estimate, scene.rotation, scene.translation))
        assert estimate.inlier[~scene.outlier].mean() > 0.8
        assert estimate.inlier[scene.outlier].sum() < 0.1 * max(scene.outlier.sum(), 1)
        expected = essential_matrix(estimate.rotation, estimate.translation)
        np.testing.assert_allclose(estimate.essential, expected)
        assert estimate.iterations == 0
    assert np.median(errors) < 1.0
    assert max(errors) < 5.0


@pytest.mark.parametrize("seed", range(4))
def test_forward_motion(seed: int) -> None:
    turn = Rotation.from_rotvec([0.0, 0.05, 0.02]).as_matrix()
    scene = seen(cloud(300, seed), turn, np.array([0.05, 0.0, -1.0]), 0.4, seed)
    assert error_of(solve(scene), scene.rotation, scene.translation) < 2.0


@pytest.mark.parametrize("seed", range(4))
def test_a_camera_that_circles_an_object(seed: int) -> None:
    """Forty degrees about a point five units ahead: no small rotation, no small parallax."""
    rng = np.random.default_rng(seed)
    points3d = np.array([0.0, 0.0, 5.0]) + rng.uniform(-1.0, 1.0, (300, 3))
    turn = Rotation.from_rotvec(np.deg2rad(40.0) * np.array([0.0, 1.0, 0.0])).as_matrix()
    centre = np.array([0.0, 0.0, 5.0])
    scene = seen(points3d, turn, centre - turn @ centre, 0.4, seed)
    assert error_of(solve(scene), scene.rotation, scene.translation) < 2.0


@pytest.mark.parametrize("seed", range(4))
def test_a_plane_is_one_of_its_two_motions(seed: int) -> None:
    """The eight-point algorithm has no single solution there; the epipolar constraint has two."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-0.5, 0.5, (300, 2))
    z = 4.0 / (1.0 - xy @ np.array([0.5, 0.3]))
    points3d = np.column_stack([xy * z[:, None], z])
    turn = Rotation.from_rotvec([0.05, 0.2, -0.1]).as_matrix()
    translation = np.array([1.0, 0.2, 0.1])
    scene = seen(points3d, turn, translation, 0.4, seed)
    estimate = solve(scene)
    # Both motions map the plane alike: H = R + t n^T / d, so every match of it is an inlier.
    assert estimate.inlier[~scene.outlier].mean() > 0.8
    assert estimate.inlier[scene.outlier].mean() < 0.1


@pytest.mark.parametrize("seed", range(4))
def test_the_rotation_of_a_camera_that_hardly_moves(seed: int) -> None:
    turn = Rotation.from_rotvec([0.02, 0.3, 0.1]).as_matrix()
    translation = np.array([0.01, 0.0, 0.0])
    scene = seen(cloud(300, seed), turn, translation, 0.4, seed)
    estimate = solve(scene)
    assert estimate.success
    assert pose_error_deg(estimate.rotation, translation, turn, translation)[0] < 0.3
    assert estimate.inlier[~scene.outlier].mean() > 0.8


def test_the_same_matches_give_the_same_motion_in_any_order() -> None:
    scene = random_scene(3, 300, NOISE, 0.5)
    score = scores(scene.outlier)
    shuffled = np.random.default_rng(1).permutation(300)
    one, two, other = (
        graduated.estimate(scene.points0[i], scene.points1[i], score[i], THRESHOLD)
        for i in (np.arange(300), np.arange(300), shuffled)
    )
    np.testing.assert_array_equal(one.rotation, two.rotation)
    np.testing.assert_array_equal(one.inlier, two.inlier)
    np.testing.assert_array_equal(one.inlier[shuffled], other.inlier)
    np.testing.assert_allclose(one.rotation, other.rotation, atol=1e-9)


def test_swapping_the_views_inverts_the_motion() -> None:
    for seed in range(6):
        scene = random_scene(seed, 300, NOISE, 0.3)
        score = scores(scene.outlier)
        there = graduated.estimate(scene.points0, scene.points1, score, THRESHOLD)
        back = graduated.estimate(scene.points1, scene.points0, score, THRESHOLD)
        assert error_of(there, *invert_pose(back.rotation, back.translation)) < 1.0


def test_a_known_solution_is_one_more_start_and_no_more() -> None:
    scene = random_scene(5, 300, NOISE, 0.5)
    score = scores(scene.outlier)
    true = essential_matrix(scene.rotation, scene.translation)
    for essential in (true, np.full((3, 3), np.nan), np.zeros((3, 3)), np.eye(3)):
        estimate = graduated.estimate(scene.points0, scene.points1, score, THRESHOLD, essential)
        assert error_of(estimate, scene.rotation, scene.translation) < 1.0


@pytest.mark.parametrize("seed", range(4))
def test_matches_that_are_certain_count_more_than_many_that_are_not(seed: int) -> None:
    """Two motions: 140 matches of which 60 are believed, against 100 that all are."""
    many, certain = random_scene(2 * seed, 140, NOISE), random_scene(2 * seed + 1, 100, NOISE)
    points0 = np.vstack([many.points0, certain.points0])
    points1 = np.vstack([many.points1, certain.points1])
    for doubtful, expected in ((-6.0, certain), (6.0, many)):
        score = np.repeat([6.0, doubtful, 6.0], [60, 80, 100])
        estimate = graduated.estimate(points0, points1, score, THRESHOLD)
        assert error_of(estimate, expected.rotation, expected.translation) < 2.0


@pytest.mark.parametrize("count", range(8))
def test_fewer_than_eight_matches_fail_without_an_exception(count: int) -> None:
    scene = random_scene(9)
    estimate = graduated.estimate(
        scene.points0[:count], scene.points1[:count], np.zeros(count), THRESHOLD
    )
    assert not estimate.success
    assert estimate.inlier.shape == (count,)
    assert np.isnan(estimate.rotation).all() and np.isnan(estimate.essential).all()


def test_rows_with_nan_are_left_out() -> None:
    scene = random_scene(8, 200, NOISE, 0.3)
    points1, score = scene.points1.copy(), scores(scene.outlier)
    points1[::4], score[1::8] = np.nan, np.nan
    estimate = graduated.estimate(scene.points0, points1, score, THRESHOLD)
    assert error_of(estimate, scene.rotation, scene.translation) < 2.0
    assert not estimate.inlier[::4].any()


def test_hopeless_matches_raise_nothing() -> None:
    scene = random_scene(10, 60)
    rng = np.random.default_rng(0)
    line = np.column_stack([np.linspace(-0.5, 0.5, 60), np.zeros(60)])
    hopeless = [
        (np.zeros((60, 2)), np.zeros((60, 2))),
        (np.repeat(scene.points0[:1], 60, 0), np.repeat(scene.points1[:1], 60, 0)),
        (np.full((60, 2), np.nan), scene.points1),
        (scene.points0, scene.points0),  # no motion at all
        (line, line + 0.1),
        (rng.uniform(-0.5, 0.5, (60, 2)), rng.uniform(-0.5, 0.5, (60, 2))),
        (1e8 * scene.points0, 1e8 * scene.points1),
    ]
    for score in (np.zeros(60), np.full(60, -1e3), np.full(60, np.inf)):
        for points0, points1 in hopeless:
            estimate = graduated.estimate(points0, points1, score, 1e-4)
            assert estimate.inlier.shape == (60,)
            assert np.isfinite(estimate.rotation).all() == estimate.success
            assert np.isfinite(estimate.translation).all() == estimate.success
        for points0, points1 in hopeless[:3]:
            assert not graduated.estimate(points0, points1, score, 1e-4).success


def test_wrong_arguments_are_a_clear_error() -> None:
    scene = random_scene(11)
    score = np.zeros(len(scene.points0))
    with pytest.raises(ValueError, match=r"\(N, 2\)"):
        graduated.estimate(scene.points0, scene.points1[1:], score, THRESHOLD)
    with pytest.raises(ValueError, match="score"):
        graduated.estimate(scene.points0, scene.points1, score[1:], THRESHOLD)
    with pytest.raises(ValueError, match="threshold"):
        graduated.estimate(scene.points0, scene.points1, score, 0.0)


def test_real_pairs_with_the_ratio_as_the_only_knowledge() -> None:
    """A ratio is a poor score, and still most motions are found."""
    errors = []
    for pair in real_pairs(16):
        kept = pair.ratio < 0.85
        points0, points1 = pair.correspondences[kept, :2], pair.correspondences[kept, 2:]
        score = 10 * (0.8 - pair.ratio[kept])
        estimate = graduated.estimate(points0, points1, score, 1.0 / pair.focal)
        assert estimate.success
        errors.append(
            max(
                pose_error_deg(
                    estimate.rotation, estimate.translation, pair.rotation, pair.translation
                )
            )
        )
    assert np.median(errors) < 2.0
    assert np.mean(np.array(errors) < 5.0) > 0.6
