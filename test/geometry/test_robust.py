"""Robust estimators: right among outliers, repeatable, quiet on hopeless input."""

from __future__ import annotations

import numpy as np
import pytest
from two_view_scene import TwoViewScene, random_scene, real_pairs

from msga_ros.geometry.pose import essential_matrix, invert_pose, pose_error_deg
from msga_ros.geometry.robust import SOLVERS
from msga_ros.geometry.robust.base import RobustEstimate, uses_scores

NAMES = ("magsac", "poselib")
NOISE = 1e-3
THRESHOLD = 3e-3


def error_of(estimate: RobustEstimate, scene: TwoViewScene) -> float:
    """The larger of both errors in degrees, a reversed translation counted as wrong."""
    return max(
        pose_error_deg(
            estimate.rotation, estimate.translation, scene.rotation, scene.translation, signed=True
        )
    )


def test_both_estimators_are_there() -> None:
    assert {"poselib", "magsac"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("outliers", [0.0, 0.3, 0.6])
def test_finds_the_motion_among_outliers(name: str, outliers: float) -> None:
    errors = []
    for seed in range(15):
        scene = random_scene(seed, count=400, noise=NOISE, outliers=outliers)
        estimate = SOLVERS.load(name)(scene.points0, scene.points1, THRESHOLD, seed=seed)
        assert estimate.success
        errors.append(error_of(estimate, scene))
        assert estimate.inlier[~scene.outlier].mean() > 0.9
        assert estimate.inlier[scene.outlier].sum() < 0.1 * max(scene.outlier.sum(), 1)
        np.testing.assert_allclose(
            estimate.essential, essential_matrix(estimate.rotation, estimate.translation)
        )
        assert np.linalg.norm(estimate.translation) == pytest.approx(1.0)
    assert np.median(errors) < 1.0
    assert max(errors) < 5.0


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_estimate(name: str) -> None:
    scene = random_scene(7, count=300, noise=NOISE, outliers=0.5)
    estimate = SOLVERS.load(name)
    one, two = (estimate(scene.points0, scene.points1, THRESHOLD, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.rotation, two.rotation)
    np.testing.assert_array_equal(one.translation, two.translation)
    np.testing.assert_array_equal(one.inlier, two.inlier)
    others = [estimate(scene.points0, scene.points1, THRESHOLD, seed=s) for s in range(4)]
    assert len({tuple(other.translation) for other in others}) > 1  # the seed is really used


@pytest.mark.parametrize("name", NAMES)
def test_swapping_the_views_inverts_the_motion(name: str) -> None:
    for seed in range(10):
        scene = random_scene(seed, count=300, noise=NOISE, outliers=0.3)
        swapped = SOLVERS.load(name)(scene.points1, scene.points0, THRESHOLD)
        back = invert_pose(swapped.rotation, swapped.translation)
        forward = SOLVERS.load(name)(scene.points0, scene.points1, THRESHOLD)
        assert max(pose_error_deg(*back, forward.rotation, forward.translation, signed=True)) < 2


@pytest.mark.parametrize("name", NAMES)
def test_rows_with_nan_are_left_out(name: str) -> None:
    scene = random_scene(8, count=200, noise=NOISE)
    points1 = scene.points1.copy()
    points1[::4] = np.nan
    estimate = SOLVERS.load(name)(scene.points0, points1, THRESHOLD)
    assert error_of(estimate, scene) < 2
    assert not estimate.inlier[::4].any()
    assert estimate.inlier.shape == (200,)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", range(5))
def test_fewer_than_five_matches_fail_without_an_exception(name: str, count: int) -> None:
    scene = random_scene(9)
    estimate = SOLVERS.load(name)(scene.points0[:count], scene.points1[:count], THRESHOLD)
    assert not estimate.success
    assert estimate.inlier.shape == (count,)
    assert np.isnan(estimate.rotation).all()
    assert np.isnan(estimate.translation).all()
    assert np.isnan(estimate.essential).all()


@pytest.mark.parametrize("name", NAMES)
def test_hopeless_matches_raise_nothing(name: str) -> None:
    scene = random_scene(10, count=60)
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
    for points0, points1 in hopeless:
        estimate = SOLVERS.load(name)(points0, points1, 1e-4)
        assert estimate.inlier.shape == (60,)
        assert np.isfinite(estimate.rotation).all() == estimate.success
    for points0, points1 in hopeless[:3]:
        assert not SOLVERS.load(name)(points0, points1, 1e-4).success


@pytest.mark.parametrize("name", NAMES)
def test_wrong_arguments_are_a_clear_error(name: str) -> None:
    scene = random_scene(11)
    with pytest.raises(ValueError, match=r"\(N, 2\)"):
        SOLVERS.load(name)(scene.points0, scene.points1[1:], THRESHOLD)
    with pytest.raises(ValueError, match="threshold"):
        SOLVERS.load(name)(scene.points0, scene.points1, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_real_pairs_after_a_ratio_test(name: str) -> None:
    """Within 5 degrees of the truth on most real pairs, and the inliers are true matches."""
    errors, precision = [], []
    for pair in real_pairs(24):
        kept = pair.ratio < 0.8
        points0, points1 = pair.correspondences[kept, :2], pair.correspondences[kept, 2:]
        estimate = SOLVERS.load(name)(points0, points1, 1.0 / pair.focal)
        errors.append(
            max(
                pose_error_deg(
                    estimate.rotation, estimate.translation, pair.rotation, pair.translation
                )
            )
            if estimate.success
            else 180.0
        )
        precision.append((pair.residual[kept][estimate.inlier] < 1e-4).mean())
    assert np.median(errors) < 1.5
    assert np.mean(np.array(errors) < 5.0) > 0.7
    assert np.median(precision) > 0.9


def test_both_agree_on_real_pairs_of_true_matches() -> None:
    differences = []
    for pair in real_pairs(16):
        kept = pair.residual < 1e-5
        points0, points1 = pair.correspondences[kept, :2], pair.correspondences[kept, 2:]
        one, two = (SOLVERS.load(n)(points0, points1, 2.0 / pair.focal) for n in NAMES[:2])
        differences.append(
            max(pose_error_deg(one.rotation, one.translation, two.rotation, two.translation))
        )
    assert np.median(differences) < 1.5
    assert np.quantile(differences, 0.8) < 5.0


@pytest.mark.parametrize(
    ("name", "uses"), [("graduated", True), ("poselib", False), ("magsac", False)]
)
def test_a_solver_says_whether_it_uses_scores(name: str, uses: bool) -> None:
    """What it says is true: with scores that favour the outliers the answer is another, or not."""
    solve = SOLVERS.load(name)
    assert uses_scores(solve) == uses
    scene = random_scene(3, 200, noise=1e-3, outliers=0.4)
    rows = scene.correspondences.astype(np.float64)
    scores = np.where(np.arange(200) % 2, 3.0, -3.0)
    plain = solve(rows[:, :2], rows[:, 2:], 3e-3, score=np.zeros(200))
    other = solve(rows[:, :2], rows[:, 2:], 3e-3, score=scores)
    assert np.array_equal(plain.rotation, other.rotation) != uses
