"""ATE, RPE and the files: against known values, and against evo where it is installed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from msga_ros.evaluation.odometry.trajectory_error import (
    TrajectoryError,
    absolute_errors,
    align,
    evaluate_trajectory,
    relative_errors,
    segments,
)
from msga_ros.geometry.rotations import quaternion, rotation_matrix
from msga_ros.odometry.poses import pose_matrix
from msga_ros.odometry.trajectory import write_kitti, write_tum


def winding(rng: np.random.Generator, frames: int = 40) -> np.ndarray:
    poses = [np.eye(4)]
    for _ in range(frames - 1):
        step = pose_matrix(rotation_matrix(rng.normal(0, 0.05, 3)), [0.1, 0.0, 1.0])
        poses.append(poses[-1] @ step)
    return np.array(poses)


def noisy(poses: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    moved = poses.copy()
    moved[:, :3, 3] += rng.normal(0, 0.1, (len(poses), 3))
    return moved


@pytest.mark.parametrize("scale", [1.0, 0.2])
def test_a_moved_and_scaled_trajectory_has_no_error(scale: float) -> None:
    rng = np.random.default_rng(0)
    truth = winding(rng)
    move = pose_matrix(rotation_matrix([0.5, -1.0, 2.0]), [3.0, -2.0, 1.0])
    estimate = move @ truth
    estimate[:, :3, 3] *= scale
    errors = evaluate_trajectory(truth, estimate, with_scale=scale != 1.0)
    assert errors.ate_m == pytest.approx(0.0, abs=1e-9)
    assert errors.rpe_trans_percent == pytest.approx(0.0, abs=1e-7)
    assert errors.rpe_rot_deg == pytest.approx(0.0, abs=1e-5)
    assert errors.length == pytest.approx(39 * np.hypot(1.0, 0.1))


def test_a_wrong_scale_is_an_error_in_percent_of_the_way() -> None:
    """Straight on, 3 % too far: 3 % of every segment, whatever its length."""
    truth = np.tile(np.eye(4), (30, 1, 1))
    truth[:, 2, 3] = np.arange(30)
    estimate = truth.copy()
    estimate[:, 2, 3] *= 1.03
    errors = evaluate_trajectory(truth, estimate, with_scale=False)
    assert errors.rpe_trans_percent == pytest.approx(3.0)
    # The residual of a straight line of the wrong length, aligned in its middle.
    assert errors.ate_m == pytest.approx(0.03 * np.std(np.arange(30)))
    assert evaluate_trajectory(truth, estimate, with_scale=True).ate_m == pytest.approx(0, abs=1e-9)


def test_a_constant_turn_rate_error_is_degrees_of_a_segment() -> None:
    truth = np.tile(np.eye(4), (21, 1, 1))
    truth[:, 2, 3] = np.arange(21)
    estimate = truth.copy()
    for i in range(21):
        estimate[i, :3, :3] = rotation_matrix([0, np.radians(0.1) * i, 0])
    errors = evaluate_trajectory(truth, estimate, with_scale=False)
    # Segments of 2, 4, ... 16 frames, from every frame where one fits; near the end one that is a
    # frame short is within the tenth that evo allows, from ten frames on.
    found = [0.1 * k for k in range(2, 17, 2) for _ in range(21 - k)]
    found += [0.1 * (k - 1) for k in range(10, 17, 2)]
    assert errors.rpe_rot_deg == pytest.approx(np.mean(found))


def test_what_cannot_be_compared_is_said() -> None:
    still = np.tile(np.eye(4), (5, 1, 1))
    with pytest.raises(TrajectoryError, match="does not move"):
        evaluate_trajectory(still, still, with_scale=True)
    with pytest.raises(TrajectoryError, match="does not move"):
        evaluate_trajectory(still, still, with_scale=False)
    with pytest.raises(TrajectoryError, match="cannot align"):
        evaluate_trajectory(still[:2], still[:2], with_scale=False)


@pytest.mark.parametrize("with_scale", [False, True])
def test_agrees_with_evo(with_scale: bool) -> None:
    metrics = pytest.importorskip("evo.core.metrics")
    trajectory = pytest.importorskip("evo.core.trajectory")
    rng = np.random.default_rng(1)
    truth = winding(rng)
    estimate = noisy(pose_matrix(rotation_matrix([0.1, 0.2, 0.3]), [1, 2, 3]) @ truth, rng)
    estimate[:, :3, 3] *= 0.7 if with_scale else 1.0
    reference = trajectory.PosePath3D(poses_se3=list(truth))
    other = trajectory.PosePath3D(poses_se3=list(estimate))
    other.align(reference, correct_scale=with_scale)
    ape = metrics.APE(metrics.PoseRelation.translation_part)
    ape.process_data((reference, other))
    ours = align(truth[:, :3, 3], estimate[:, :3, 3], with_scale).apply(estimate)
    np.testing.assert_allclose(absolute_errors(truth, ours), ape.error, atol=1e-9)
    for relation, which in (("translation_part", 0), ("rotation_angle_deg", 1)):
        rpe = metrics.RPE(metrics.PoseRelation[relation], 1, metrics.Unit.frames, all_pairs=True)
        rpe.process_data((reference, other))
        found = relative_errors(truth, ours, np.arange(39), np.arange(1, 40))[which]
        np.testing.assert_allclose(found, rpe.error, atol=1e-6)


def uneven(rng: np.random.Generator, frames: int, stops: bool = False) -> np.ndarray:
    """A winding way with steps of very different length, some of them none."""
    poses = [np.eye(4)]
    for number in range(frames - 1):
        length = 0.0 if stops and number % 4 == 1 else rng.uniform(0.3, 1.7)
        turn = rotation_matrix(rng.normal(0, 0.1, 3))
        poses.append(poses[-1] @ pose_matrix(turn, [0.1 * length, 0.0, length]))
    return np.array(poses)


def drifting(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    poses = [truth[0]]
    for before, after in pairwise(truth):
        error = pose_matrix(rotation_matrix(rng.normal(0, 0.01, 3)), rng.normal(0, 0.03, 3))
        poses.append(poses[-1] @ np.linalg.inv(before) @ after @ error)
    return np.array(poses)


def by_definition(
    truth: np.ndarray, estimate: np.ndarray, length: float
) -> tuple[list[tuple[int, int]], list[float], list[float], list[float]]:
    """Pairs of evo's RPE over `length` (all pairs, from the reference), and of each: translation
    error, rotation error (degrees), way. Frame by frame, as the definition says it."""
    travelled = [0.0]
    for one, other in pairwise(truth):
        travelled.append(travelled[-1] + float(np.linalg.norm(other[:3, 3] - one[:3, 3])))
    pairs, translations, rotations, ways = [], [], [], []
    for i in range(len(truth) - 1):
        off = [abs(travelled[j] - travelled[i] - length) for j in range(i + 1, len(truth))]
        j = i + 1 + off.index(min(off))
        if min(off) > 0.1 * length:
            continue
        motions = [np.linalg.inv(poses[i]) @ poses[j] for poses in (truth, estimate)]
        wrong = np.linalg.inv(motions[0]) @ motions[1]
        pairs.append((i, j))
        translations.append(float(np.linalg.norm(wrong[:3, 3])))
        rotations.append(float(np.degrees(Rotation.from_matrix(wrong[:3, :3]).magnitude())))
        ways.append(travelled[j] - travelled[i])
    return pairs, translations, rotations, ways


@pytest.mark.parametrize("frames", [5, 8, 12, 20, 60])
@pytest.mark.parametrize("stops", [False, True])
def test_rpe_is_that_of_the_definition(frames: int, stops: bool) -> None:
    """Short and long sequences, with steps that fit no segment, and frames at one place."""
    rng = np.random.default_rng(frames)
    truth = uneven(rng, frames, stops)
    estimate = drifting(truth, rng)
    errors = evaluate_trajectory(truth, estimate, with_scale=False)
    shares, angles = [], []
    for share in np.arange(1, 9) / 10:
        pairs, translations, rotations, ways = by_definition(truth, estimate, share * errors.length)
        starts, ends = segments(truth, share * errors.length)
        assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == pairs
        shares += [error / way for error, way in zip(translations, ways, strict=True)]
        angles += rotations
    assert errors.rpe_trans_percent == pytest.approx(100 * np.mean(shares))
    assert errors.rpe_rot_deg == pytest.approx(np.mean(angles), abs=1e-6)


@pytest.mark.parametrize("frames", [12, 60])
def test_segments_are_those_of_evo(frames: int) -> None:
    metrics = pytest.importorskip("evo.core.metrics")
    trajectory = pytest.importorskip("evo.core.trajectory")
    rng = np.random.default_rng(3)
    truth = uneven(rng, frames, stops=True)
    estimate = drifting(truth, rng)
    paths = tuple(trajectory.PosePath3D(poses_se3=list(one)) for one in (truth, estimate))
    for share in (0.2, 0.5, 0.8):
        length = share * evaluate_trajectory(truth, estimate, with_scale=False).length
        starts, ends = segments(truth, length)
        for relation, which in (("translation_part", 0), ("rotation_angle_deg", 1)):
            rpe = metrics.RPE(
                metrics.PoseRelation[relation], length, metrics.Unit.meters, all_pairs=True,
                pairs_from_reference=True,
            )  # fmt: skip
            rpe.process_data(paths)
            found = relative_errors(truth, estimate, starts, ends)[which]
            np.testing.assert_allclose(found, rpe.error, atol=1e-6)


def test_of_two_frames_as_near_the_earlier_ends_a_segment() -> None:
    truth = np.tile(np.eye(4), (12, 1, 1))
    truth[:, 2, 3] = np.arange(12)
    starts, ends = segments(truth, 10.5)
    assert (starts.tolist(), ends.tolist()) == ([0, 1], [10, 11])


def test_steps_longer_than_every_segment_are_said() -> None:
    truth = np.tile(np.eye(4), (3, 1, 1))
    truth[:, 2, 3] = [0.0, 0.0, 10.0]
    estimate = truth.copy()
    with pytest.raises(TrajectoryError, match="as a segment is long"):
        evaluate_trajectory(truth, estimate, with_scale=False)


@pytest.mark.parametrize("percent", [-20.0, 0.0, 35.0])
@pytest.mark.parametrize("scale", [1.0, 0.02])
def test_the_scale_that_drifts(percent: float, scale: float) -> None:
    """A scale that grows evenly, by so many percent from the first frame to the last."""
    rng = np.random.default_rng(4)
    truth = uneven(rng, 100)
    steps = np.diff(truth[:, :3, 3], axis=0)
    way = np.cumsum(np.linalg.norm(steps, axis=1))
    growth = (1 + percent / 100) ** ((way - way[0] / 2) / way[-1])
    estimate = truth.copy()
    estimate[1:, :3, 3] = scale * np.cumsum(growth[:, None] * steps, axis=0)
    errors = evaluate_trajectory(truth, estimate, with_scale=True)
    assert errors.scale_drift_percent == pytest.approx(percent, abs=1.0)


def test_files_hold_what_was_written(tmp_path: Path) -> None:
    poses = winding(np.random.default_rng(2), 7)
    write_tum(tmp_path / "a.tum", 0.1 * np.arange(7), poses)
    write_kitti(tmp_path / "a.kitti", poses)
    tum, kitti = np.loadtxt(tmp_path / "a.tum"), np.loadtxt(tmp_path / "a.kitti")
    np.testing.assert_allclose(kitti.reshape(7, 3, 4), poses[:, :3], atol=1e-8)
    np.testing.assert_allclose(tum[:, 0], 0.1 * np.arange(7))
    np.testing.assert_allclose(tum[:, 1:4], poses[:, :3, 3], atol=1e-8)
    turned = Rotation.from_quat(tum[:, 4:]).as_matrix()
    np.testing.assert_allclose(turned, poses[:, :3, :3], atol=1e-7)


@pytest.mark.parametrize("vector", [(0, 0, 0), (np.pi, 0, 0), (0, np.pi, 0), (0.3, -2.0, 1.0)])
def test_quaternion_of_any_rotation(vector: tuple[float, float, float]) -> None:
    rotation = rotation_matrix(vector)
    found = quaternion(rotation)
    assert found[3] >= 0
    np.testing.assert_allclose(Rotation.from_quat(found).as_matrix(), rotation, atol=1e-9)
