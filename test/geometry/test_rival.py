"""The second motion: found where there are two, and only there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from two_view_scene import random_scene, real_pairs

from msga_ros.geometry.covariance import covariance_of_either
from msga_ros.geometry.pose import essential_matrix, invert_pose, pose_error_deg
from msga_ros.geometry.robust import SOLVERS
from msga_ros.geometry.robust.base import RobustEstimate
from msga_ros.geometry.robust.rival import strongest_rival

THRESHOLD = 1e-3


def planar_matches(
    seed: int, count: int = 200, off_plane: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matches (N, 2) of a tilted plane without a wrong one, and the true rotation.

    The first `off_plane` points lie in front of the plane.
    """
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-0.5, 0.5, (count, 2))
    z = 4.0 / (1.0 - xy @ np.array([0.5, 0.3]))
    z[:off_plane] *= rng.uniform(0.5, 0.8, off_plane)
    points3d = np.column_stack([xy * z[:, None], z])
    turn = Rotation.from_rotvec([0.05, 0.2, -0.1]).as_matrix()
    there = points3d @ turn.T + np.array([0.6, 0.1, 0.3])
    noise = 2e-4 * rng.normal(size=(2, count, 2))
    return xy + noise[0], there[:, :2] / there[:, 2:] + noise[1], turn


def found_by(points0: np.ndarray, points1: np.ndarray) -> RobustEstimate:
    return SOLVERS.load("poselib")(points0, points1, THRESHOLD)


@pytest.mark.parametrize("seed", range(6))
def test_a_scene_with_depth_has_one_motion(seed: int) -> None:
    scene = random_scene(seed, 200, 3e-4, 0.3)
    found = found_by(scene.points0, scene.points1)
    rival = strongest_rival(scene.points0, scene.points1, found, THRESHOLD, 20.0)
    assert rival is None or rival.deficit > 3.0


@pytest.mark.parametrize("seed", range(6))
def test_hardly_any_depth_and_motion_have_several(seed: int) -> None:
    """A far, shallow scene and a step of a hundredth of its distance: noise decides."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-0.3, 0.3, (200, 2))
    z = rng.uniform(95.0, 105.0, 200)
    there = np.column_stack([xy * z[:, None], z]) + np.array([0.3, 0.0, 0.0])
    noise = 5e-4 * rng.normal(size=(2, 200, 2))
    points0, points1 = xy + noise[0], there[:, :2] / there[:, 2:] + noise[1]
    found = found_by(points0, points1)
    rival = strongest_rival(points0, points1, found, THRESHOLD, 20.0)
    assert rival is not None
    assert rival.deficit < 2.0
    assert rival.motion.inlier.sum() > 0.9 * found.inlier.sum()


@pytest.mark.parametrize("seed", range(6))
def test_from_a_wrong_minimum_the_right_one_is_found_and_fits_better(seed: int) -> None:
    scene = random_scene(seed, 300, 3e-4, 0.2, depth=(10.0, 30.0), angle=0.05)
    sideways = np.linalg.svd(scene.translation[None])[2][1]
    essential = essential_matrix(scene.rotation, sideways)
    wrong = RobustEstimate(True, scene.rotation, sideways, essential, ~scene.outlier, 0)
    rival = strongest_rival(scene.points0, scene.points1, wrong, THRESHOLD, 20.0)
    assert rival is not None
    assert rival.deficit < -3.0
    motion = rival.motion
    errors = pose_error_deg(
        motion.rotation, motion.translation, scene.rotation, scene.translation, signed=True
    )
    assert max(errors) < 3.0


@pytest.mark.parametrize("seed", range(4))
def test_of_a_plane_the_second_motion_is_a_rival_only_in_front_of_the_cameras(seed: int) -> None:
    points0, points1, _ = planar_matches(seed)
    found = found_by(points0, points1)
    rival = strongest_rival(points0, points1, found, THRESHOLD, 5.0)
    if rival is not None:
        assert rival.motion.inlier.sum() > 0.5 * found.inlier.sum()
        errors = pose_error_deg(
            rival.motion.rotation, rival.motion.translation, found.rotation, found.translation
        )
        assert max(errors) > 5.0


@pytest.mark.parametrize("seed", range(8))
def test_before_a_plane_errors_that_matches_share_do_not_tell_the_motions_apart(seed: int) -> None:
    """A lens that is not quite as calibrated moves neighbours alike, by less than an inlier may be
    off; with so many matches that was taken for a clear decision."""
    points0, points1, turn = planar_matches(seed, 400)
    shared = 0.1 * np.random.default_rng(seed).normal(size=2)
    points1 = points1 * (1 + 0.01 * (points1**2).sum(1, keepdims=True) * shared)
    found = found_by(points0, points1)
    rival = strongest_rival(points0, points1, found, THRESHOLD, 5.0)
    assert rival is not None
    assert abs(rival.deficit) < 1.0
    rotations = found.rotation, rival.motion.rotation
    assert min(np.rad2deg(Rotation.from_matrix(r @ turn.T).magnitude()) for r in rotations) < 1.0


@pytest.mark.parametrize("seed", range(6))
def test_what_lies_off_a_plane_tells_the_motions_apart(seed: int) -> None:
    points0, points1, turn = planar_matches(seed, 400, off_plane=40)
    found = found_by(points0, points1)
    rival = strongest_rival(points0, points1, found, THRESHOLD, 5.0)
    assert rival is None or rival.deficit > 1.0
    assert np.rad2deg(Rotation.from_matrix(found.rotation @ turn.T).magnitude()) < 1.0


@pytest.mark.parametrize("seed", range(3))
def test_a_dozen_matches_off_a_plane_are_enough(seed: int) -> None:
    """All others lie on the plane, and say little: those off it decide alone."""
    points0, points1, _ = planar_matches(seed, 400, off_plane=12)
    found = found_by(points0, points1)
    rival = strongest_rival(points0, points1, found, THRESHOLD, 5.0)
    assert rival is None or rival.deficit > 1.0


@pytest.mark.parametrize("seed", range(3))
def test_a_step_within_the_noise_is_no_plane(seed: int) -> None:
    """Whatever hardly moves lies on a plane; the matches decide, without a plane's larger lead."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-0.3, 0.3, (200, 2))
    z = rng.uniform(90.0, 110.0, 200)
    there = np.column_stack([xy * z[:, None], z]) + np.array([0.5, 0.0, 0.0])
    noise = 2e-4 * rng.normal(size=(2, 200, 2))
    points0, points1 = xy + noise[0], there[:, :2] / there[:, 2:] + noise[1]
    found = found_by(points0, points1)
    rival = strongest_rival(points0, points1, found, THRESHOLD, 20.0)
    assert rival is None or rival.deficit > 1.5
    assert pose_error_deg(found.rotation, found.translation, np.eye(3), [1.0, 0.0, 0.0])[1] < 10.0


def test_real_pairs_with_parallax_have_one_motion() -> None:
    flagged = []
    for pair in real_pairs(24):
        kept = pair.ratio < 0.75
        points0, points1 = pair.correspondences[kept, :2], pair.correspondences[kept, 2:]
        found = SOLVERS.load("poselib")(points0, points1, 1.0 / pair.focal)
        errors = pose_error_deg(found.rotation, found.translation, pair.rotation, pair.translation)
        if max(errors) < 5.0:
            rival = strongest_rival(points0, points1, found, 1.0 / pair.focal, 20.0)
            flagged.append(rival is not None and rival.deficit < 1.0)
    assert len(flagged) > 15
    assert sum(flagged) <= 1


def test_covariance_covers_the_step_to_a_motion_as_likely() -> None:
    rng = np.random.default_rng(0)
    one, other = Rotation.random(2, random_state=1).as_matrix()
    t, u = rng.normal(size=(2, 3))
    t, u = t / np.linalg.norm(t), u / np.linalg.norm(u)
    covariance = covariance_of_either(np.zeros((6, 6)), one, t, other, u)
    reference, position = invert_pose(one, t)
    other_reference, other_position = invert_pose(other, u)
    turn = Rotation.from_matrix(other_reference @ reference.T).as_rotvec()
    step = np.concatenate([other_position - position, turn])
    # The mean square of the error along the step, when each motion is right half of the time.
    along = step / np.linalg.norm(step)
    np.testing.assert_allclose(along @ covariance @ along, 0.5 * step @ step)
    assert np.linalg.matrix_rank(covariance, tol=1e-9) == 1
