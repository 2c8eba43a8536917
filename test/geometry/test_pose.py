"""Relative pose from the essential matrix: right on exact data, and the symmetries of two views."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from two_view_scene import TwoViewScene, random_scene

from msga_ros.geometry.pose import (
    PoseError,
    cross,
    decompose_essential,
    essential_matrix,
    invert_pose,
    median_parallax,
    pose_error_deg,
    pose_from_essential,
    rotation_angle_deg,
)

seeds = st.integers(0, 2**32 - 1)


def essential_of(scene: TwoViewScene) -> np.ndarray:
    return essential_matrix(scene.rotation, scene.translation)


@given(seed=seeds, scale=st.sampled_from([1.0, -1.0, 1e-6, -250.0]), count=st.integers(1, 50))
def test_recovers_the_motion_whatever_the_scale_and_sign(seed, scale, count) -> None:
    scene = random_scene(seed, count)
    pose = pose_from_essential(scale * essential_of(scene), scene.points0, scene.points1)
    np.testing.assert_allclose(pose.rotation, scene.rotation, atol=1e-9)
    np.testing.assert_allclose(pose.translation, scene.translation, atol=1e-9)
    assert pose.in_front.all()


@given(seed=seeds)
def test_swapping_the_views_inverts_the_motion(seed) -> None:
    scene = random_scene(seed, noise=1e-3)
    essential = essential_of(scene)
    forward = pose_from_essential(essential, scene.points0, scene.points1)
    backward = pose_from_essential(essential.T, scene.points1, scene.points0)
    rotation, translation = invert_pose(backward.rotation, backward.translation)
    np.testing.assert_allclose(rotation, forward.rotation, atol=1e-9)
    np.testing.assert_allclose(translation, forward.translation, atol=1e-9)
    np.testing.assert_array_equal(backward.in_front, forward.in_front)


@given(seed=seeds)
def test_the_order_of_matches_does_not_matter(seed) -> None:
    scene = random_scene(seed, noise=2e-3, depth=(50.0, 500.0))
    order = np.random.default_rng(seed).permutation(len(scene.points0))
    one = pose_from_essential(essential_of(scene), scene.points0, scene.points1)
    other = pose_from_essential(essential_of(scene), scene.points0[order], scene.points1[order])
    np.testing.assert_array_equal(other.rotation, one.rotation)
    np.testing.assert_array_equal(other.translation, one.translation)
    np.testing.assert_array_equal(other.in_front, one.in_front[order])


@given(seed=seeds, turn=st.tuples(*[st.floats(-0.4, 0.4)] * 3))
def test_turning_camera_1_turns_its_motion(seed, turn) -> None:
    """x1' = Q x1 makes R' = Q R, t' = Q t, E' = Q E."""
    scene = random_scene(seed)
    q = Rotation.from_rotvec(turn).as_matrix()
    turned = np.column_stack([scene.points1, np.ones(len(scene.points1))]) @ q.T
    visible = turned[:, 2] > 0.05
    points1 = turned[visible, :2] / turned[visible, 2:]
    pose = pose_from_essential(q @ essential_of(scene), scene.points0[visible], points1)
    np.testing.assert_allclose(pose.rotation, q @ scene.rotation, atol=1e-9)
    np.testing.assert_allclose(pose.translation, q @ scene.translation, atol=1e-9)


def test_agrees_with_opencv_where_opencv_looks_far_enough() -> None:
    for seed in range(50):
        scene = random_scene(seed, noise=1e-3)
        essential = essential_of(scene)
        ours = pose_from_essential(essential, scene.points0, scene.points1)
        _, rotation, translation, mask, _ = cv2.recoverPose(
            essential, scene.points0, scene.points1, np.eye(3), distanceThresh=1e9
        )
        np.testing.assert_allclose(ours.rotation, rotation, atol=1e-7)
        np.testing.assert_allclose(ours.translation, translation[:, 0], atol=1e-7)
        assert ours.in_front.mean() == pytest.approx((mask > 0).mean(), abs=0.02)


def test_decomposition_is_that_of_opencv() -> None:
    for seed in range(20):
        essential = essential_of(random_scene(seed))
        first, second, t = decompose_essential(essential)
        cv_first, cv_second, cv_t = cv2.decomposeEssentialMat(essential)
        swap = np.abs(first - cv_first).max() > 1e-6
        expected = (cv_second, cv_first) if swap else (cv_first, cv_second)
        np.testing.assert_allclose(first, expected[0], atol=1e-9)
        np.testing.assert_allclose(second, expected[1], atol=1e-9)
        assert abs(t @ cv_t[:, 0]) == pytest.approx(1.0)


def test_small_parallax_is_not_punished() -> None:
    """Points 300 to 3000 baselines away: OpenCV's default drops every one of them."""
    for seed in range(20):
        scene = random_scene(seed, depth=(300.0, 3000.0))
        pose = pose_from_essential(essential_of(scene), scene.points0, scene.points1)
        assert pose.in_front.all()
        assert (
            max(
                pose_error_deg(
                    pose.rotation, pose.translation, scene.rotation, scene.translation, signed=True
                )
            )
            < 1e-3
        )
        found, *_ = cv2.recoverPose(essential_of(scene), scene.points0, scene.points1)
        assert found == 0


def test_noise_beyond_the_parallax_of_some_points_does_not_turn_the_translation_round() -> None:
    wrong = 0
    for seed in range(30):
        scene = random_scene(seed, count=200, noise=1e-3, depth=(100.0, 800.0))
        pose = pose_from_essential(essential_of(scene), scene.points0, scene.points1)
        wrong += pose.translation @ scene.translation < 0
    assert wrong == 0


def test_a_matrix_off_the_essential_manifold_gives_a_proper_rotation() -> None:
    rng = np.random.default_rng(3)
    for seed in range(30):
        scene = random_scene(seed)
        essential = essential_of(scene) + 0.02 * rng.normal(size=(3, 3))
        pose = pose_from_essential(essential, scene.points0, scene.points1)
        np.testing.assert_allclose(pose.rotation @ pose.rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(pose.rotation) == pytest.approx(1.0)
        assert np.linalg.norm(pose.translation) == pytest.approx(1.0)
        assert rotation_angle_deg(pose.rotation @ scene.rotation.T) < 15


@pytest.mark.parametrize("seed", range(8))
def test_ties_are_decided_the_same_way_every_time(seed: int) -> None:
    """By the smaller rotation, whichever of the two the decomposition names first."""
    scene = random_scene(seed)
    none = np.empty((0, 2))
    poses = [pose_from_essential(s * essential_of(scene), none, none) for s in (1, 1, -1)]
    smaller = min(decompose_essential(essential_of(scene))[:2], key=rotation_angle_deg)
    for pose in poses:
        np.testing.assert_allclose(pose.rotation, smaller, atol=1e-12)
    np.testing.assert_array_equal(poses[0].translation, poses[1].translation)
    assert len(poses[0].in_front) == 0


def test_nan_matches_are_never_in_front_and_spoil_nothing() -> None:
    scene = random_scene(1)
    points0 = scene.points0.copy()
    points0[::5] = np.nan
    pose = pose_from_essential(essential_of(scene), points0, scene.points1)
    np.testing.assert_allclose(pose.translation, scene.translation, atol=1e-9)
    assert pose.in_front.sum() == 80
    assert np.isfinite(median_parallax(points0, scene.points1, pose.rotation))


@pytest.mark.parametrize(
    ("essential", "message"),
    [
        (np.full((3, 3), np.nan), "NaN"),
        (np.zeros((3, 3)), "rank below 2"),
        (np.outer([1.0, 2.0, 3.0], [0.5, 0.1, 1.0]), "rank below 2"),
        (np.eye(4), "3x3"),
    ],
)
def test_no_essential_matrix_is_a_clear_error(essential: np.ndarray, message: str) -> None:
    scene = random_scene(0)
    with pytest.raises(PoseError, match=message):
        pose_from_essential(essential, scene.points0, scene.points1)


def test_views_of_different_length_are_a_clear_error() -> None:
    scene = random_scene(0)
    with pytest.raises(PoseError, match="100 points in view 0 but 99"):
        pose_from_essential(essential_of(scene), scene.points0, scene.points1[1:])


@pytest.mark.parametrize("degrees", [0.0, 1e-6, 0.01, 45.0, 179.9999, 180.0])
def test_rotation_angle(degrees: float) -> None:
    axis = np.array([0.6, -0.64, 0.48])
    rotation = Rotation.from_rotvec(np.deg2rad(degrees) * axis).as_matrix()
    assert rotation_angle_deg(rotation) == pytest.approx(degrees, rel=1e-6, abs=1e-9)


def test_pose_error() -> None:
    turn = Rotation.from_rotvec(np.deg2rad([0.0, 3.0, 0.0])).as_matrix()
    scene = random_scene(5)
    tilted = Rotation.from_rotvec(
        np.deg2rad(7.0)
        * np.cross(scene.translation, [1.0, 0.0, 0.0])
        / np.linalg.norm(np.cross(scene.translation, [1.0, 0.0, 0.0]))
    ).apply(scene.translation)
    truth = (scene.rotation, 4.2 * scene.translation)
    assert pose_error_deg(turn @ scene.rotation, tilted, *truth) == pytest.approx((3.0, 7.0))
    assert pose_error_deg(scene.rotation, -tilted, *truth) == pytest.approx((0.0, 7.0))
    assert pose_error_deg(scene.rotation, -tilted, *truth, signed=True)[1] == pytest.approx(173.0)
    assert np.isnan(pose_error_deg(scene.rotation, np.zeros(3), *truth)[1])
    assert np.isnan(pose_error_deg(np.full((3, 3), np.nan), tilted, *truth)[0])


def test_cross_products_are_those_of_numpy() -> None:
    rng = np.random.default_rng(4)
    many, one = rng.normal(size=(5, 3)), rng.normal(size=3)
    for a, b in ((many, many[::-1]), (many, one), (one, many), (one, one), (many[:0], one)):
        np.testing.assert_allclose(cross(a, b), np.cross(a, b), rtol=1e-15, atol=1e-15)
