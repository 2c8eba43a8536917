"""The known rig, judged by left-right matches alone."""

from __future__ import annotations

import numpy as np
import pytest
from odometry.rig_scene import CAMERA, RIG, Scene

from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.rig import (
    RigCheck,
    RigMonitor,
    consistent_with_rig,
    epipolar_errors,
    inverse_depths,
    told_translation,
)

RECTIFIED = Rig(np.eye(3), np.array([-0.4, 0.0, 0.0]))
FOCAL = CAMERA.mean_focal


def pairs(rig: Rig, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalised points (N, 2) of both views, and the depths (N,), of a frame."""
    rng = np.random.default_rng(seed)
    scene = Scene.drive(rng, 2)
    left = CAMERA.normalize(scene.view(0, rng, noise).keypoints)
    right = CAMERA.normalize(scene.view(0, rng, noise, rig).keypoints)
    seen = np.isfinite(left).all(1) & np.isfinite(right).all(1)
    return left[seen], right[seen], scene.points[seen, 2]


def watch(rig: Rig, known: Rig = RECTIFIED, frames: int = 10) -> RigCheck:
    monitor, check = RigMonitor(known, FOCAL), None
    for seed in range(frames):
        left, right, _ = pairs(rig, 0.3, seed)
        wrong = np.arange(len(right)) % 5 == 0  # the filter lets some through
        right[wrong] = np.roll(right[wrong], 1, axis=0)
        check = monitor.update(left, right)
    assert check is not None
    return check


@pytest.mark.parametrize("rig", [RECTIFIED, RIG])
def test_depths_and_errors_of_true_matches(rig: Rig) -> None:
    left, right, depth = pairs(rig, 0.0, 0)
    np.testing.assert_allclose(inverse_depths(left, right, rig), 1 / depth, rtol=1e-4)
    assert np.abs(epipolar_errors(left, right, rig)).max() < 1e-6
    assert consistent_with_rig(left, right, rig, 1.0 / FOCAL).all()
    lower = right + np.array([0.0, 3.0 / FOCAL])
    assert not consistent_with_rig(left, lower, rig, 1.0 / FOCAL).any()


def test_points_behind_the_cameras_do_not_fit() -> None:
    left, right, depth = pairs(RECTIFIED, 0.0, 0)
    near = depth < 0.4 * FOCAL / 3.0  # more than three pixels of disparity
    assert not consistent_with_rig(right, left, RECTIFIED, 1.0 / FOCAL)[near].any()


def test_a_good_rig_is_left_in_peace() -> None:
    check = watch(RIG, RIG)
    assert abs(check.offset_px) < 0.1
    assert check.spread_px == pytest.approx(0.3 * np.sqrt(2), rel=0.5)
    assert not check.drifted(0.3, FOCAL)


@pytest.mark.parametrize("turn_deg", [(0.1, 0.0, 0.0), (0.0, 0.0, 0.3), (-0.1, 0.0, 0.3)])
def test_pitch_and_roll_show(turn_deg: tuple[float, float, float]) -> None:
    check = watch(RECTIFIED.turned(np.radians(turn_deg)))
    # The correction has the sign of the turn: what to add to the known rotation.
    np.testing.assert_allclose(check.rotation_deg, turn_deg, atol=0.03)
    assert check.drifted(0.5, FOCAL)
    if not turn_deg[2]:
        # Turned so, the right view sees everything higher by focal * tan(0.1 degrees).
        assert check.offset_px == pytest.approx(-FOCAL * np.radians(0.1), rel=0.2)


def test_a_rig_that_is_mended_is_forgiven() -> None:
    """What was seen long ago fades: after three memories little of it is left."""
    monitor, check = RigMonitor(RECTIFIED, FOCAL, memory=10.0), None
    for frame in range(60):
        bent = RECTIFIED.turned(np.radians([0.2, 0.0, 0.0])) if frame < 30 else RECTIFIED
        check = monitor.update(*pairs(bent, 0.3, frame)[:2])
        assert check is not None
        if frame == 29:
            assert check.rotation_deg[0] == pytest.approx(0.2, abs=0.03)
    assert abs(check.rotation_deg[0]) < 0.03
    assert not check.drifted(0.5, FOCAL)


def test_vergence_does_not_show_in_one_frame_and_nothing_claims_it() -> None:
    check = watch(RECTIFIED.turned(np.radians([0.0, 0.2, 0.0])))
    assert check.rotation_sigma_deg[1] > 0.5
    assert not check.drifted(0.5, FOCAL)


def seen_by(rig: Rig, nearest: float, farthest: float) -> tuple[np.ndarray, np.ndarray]:
    """Normalised points of 100 matches, with noise of half a pixel at 500 px."""
    rng = np.random.default_rng(0)
    depth = rng.uniform(nearest, farthest, 100)
    left = rng.uniform(-0.5, 0.5, (100, 2))
    points = np.column_stack([left, np.ones(100)]) * depth[:, None]
    moved = points @ rig.rotation.T + rig.translation
    right = moved[:, :2] / moved[:, 2:]
    return left, right + rng.normal(0, 0.001, (100, 2))


OPPOSITE = Rig(RIG.rotation, -RIG.translation)
TURNED = Rig(rotation_matrix([0.0, -0.05, 0.0]) @ RIG.rotation, RIG.translation)


@pytest.mark.parametrize(
    ("true", "depths", "expected"),
    [
        (RIG, (2.0, 30.0), RIG.translation),
        (OPPOSITE, (2.0, 30.0), OPPOSITE.translation),
        (TURNED, (60.0, 90.0), None),  # all disparities have the other sign, and are alike
        (RIG, (200.0, 900.0), None),  # too far to tell
    ],
)
def test_disparities_tell_the_sign_of_the_translation(
    true: Rig, depths: tuple[float, float], expected: np.ndarray | None
) -> None:
    found = told_translation(*seen_by(true, *depths), RIG, 0.004)
    if expected is None:
        assert found is None
    else:
        np.testing.assert_array_equal(found, expected)


def test_few_or_mixed_disparities_tell_nothing() -> None:
    left, right = seen_by(RIG, 2.0, 30.0)
    assert told_translation(left[:15], right[:15], RIG, 0.004) is None
    other = seen_by(OPPOSITE, 2.0, 30.0)[1]
    mixed = np.concatenate([right[:70], other[70:]])
    assert told_translation(left, mixed, RIG, 0.004) is None
