"""Stereo odometry over many frames: metric, honest about its errors, tracks that persist."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from odometry.rig_scene import CAMERA, RIG, Scene, same_index, with_outliers
from scipy import stats

from msga_ros.frontend import Features
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.rotations import rotation_matrix, rotation_vector
from msga_ros.odometry.config import OdometryConfig, OdometryError
from msga_ros.odometry.matches import FilteredMatches
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.poses import UncertainPose, pose_error
from msga_ros.odometry.rig import RigCheck
from msga_ros.odometry.stereo import StereoOdometry
from msga_ros.odometry.updates import OdometryStatus, OdometryUpdate

KNOWN_NOISE = OdometryConfig(noise_px=0.5, rig_sigma_deg=0.0, systematic_share=0.0)


def drive(
    scene: Scene,
    rng: np.random.Generator,
    config: OdometryConfig = KNOWN_NOISE,
    noise: float = 0.5,
    rig: Rig = RIG,
    outliers: float = 0.0,
) -> list[OdometryUpdate]:
    def relate(*views: object) -> FilteredMatches:
        return with_outliers(same_index(*views), outliers, rng)  # type: ignore[arg-type]

    odometry = StereoOdometry(RIG, relate, config)
    updates = []
    for frame in range(len(scene.positions)):
        left, right = scene.view(frame, rng, noise), scene.view(frame, rng, noise, rig)
        matches = relate(left, right, CAMERA, CAMERA)
        updates.append(odometry.update(0.1 * frame, left, right, CAMERA, CAMERA, matches))
    return updates


def normalised_squared(pose: UncertainPose, truth: tuple[np.ndarray, np.ndarray]) -> float:
    wrong = pose_error(pose, *truth)
    return float(wrong @ np.linalg.solve(pose.covariance, wrong))


@pytest.mark.parametrize("keyframe_share", [1.0, 0.7])
def test_covariances_are_consistent_along_the_way(keyframe_share: float) -> None:
    """NEES of the relative and of the integrated pose, over independent drives, chi-square."""
    rng = np.random.default_rng(10)
    config = replace(KNOWN_NOISE, keyframe_share=keyframe_share, keyframe_certainty=0.0)
    relative, integrated, independent = [], [], []
    for _ in range(16):
        scene = Scene.drive(rng, 8)
        updates = drive(scene, rng, config)
        last = updates[-1]
        assert last.pose is not None and last.relative is not None
        reference = round(10 * (last.reference_stamp or 0.0))
        relative.append(normalised_squared(last.relative, scene.true_motion(reference, 7)))
        integrated.append(normalised_squared(last.pose, scene.true_motion(0, 7)))
        chained = UncertainPose.origin()
        for update in updates[1:]:
            assert update.relative is not None
            if update.keyframe or update is last:
                chained = chained.compose(update.relative)
        independent.append(normalised_squared(chained, scene.true_motion(0, 7)))
    low, high = stats.chi2.ppf([0.001, 0.999], 6 * len(relative))
    assert low < sum(relative) < high
    assert low < sum(integrated) < high
    if keyframe_share == 1.0:  # what it would be without the correlation of successive motions
        assert sum(independent) < low


def test_covariances_are_consistent_across_keyframes_that_stand_for_several_frames() -> None:
    """NEES as above, of a frame on the way from the third keyframe or a later one, and of it."""
    rng, frames = np.random.default_rng(20), 15
    config = replace(KNOWN_NOISE, keyframe_share=0.9, keyframe_certainty=0.0)
    at_keyframe, between = [], []
    for _ in range(12):
        scene = Scene.drive(rng, frames)
        updates = drive(scene, rng, config)
        keyframes = [i for i, update in enumerate(updates) if update.keyframe]
        on_the_way = [i for i in range(keyframes[2] + 1, frames) if i not in keyframes]
        assert 4 <= len(keyframes) <= frames * 2 / 3 and on_the_way
        for index, found in ((keyframes[-1], at_keyframe), (on_the_way[-1], between)):
            pose = updates[index].pose
            assert pose is not None and updates[index].status is not OdometryStatus.LOST
            found.append(normalised_squared(pose, scene.true_motion(0, index)))
    low, high = stats.chi2.ppf([0.001, 0.999], 6 * len(between))
    assert low < sum(at_keyframe) < high
    assert low < sum(between) < high


def test_followed_points_have_a_share_of_their_own() -> None:
    """Of points with ids, which a front end follows, every frame becomes a keyframe here."""
    config = replace(
        KNOWN_NOISE, keyframe_share=0.0, keyframe_share_followed=1.0, keyframe_certainty=0.0
    )
    keyframes = {}
    for followed in (False, True):
        rng = np.random.default_rng(4)
        scene = Scene.drive(rng, 5)
        odometry = StereoOdometry(RIG, same_index, config)
        keyframes[followed] = 0
        for frame in range(5):
            left, right = scene.view(frame, rng, 0.5), scene.view(frame, rng, 0.5, RIG)
            if followed:
                left = replace(left, ids=np.arange(len(left)))
            pair = same_index(left, right, CAMERA, CAMERA)
            update = odometry.update(0.1 * frame, left, right, CAMERA, CAMERA, pair)
            keyframes[followed] += update.keyframe
    assert keyframes == {False: 1, True: 5}


def test_a_camera_that_is_not_what_it_is_taken_for_stays_inside_the_covariance() -> None:
    """Every motion is bent by the same linear map, off by two percent; NEES as above."""
    rng = np.random.default_rng(17)
    honest, blind = [], []
    for _ in range(10):
        scene = Scene.drive(rng, 7)
        bend_p, bend_r = np.eye(3) + 0.02 * rng.normal(size=(2, 3, 3))
        truth = UncertainPose.origin()
        for frame in range(1, 7):
            turn, shift = scene.true_motion(frame - 1, frame)
            bent = rotation_matrix(bend_r @ rotation_vector(turn))
            truth = truth.compose(UncertainPose(bent, bend_p @ shift, np.zeros((6, 6))))
        for share, found in ((0.02, honest), (0.0, blind)):
            last = drive(scene, rng, replace(KNOWN_NOISE, systematic_share=share), 0.5)[-1]
            assert last.pose is not None
            found.append(normalised_squared(last.pose, (truth.rotation, truth.position)))
    low, high = stats.chi2.ppf([0.001, 0.999], 6 * len(honest))
    assert low < sum(honest) < high < sum(blind)


def test_a_rig_that_is_not_what_it_is_taken_for_is_so_at_every_step() -> None:
    """What its matches do not tell of the right camera's turn makes all motions too long or too
    short together: the spread grows as the way, not as its root; NEES as above."""
    rng, sigma_deg, frames = np.random.default_rng(18), 0.03, 16
    config = replace(KNOWN_NOISE, rig_sigma_deg=sigma_deg, keyframe_share=1.0)
    squared, growth = [], []
    for _ in range(4):
        scene = Scene.drive(rng, frames, points=150)
        turned = RIG.turned(rng.normal(0, np.radians(sigma_deg), 3))
        poses = [update.pose for update in drive(scene, rng, config, 0.5, turned)]
        first, last = poses[1], poses[-1]
        assert first is not None and last is not None
        spreads = [np.sqrt(np.trace(pose.covariance[:3, :3])) for pose in (first, last)]
        growth.append(spreads[1] / spreads[0])
        squared.append(normalised_squared(last, scene.true_motion(0, frames - 1)))
    low, high = stats.chi2.ppf([0.001, 0.999], 6 * len(squared))
    assert low < sum(squared) < high
    assert min(growth) > 1.2 * np.sqrt(frames - 1)


def watched(noise: float, frames: int, points: int, config: OdometryConfig) -> list[RigCheck]:
    """What is said of the rig along a drive, halfway of which its right camera is knocked."""
    rng = np.random.default_rng(3)
    scene = Scene.drive(rng, frames, points)
    odometry, checks = StereoOdometry(RIG, same_index, config), []
    for frame in range(frames):
        rig = RIG.turned(KNOCK) if frame >= frames // 2 else RIG
        left, right = scene.view(frame, rng, noise), scene.view(frame, rng, noise, rig)
        matches = same_index(left, right, CAMERA, CAMERA)
        update = odometry.update(0.1 * frame, left, right, CAMERA, CAMERA, matches)
        if frame:
            assert update.rig is not None
            checks.append(update.rig)
    return checks


KNOCK = np.radians([0.0, 0.1, 0.0])


def test_a_rig_that_is_knocked_is_believed_soon() -> None:
    """However sure its precise matches were: certainty ends at two thousandths of a degree."""
    config = replace(KNOWN_NOISE, noise_px=0.05, rig_sigma_deg=0.1)
    checks = watched(0.05, 24, 200, config)
    assert checks[10].rotation_deg[1] == pytest.approx(0.0, abs=0.01)
    assert checks[-1].rotation_deg[1] == pytest.approx(0.1, abs=0.02)
    assert min(check.rotation_sigma_deg.min() for check in checks) > 0.0019


def test_what_is_believed_of_a_knocked_rig_is_not_too_sure() -> None:
    """Poor matches take longer, and until then the standard deviation covers it."""
    wide = {"gate_px": 3.0, "reprojection_px": 6.0, "rig_threshold_px": 6.0, "min_inliers": 6}
    checks = watched(1.0, 40, 80, replace(KNOWN_NOISE, noise_px=1.0, rig_sigma_deg=0.5, **wide))
    last = checks[-1]
    assert abs(last.rotation_deg[1] - 0.1) < 2 * last.rotation_sigma_deg[1] < 0.2


def test_uncertainty_grows_along_the_way() -> None:
    rng = np.random.default_rng(11)
    updates = drive(Scene.drive(rng, 10), rng)
    traces = [np.trace(u.pose.covariance[:3, :3]) for u in updates if u.pose is not None]
    assert traces[0] == 0.0
    assert traces[9] > traces[5] > traces[1] > 0.0


def test_motion_is_metric_and_survives_outliers() -> None:
    rng = np.random.default_rng(12)
    scene = Scene.drive(rng, 12)
    updates = drive(scene, rng, OdometryConfig(), outliers=0.2)
    position = scene.true_motion(0, 11)[1]
    last = updates[-1].pose
    assert last is not None
    assert all(update.scale_known for update in updates)
    assert all(update.status is OdometryStatus.OK for update in updates[1:])
    assert np.linalg.norm(last.position - position) < 0.02 * np.linalg.norm(position)


def test_vergence_out_of_calibration_shows_and_does_not_bend_the_scale() -> None:
    rng = np.random.default_rng(13)
    scene = Scene.drive(rng, 12, points=500)
    turned = RIG.turned(np.radians([0.0, 0.15, 0.0]))
    right = drive(scene, np.random.default_rng(1), OdometryConfig(), 0.3)[-1]
    wrong = drive(scene, np.random.default_rng(1), OdometryConfig(), 0.3, turned)[-1]
    trusting = OdometryConfig(rig_sigma_deg=0.0)
    bent = drive(scene, np.random.default_rng(1), trusting, 0.3, turned)[-1]
    position = scene.true_motion(0, 11)[1]
    length = np.linalg.norm(position)
    assert wrong.pose is not None and bent.pose is not None
    assert np.linalg.norm(wrong.pose.position - position) < 0.01 * length
    assert np.linalg.norm(bent.pose.position - position) > 0.02 * length
    assert right.rig is not None and wrong.rig is not None
    assert not right.rig.drifted(0.5, CAMERA.mean_focal)
    assert wrong.rig.drifted(0.5, CAMERA.mean_focal)
    assert wrong.rig.rotation_deg[1] == pytest.approx(0.15, abs=0.03)


def test_a_trusted_calibration_that_is_off_bends_short_motions_less() -> None:
    """Near points, whose depths are hardly wrong, are in sight of the next frame, not of the tenth.
    The camera that is known to be able to turn needs no such help."""
    scene = Scene.drive(np.random.default_rng(21), 12, points=500)
    turned = RIG.turned(np.radians([0.0, 0.15, 0.0]))
    length = np.linalg.norm(scene.true_motion(0, 11)[1])
    too_long, keyframes = [], []
    for certainty in (0.0, 10.0):
        trusting = OdometryConfig(rig_sigma_deg=0.0, keyframe_certainty=certainty)
        updates = drive(scene, np.random.default_rng(1), trusting, 0.3, turned)
        assert updates[-1].pose is not None
        too_long.append(abs(np.linalg.norm(updates[-1].pose.position) / length - 1.0))
        keyframes.append(sum(update.keyframe for update in updates))
    assert too_long[1] < 0.9 * too_long[0]
    assert keyframes[0] < keyframes[1] == len(updates)
    learning = drive(scene, np.random.default_rng(1), OdometryConfig(), 0.3, turned)
    assert sum(update.keyframe for update in learning) == keyframes[0]


def test_a_camera_that_stands_keeps_its_keyframe() -> None:
    rng = np.random.default_rng(22)
    drawn = Scene.drive(rng, 2, points=400)
    still = Scene(drawn.points, np.repeat(drawn.rotations[:1], 8, 0), np.zeros((8, 3)))
    updates = drive(still, rng, KNOWN_NOISE)
    assert [update.keyframe for update in updates] == [True] + [False] * 7
    assert all(update.reference_stamp == 0.0 for update in updates[1:])


def test_a_blind_frame_is_guessed_and_said_so() -> None:
    rng = np.random.default_rng(14)
    scene = Scene.drive(rng, 8)
    blank = Features(
        np.empty((0, 2), np.float32),
        np.empty(0, np.float32),
        np.empty((0, 1), np.float32),
        (640, 480),
    )
    none = np.empty(0, np.int64)
    nothing = FilteredMatches(none, none, np.empty(0, bool), np.empty(0, np.float32))

    def relate(
        features0: Features, features1: Features, camera0: Camera, camera1: Camera
    ) -> FilteredMatches:
        if min(len(features0), len(features1)) == 0:
            return nothing
        return same_index(features0, features1, camera0, camera1)

    odometry = StereoOdometry(RIG, relate, KNOWN_NOISE)
    statuses, spreads = [], []
    for frame in range(8):
        left, right = scene.view(frame, rng, 0.5), scene.view(frame, rng, 0.5, RIG)
        if frame == 4:
            left = right = blank
        matches = relate(left, right, CAMERA, CAMERA)
        update = odometry.update(0.1 * frame, left, right, CAMERA, CAMERA, matches)
        assert update.pose is not None and np.isfinite(update.pose.covariance).all()
        statuses.append(update.status)
        spreads.append(np.sqrt(np.trace(update.pose.covariance[:3, :3])))
    good = OdometryStatus.OK
    assert statuses[1:4] == [good] * 3 and statuses[4] is OdometryStatus.LOST
    assert statuses[6:] == [good] * 2
    assert spreads[4] > 0.3 > spreads[3]  # about as uncertain as a step is long
    odometry.reset()
    left, right = scene.view(0, rng, 0.5), scene.view(0, rng, 0.5, RIG)
    matches = relate(left, right, CAMERA, CAMERA)
    again = odometry.update(9.0, left, right, CAMERA, CAMERA, matches)
    assert again.status is OdometryStatus.STARTED
    np.testing.assert_array_equal(again.pose.matrix, np.eye(4))  # type: ignore[union-attr]


def test_track_ids_follow_points() -> None:
    rng = np.random.default_rng(15)
    # One keyframe: a point that is no inlier of the frame that becomes the next begins a new track.
    updates = drive(Scene.drive(rng, 6), rng, replace(KNOWN_NOISE, keyframe_certainty=0.0))
    first: dict[int, int] = {}
    for update in updates[1:]:
        assert update.matches is not None
        rows = np.flatnonzero(update.track_ids)
        assert update.inlier[rows].all()
        for point, track in zip(
            update.matches.indices1[rows].tolist(), update.track_ids[rows].tolist(), strict=True
        ):
            # Feature i is point i: one point, one id, however many frames.
            assert first.setdefault(point, track) == track
    assert len(set(first.values())) == len(first)


def test_points_are_where_they_are() -> None:
    rng = np.random.default_rng(16)
    scene = Scene.drive(rng, 4)
    update = drive(scene, rng, noise=0.05)[-1]
    assert update.matches is not None
    rows = np.flatnonzero(update.inlier)
    true = (scene.points - scene.positions[-1]) @ scene.rotations[-1]
    true = true[update.matches.indices1[rows]]
    off = np.linalg.norm(update.points[rows] - true, axis=1) / true[:, 2]
    assert np.median(off) < 0.01


@pytest.mark.parametrize(
    "wrong",
    [
        {"gate_px": 0.0},
        {"noise_px": -1.0},
        {"min_inliers": 3},
        {"keyframe_share": 1.5},
        {"systematic_share": -0.1},
    ],
)
def test_settings_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(OdometryError, match=next(iter(wrong))):
        OdometryConfig(**wrong)  # type: ignore[arg-type]
