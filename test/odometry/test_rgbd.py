"""Odometry with depth images: metric, honest about its errors, and about what it does not know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from odometry.rig_scene import CAMERA, Scene, same_index, with_outliers
from scipy import stats

from msga_ros.bags.state import from_bytes, to_bytes
from msga_ros.frontend import Features
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.depth import DepthError, DepthImage
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.matches import FilteredMatches
from msga_ros.odometry.poses import UncertainPose, pose_error
from msga_ros.odometry.rgbd import RgbdOdometry, scaleless_motion, with_depth
from msga_ros.odometry.updates import OdometryStatus, OdometryUpdate

PIXEL, SIGMA = 0.2, 0.005  # noise of a keypoint, px; of an inverse depth, 1/m
KNOWN_NOISE = OdometryConfig(
    noise_px=PIXEL, depth_sigma=SIGMA, systematic_share=0.0, keyframe_inliers=20
)
LITTLE_PARALLAX = replace(KNOWN_NOISE, min_parallax_deg=0.3)
FARTHEST = 15.0  # metres that the sensor reaches


def view(
    scene: Scene, frame: int, rng: np.random.Generator, missing: float = 0.0
) -> tuple[Features, DepthImage]:
    """Keypoints, and a depth image in which each lies on a patch of its own, with its own noise;
    a share `missing` of them without a depth."""
    features = scene.view(frame, rng, PIXEL)
    seen = (scene.points - scene.positions[frame]) @ scene.rotations[frame]
    visible = np.flatnonzero(np.isfinite(features.keypoints).all(1))
    depth = np.full((480, 640), np.nan, np.float32)
    inverse = 1 / seen[visible, 2] + rng.normal(0, SIGMA, len(visible))
    corner = np.floor(features.keypoints[visible]).astype(int)
    apart = np.abs(corner[:, None] - corner).max(2) + 10 * np.eye(len(corner), dtype=int)
    holds = (apart.min(1) > 6) & (inverse > 1 / FARTHEST) & (rng.random(len(corner)) >= missing)
    for (column, row), value in zip(corner[holds], inverse[holds], strict=True):
        depth[max(row - 1, 0) : row + 3, max(column - 1, 0) : column + 3] = 1 / value
    return features, depth


def drive(
    scene: Scene,
    rng: np.random.Generator,
    config: OdometryConfig = KNOWN_NOISE,
    outliers: float = 0.0,
    missing: dict[int, float] | None = None,
    in_sight: int = 100,
) -> list[OdometryUpdate]:
    """`missing`: by frame, the share of keypoints without a depth, else a third; `in_sight`: for
    how many frames a frame's points are seen."""
    numbers: dict[int, int] = {}

    def relate(features0: Features, features1: Features, *cameras: Camera) -> FilteredMatches:
        matches = same_index(features0, features1, *cameras)
        if numbers[id(features1)] - numbers[id(features0)] > in_sight:
            return replace(matches, inlier=np.zeros_like(matches.inlier))
        return with_outliers(matches, outliers, rng)

    odometry = RgbdOdometry(relate, config)
    updates, views = [], []
    for frame in range(len(scene.positions)):
        features, depth = view(scene, frame, rng, (missing or {}).get(frame, 0.33))
        views.append(features)
        numbers[id(features)] = frame
        updates.append(odometry.update(0.1 * frame, features, CAMERA, depth))
    return updates


def normalised_squared(pose: UncertainPose, truth: tuple[np.ndarray, np.ndarray]) -> float:
    wrong = pose_error(pose, *truth)
    return float(wrong @ np.linalg.solve(pose.covariance, wrong))


def length_squared(pose: UncertainPose, truth: tuple[np.ndarray, np.ndarray]) -> float:
    """The same of the length of the translation alone."""
    along = pose.position / np.linalg.norm(pose.position)
    wrong = along @ pose_error(pose, *truth)[:3]
    return float(wrong**2 / (along @ pose.covariance[:3, :3] @ along))


@pytest.mark.parametrize("keyframe_share", [1.0, 0.5])
def test_covariances_are_consistent_along_the_way(keyframe_share: float) -> None:
    """NEES of the relative pose, of the integrated one and of the last step, over independent
    drives with several keyframes, chi-square."""
    rng, frames = np.random.default_rng(10), 7
    config = replace(KNOWN_NOISE, keyframe_share=keyframe_share)
    relative, integrated, steps, lengths, step_lengths = [], [], [], [], []
    for _ in range(14):
        scene = Scene.drive(rng, frames, points=300)
        updates = drive(scene, rng, config)
        last = updates[-1]
        assert all(one.status is OdometryStatus.OK for one in updates[1:])
        assert last.pose is not None and last.relative is not None and last.motion is not None
        reference = round(10 * (last.reference_stamp or 0.0))
        relative.append(normalised_squared(last.relative, scene.true_motion(reference, frames - 1)))
        integrated.append(normalised_squared(last.pose, scene.true_motion(0, frames - 1)))
        steps.append(normalised_squared(last.motion, scene.true_motion(frames - 2, frames - 1)))
        step_lengths.append(length_squared(last.motion, scene.true_motion(frames - 2, frames - 1)))
        if keyframe_share == 1.0:  # each frame with depths of its own
            for frame, update in enumerate(updates[1:]):
                assert update.relative is not None
                truth = scene.true_motion(frame, frame + 1)
                lengths.append(length_squared(update.relative, truth))
        assert np.linalg.matrix_rank(last.relative.covariance, tol=1e-12) == 6
    low, high = stats.chi2.ppf([0.001, 0.999], 6 * len(relative))
    assert low < sum(relative) < high
    assert low < sum(integrated) < high
    assert low < sum(steps) < high
    # Depths tell the length alone, which is one of six: by itself.
    for squared in (lengths, step_lengths):
        low, high = stats.chi2.ppf([0.001, 0.999], max(len(squared), 1))
        assert not squared or low < sum(squared) < high


def test_motion_is_metric_and_survives_outliers() -> None:
    rng = np.random.default_rng(12)
    scene = Scene.drive(rng, 10, points=400)
    updates = drive(scene, rng, OdometryConfig(), outliers=0.2)
    position = scene.true_motion(0, 9)[1]
    last = updates[-1].pose
    assert last is not None
    assert all(update.scale_known for update in updates)
    assert np.linalg.norm(last.position - position) < 0.03 * np.linalg.norm(position)


def test_matches_without_depth_sharpen_the_motion() -> None:
    """They tell rotation and direction: it is less certain without them."""
    rng = np.random.default_rng(13)
    scene = Scene.drive(rng, 2, points=400)
    features, depth = view(scene, 0, rng, missing=0.8)
    then, _ = view(scene, 1, rng)

    def only_with_depth(*views: Features) -> FilteredMatches:
        found = same_index(*views)  # type: ignore[call-arg]
        columns, rows = np.floor(features.keypoints[found.indices0]).astype(int).T
        held = np.isfinite(depth[rows, columns])
        return replace(found, inlier=held)

    sigma = []
    for relate in (same_index, only_with_depth):
        odometry = RgbdOdometry(relate, KNOWN_NOISE)  # type: ignore[arg-type]
        odometry.update(0.0, features, CAMERA, depth)
        update = odometry.update(0.1, then, CAMERA, None)
        assert update.relative is not None and update.scale_known
        sigma.append(np.sqrt(np.diag(update.relative.covariance)))
    assert (sigma[0][3:] < 0.8 * sigma[1][3:]).all()


def test_a_stretch_without_depth_is_said_to_be_without_scale() -> None:
    """Direction and rotation are measured, the length is guessed and is uncertain by as much."""
    rng = np.random.default_rng(14)
    scene = Scene.drive(rng, 9, points=500)
    missing = dict.fromkeys((3, 4, 5), 1.0)
    updates = drive(scene, rng, LITTLE_PARALLAX, missing=missing, in_sight=1)
    ok, rescaled = OdometryStatus.OK, OdometryStatus.RESCALED
    assert [one.status for one in updates[1:]] == [ok, ok, ok, *[rescaled] * 3, ok, ok]
    assert [one.scale_known for one in updates] == [one.status != rescaled for one in updates]
    for frame in (4, 5, 6):
        relative = updates[frame].relative
        assert relative is not None
        rotation, position = scene.true_motion(frame - 1, frame)
        along = relative.position / np.linalg.norm(relative.position)
        assert np.degrees(np.arccos(along @ position / np.linalg.norm(position))) < 3.0
        assert np.linalg.norm(pose_error(relative, rotation, position)[3:]) < np.radians(0.3)
        # At the same speed as before: the guess is about right, and as uncertain as it is long.
        assert np.linalg.norm(relative.position) == pytest.approx(np.linalg.norm(position), rel=0.2)
        spread = np.sqrt(along @ relative.covariance[:3, :3] @ along)
        assert spread == pytest.approx(np.linalg.norm(relative.position), rel=0.1)
        across = np.linalg.eigvalsh(relative.covariance[:3, :3])[:2]
        assert (np.sqrt(across) < 0.05).all()
    assert updates[-1].pose is not None
    assert np.trace(updates[-1].pose.covariance[:3, :3]) > 0.5  # three lengths of half a metre


def test_frames_without_depth_are_measured_from_the_keyframe() -> None:
    """They do not take its place: its depths still tell the length."""
    rng = np.random.default_rng(19)
    scene = Scene.drive(rng, 6, points=400)
    missing = dict.fromkeys((2, 3, 4), 1.0)
    updates = drive(scene, rng, replace(KNOWN_NOISE, keyframe_share=1.0), missing=missing)
    assert all(one.status is OdometryStatus.OK for one in updates[1:])
    assert [one.keyframe for one in updates] == [True, True, False, False, False, True]


def test_no_depth_from_the_beginning_is_no_motion() -> None:
    """No length was ever measured: nothing in metres can be said but that it is unknown."""
    rng = np.random.default_rng(15)
    updates = drive(Scene.drive(rng, 3), rng, missing=dict.fromkeys(range(3), 1.0))
    assert [one.status for one in updates[1:]] == [OdometryStatus.LOST] * 2
    assert all(one.relative is None and one.pose is not None for one in updates[1:])


def test_of_two_views_without_depth_the_translation_has_the_length_that_is_asked_for() -> None:
    rng = np.random.default_rng(16)
    scene = Scene.drive(rng, 2, points=300)
    found = same_index(*(views := [scene.view(i, rng, PIXEL) for i in (0, 1)]), CAMERA, CAMERA)
    points0, points1 = (CAMERA.normalize(one.keypoints)[found.indices0] for one in views)
    nothing = np.full(len(points0), np.nan)
    observed = with_depth(points0, points1, np.ones(len(points0)), nothing, KNOWN_NOISE)
    solution = scaleless_motion(observed, CAMERA.mean_focal, 1.0, LITTLE_PARALLAX)
    assert solution is not None
    assert np.linalg.norm(solution.position) == pytest.approx(1.0)
    along = solution.covariance[:3, :3] @ solution.position
    np.testing.assert_allclose(along, 0.0, atol=1e-9)
    true = scene.true_motion(0, 1)[1]
    assert solution.position @ true / np.linalg.norm(true) > np.cos(np.radians(3))


def test_a_depth_image_of_another_size_is_refused() -> None:
    rng = np.random.default_rng(17)
    features, depth = view(Scene.drive(rng, 1), 0, rng)
    odometry = RgbdOdometry(same_index)
    with pytest.raises(DepthError, match=r"\(320, 240\).*\(640, 480\)"):
        odometry.update(0.0, features, CAMERA, depth[::2, ::2])


def test_an_interrupted_odometry_goes_on_to_the_last_bit() -> None:
    rng = np.random.default_rng(18)
    scene = Scene.drive(rng, 7, points=400)
    views = [view(scene, frame, rng, 0.33) for frame in range(7)]
    whole, part = (RgbdOdometry(same_index, KNOWN_NOISE) for _ in range(2))
    for frame, (features, depth) in enumerate(views):
        state = to_bytes(part.state_dict())
        part = RgbdOdometry(same_index, KNOWN_NOISE)
        part.load_state_dict(from_bytes(state))
        one, other = (it.update(0.1 * frame, features, CAMERA, depth) for it in (whole, part))
        assert one.pose is not None and other.pose is not None and one.status is other.status
        np.testing.assert_array_equal(one.pose.matrix, other.pose.matrix)
        np.testing.assert_array_equal(one.pose.covariance, other.pose.covariance)
        np.testing.assert_array_equal(one.track_ids, other.track_ids)
