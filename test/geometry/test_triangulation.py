"""Depths, points and parallax of matches under a known motion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from two_view_scene import random_scene

from msga_ros.geometry.pose import median_parallax
from msga_ros.geometry.triangulation import parallax_angles, ray_depths, triangulate


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 100.0))
def test_exact_matches_give_the_points_back(seed, scale) -> None:
    scene = random_scene(seed, depth=(2.0, 200.0))
    points = triangulate(scene.points0, scene.points1, scene.rotation, scale * scene.translation)
    np.testing.assert_allclose(points, scale * scene.points3d, rtol=1e-6, atol=1e-6 * scale)
    depth0, depth1 = ray_depths(scene.points0, scene.points1, scene.rotation, scene.translation)
    np.testing.assert_allclose(depth0, scene.points3d[:, 2], rtol=1e-6)
    in_second = scene.points3d @ scene.rotation.T + scene.translation
    np.testing.assert_allclose(depth1, in_second[:, 2], rtol=1e-6)


def test_agrees_with_opencv_on_noisy_matches() -> None:
    scene = random_scene(0, noise=1e-4)
    ours = triangulate(scene.points0, scene.points1, scene.rotation, scene.translation)
    theirs = cv2.triangulatePoints(
        np.eye(3, 4),
        np.column_stack([scene.rotation, scene.translation]),
        scene.points0.T,
        scene.points1.T,
    )
    theirs = (theirs[:3] / theirs[3]).T
    # Midpoint and linear triangulation agree to first order in the noise.
    difference = np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
    assert np.median(difference) < 1e-4
    assert np.quantile(difference, 0.95) < 1e-2


def test_points_behind_have_negative_depth() -> None:
    scene = random_scene(1)
    depth0, depth1 = ray_depths(scene.points0, scene.points1, scene.rotation, -scene.translation)
    assert (depth0 < 0).all()
    assert (depth1 < 0).all()


def test_parallel_rays_have_no_finite_point() -> None:
    scene = random_scene(2, count=10)
    rays = np.column_stack([scene.points0, np.ones(10)]) @ scene.rotation.T
    at_infinity = rays[:, :2] / rays[:, 2:]
    both = np.vstack([at_infinity, scene.points1])
    points = triangulate(
        np.vstack([scene.points0, scene.points0]), both, scene.rotation, scene.translation
    )
    assert np.isnan(points[:10]).all()
    np.testing.assert_allclose(points[10:], scene.points3d, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        parallax_angles(scene.points0, at_infinity, scene.rotation), 0.0, atol=1e-9
    )


def test_parallax_is_the_angle_at_the_point() -> None:
    scene = random_scene(3)
    centre1 = -scene.rotation.T @ scene.translation
    to0, to1 = -scene.points3d, centre1 - scene.points3d
    cosine = (to0 * to1).sum(1) / np.linalg.norm(to0, axis=1) / np.linalg.norm(to1, axis=1)
    angles = parallax_angles(scene.points0, scene.points1, scene.rotation)
    np.testing.assert_allclose(angles, np.arccos(cosine), atol=1e-7)
    median = median_parallax(scene.points0, scene.points1, scene.rotation)
    assert median == pytest.approx(np.median(angles))
    assert np.isnan(median_parallax(np.empty((0, 2)), np.empty((0, 2)), np.eye(3)))


@given(turn=st.tuples(*[st.floats(-0.3, 0.3)] * 3))
def test_a_turning_camera_sees_no_parallax(turn) -> None:
    rotation = Rotation.from_rotvec(turn).as_matrix()
    points0 = random_scene(4).points0
    rays = np.column_stack([points0, np.ones(len(points0))]) @ rotation.T
    points1 = rays[:, :2] / rays[:, 2:]
    assert median_parallax(points0, points1, rotation) < 1e-7


def test_no_matches() -> None:
    none = np.empty((0, 2))
    assert triangulate(none, none, np.eye(3), [1.0, 0.0, 0.0]).shape == (0, 3)
    with pytest.raises(ValueError, match="shape"):
        triangulate(np.zeros((4, 3)), np.zeros((4, 3)), np.eye(3), [1.0, 0.0, 0.0])
