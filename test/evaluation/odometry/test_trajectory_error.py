"""ATE, RPE and the files: against known values, and against evo where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from msga_ros.evaluation.odometry.trajectory_error import (
    TrajectoryError,
    absolute_errors,
    align,
    evaluate_trajectory,
    relative_errors,
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
    # Segments of 2, 4, ... 16 frames, from every frame where one fits.
    counts = {length: 21 - length for length in range(2, 17, 2)}
    mean = sum(0.1 * k * n for k, n in counts.items()) / sum(counts.values())
    assert errors.rpe_rot_deg == pytest.approx(mean)


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


def test_files_hold_what_was_written(tmp_path: Path) -> None:
    poses = winding(np.random.default_rng(2), 7)
    write_tum(tmp_path / "a.tum", 0.1 * np.arange(7), poses)
    write_kitti(tmp_path / "a.kitti", poses)
    tum, kitti = np.loadtxt(tmp_path / "a.tum"), np.loadtxt(tmp_path / "a.kitti")
    np.testing.assert_allclose(kitti.reshape(7, 3, 4), poses[:, :3], atol=1e-8)
    np.testing.assert_allclose(tum[:, 0], 0.1 * np.arange(7))
    np.testing.assert_allclose(tum[:, 1:4], poses[:, :3, 3], atol=1e-8)
    from scipy.spatial.transform import Rotation

    turned = Rotation.from_quat(tum[:, 4:]).as_matrix()
    np.testing.assert_allclose(turned, poses[:, :3, :3], atol=1e-7)


@pytest.mark.parametrize("vector", [(0, 0, 0), (np.pi, 0, 0), (0, np.pi, 0), (0.3, -2.0, 1.0)])
def test_quaternion_of_any_rotation(vector: tuple[float, float, float]) -> None:
    from scipy.spatial.transform import Rotation

    rotation = rotation_matrix(vector)
    found = quaternion(rotation)
    assert found[3] >= 0
    np.testing.assert_allclose(Rotation.from_quat(found).as_matrix(), rotation, atol=1e-9)
