"""A camera that turns to and fro is measured against what it has seen before: it does not drift."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from odometry.rig_scene import CAMERA, RIG, Scene, same_index
from scipy import stats

from msga_ros.bags.state import from_bytes, to_bytes
from msga_ros.frontend import Features
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.matches import FilteredMatches
from msga_ros.odometry.poses import UncertainPose, pose_error
from msga_ros.odometry.stereo import StereoOdometry
from msga_ros.odometry.updates import OdometryStatus, OdometryUpdate

PIXEL = 0.3
CONFIG = OdometryConfig(
    noise_px=PIXEL, rig_sigma_deg=0.0, keyframe_certainty=0.0, systematic_share=0.0
)
NONE_KEPT = replace(CONFIG, keyframes_kept=0)
TURN_DEG, PERIOD = 60.0, 24  # to each side; frames to and fro once


def turning(rng: np.random.Generator, frames: int = 2 * PERIOD + 1) -> Scene:
    """A camera that looks to the right and the left of where it began; points all around."""
    angles = np.radians(TURN_DEG) * np.sin(2 * np.pi * np.arange(frames) / PERIOD)
    rotations = np.array([rotation_matrix(np.array([0.0, angle, 0.0])) for angle in angles])
    positions = 0.2 * np.column_stack([np.sin(angles), 0 * angles, 1 - np.cos(angles)])
    around = rng.uniform(-np.pi, np.pi, 1200)
    distance = rng.uniform(3.0, 12.0, 1200)
    cloud = np.column_stack(
        [distance * np.sin(around), rng.uniform(-2.5, 2.5, 1200), distance * np.cos(around)]
    )
    return Scene(cloud, rotations, positions)


def drive(
    scene: Scene,
    seed: int,
    config: OdometryConfig,
    blind: frozenset[int] = frozenset(),
    interrupted: bool = False,
    ids: bool = False,
) -> tuple[list[OdometryUpdate], StereoOdometry, list[int]]:
    """The updates of all frames, the odometry, and how many views each was matched with.

    `blind`: frames that match nothing; `ids`: of a front end that
    follows its points.
    """
    rng, asked, now = np.random.default_rng(seed), [0] * len(scene.positions), 0

    def relate(*views: Features | Camera) -> FilteredMatches:
        asked[now] += 1
        found = same_index(*views)  # type: ignore[arg-type]
        return replace(found, inlier=np.zeros_like(found.inlier)) if now in blind else found

    odometry, updates = StereoOdometry(RIG, relate, config), []
    for now in range(len(scene.positions)):
        if interrupted:
            state = to_bytes(odometry.state_dict())
            odometry = StereoOdometry(RIG, relate, config)
            odometry.load_state_dict(from_bytes(state))
        left, right = (scene.view(now, rng, PIXEL, rig) for rig in (None, RIG))
        if ids:
            left = replace(left, ids=np.arange(1, len(left) + 1))
        matches = same_index(left, right, CAMERA, CAMERA)
        updates.append(odometry.update(0.1 * now, left, right, CAMERA, CAMERA, matches))
    return updates, odometry, asked


def errors(updates: list[OdometryUpdate], scene: Scene) -> NDArray[np.float64]:
    """(F, 6), position and rotation of every frame."""
    found = []
    for frame, update in enumerate(updates):
        assert update.pose is not None
        found.append(pose_error(update.pose, *scene.true_motion(0, frame)))
    return np.array(found)


def size(pose: UncertainPose | None) -> float:
    assert pose is not None
    return float(np.linalg.slogdet(pose.covariance)[1])


def test_turning_to_and_fro_drifts_less_than_half() -> None:
    wrong = {0: 0.0, 8: 0.0}
    for seed in range(2):
        scene = turning(np.random.default_rng(seed))
        for kept in wrong:
            updates, _, _ = drive(scene, seed, replace(CONFIG, keyframes_kept=kept))
            assert all(one.status is OdometryStatus.OK for one in updates[1:])
            last = errors(updates, scene)[PERIOD:]
            wrong[kept] += float((last[:, 3:] ** 2).sum())
    assert wrong[8] < 0.25 * wrong[0]  # of squares: half of the error


def test_a_camera_that_is_back_is_as_certain_as_it_was_and_honest() -> None:
    normalised = []
    for seed in range(8):
        scene = turning(np.random.default_rng(50 + seed), PERIOD + 1)
        updates, _, _ = drive(scene, seed, CONFIG)
        plain, _, _ = drive(scene, seed, NONE_KEPT)
        assert size(updates[-1].pose) < size(plain[-1].pose) - 3
        stamps = {one.stamp: one for one in updates}
        came_back = 0
        for before, one in itertools.pairwise(updates[1:]):
            assert one.pose is not None and one.reference_stamp is not None
            reference = stamps[one.reference_stamp].pose
            assert reference is not None
            # Along no axis of the rotation more certain than where it is measured from.
            more = one.pose.covariance[3:, 3:] - reference.covariance[3:, 3:]
            assert np.linalg.eigvalsh(more).min() > -0.1 * np.trace(reference.covariance[3:, 3:])
            came_back += one.reference_stamp < (before.reference_stamp or 0.0)
        assert came_back >= 1
        wrong = errors(updates, scene)[-3]
        last = updates[-3].pose
        assert last is not None
        normalised.append(float(wrong @ np.linalg.solve(last.covariance, wrong)))
    low, high = stats.chi2.ppf([0.001, 0.999], 6 * len(normalised))
    assert low < sum(normalised) < high


def test_ids_that_come_back_are_those_of_the_same_points() -> None:
    scene = turning(np.random.default_rng(3))
    updates, _, _ = drive(scene, 3, CONFIG)
    point_of: dict[int, int] = {}
    for update in updates:
        seen = update.feature_ids[update.feature_ids > 0]
        assert len(np.unique(seen)) == len(seen)
        for point in np.flatnonzero(update.feature_ids):
            assert point_of.setdefault(int(update.feature_ids[point]), point) == point
    first, last = set(updates[0].feature_ids.tolist()), set(updates[-1].feature_ids.tolist())
    assert len(first & last - {0}) > 0.3 * len(first)


def test_the_way_ahead_is_the_same_and_nothing_more_is_matched() -> None:
    scene = Scene.drive(np.random.default_rng(5), 16, points=900)
    often = replace(CONFIG, keyframe_share=0.9)
    updates, odometry, asked = drive(scene, 5, often)
    plain, _, asked_plain = drive(scene, 5, replace(often, keyframes_kept=0))
    assert sum(one.keyframe for one in updates) > 3 and len(odometry.reference_stamps) > 3
    assert asked == asked_plain
    for one, other in zip(updates, plain, strict=True):
        assert one.pose is not None and other.pose is not None
        np.testing.assert_array_equal(one.pose.matrix, other.pose.matrix)
        np.testing.assert_array_equal(one.pose.covariance, other.pose.covariance)
        np.testing.assert_array_equal(one.track_ids, other.track_ids)


@pytest.mark.parametrize("most", [0, 2, 8])
def test_so_many_are_kept_and_one_is_tried(most: int) -> None:
    scene = turning(np.random.default_rng(6))
    _, odometry, asked = drive(scene, 6, replace(CONFIG, keyframes_kept=most))
    kept = odometry.state_dict()["kept"]
    assert len(kept) <= most and (len(kept) > 0) == (most > 0)
    assert len(odometry.reference_stamps) <= most + 2
    assert len(set(odometry.reference_stamps)) == len(odometry.reference_stamps)
    assert max(asked) <= 3


def test_after_frames_that_show_nothing_the_guess_leaves_the_pose_again() -> None:
    scene = turning(np.random.default_rng(7), PERIOD + 1)
    blind = frozenset({5, 6})
    updates, _, _ = drive(scene, 7, CONFIG, blind)
    plain, _, _ = drive(scene, 7, NONE_KEPT, blind)
    assert updates[5].status is OdometryStatus.LOST
    assert size(plain[-1].pose) > size(updates[-1].pose) + 10
    assert np.linalg.norm(errors(updates, scene)[-1, 3:]) < np.radians(0.5)


def test_nothing_is_kept_where_the_front_end_follows_its_points() -> None:
    scene = turning(np.random.default_rng(8), PERIOD + 1)
    _, odometry, asked = drive(scene, 8, CONFIG, ids=True)
    assert not odometry.state_dict()["kept"] and max(asked) == 1


def test_a_turn_that_is_interrupted_goes_on_to_the_last_bit() -> None:
    scene = turning(np.random.default_rng(9), PERIOD + 1)
    whole, _, _ = drive(scene, 9, CONFIG)
    parts, _, _ = drive(scene, 9, CONFIG, interrupted=True)
    for one, other in zip(whole, parts, strict=True):
        assert one.pose is not None and other.pose is not None
        np.testing.assert_array_equal(one.pose.matrix, other.pose.matrix)
        np.testing.assert_array_equal(one.track_ids, other.track_ids)
