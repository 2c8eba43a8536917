"""The uncertainty of odometry, against many odometries that err so."""

from __future__ import annotations

import numpy as np
import pytest

from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.drift import OdometryChain
from msga_ros.odometry.poses import UncertainPose, pose_error

CONFIG = LoopConfig(drift_distance=0.02, drift_angle=1.0)


def path(rng: np.random.Generator | None, parts: int = 6) -> list[Pose]:
    """Sixteen steps of a bend, world to camera, each of so many parts; disturbed by a generator."""
    at, poses = UncertainPose.origin(), []
    for number in range(16):
        poses.append(Pose(at.rotation, at.position).inverse())
        turn = np.array([0.02, 0.25 if number > 6 else -0.1, 0.03]) / parts
        for _ in range(parts):
            step, shift = rotation_matrix(turn), np.array([0.1, 0.0, 0.8]) / parts
            if rng is not None:
                root = np.sqrt(np.linalg.norm(shift) + 0.5 * np.linalg.norm(turn))
                step = step @ rotation_matrix(np.deg2rad(1.0) * root * rng.normal(size=3))
                shift = shift + 0.02 * root * rng.normal(size=3)
            at = at.compose(UncertainPose(step, shift, np.zeros((6, 6))))
    return poses


def chain(poses: list[Pose | None], segments: list[int] | None = None) -> OdometryChain:
    made = OdometryChain(CONFIG)
    for number, pose in enumerate(poses):
        made.append(pose, segments[number] if segments else 0)
    return made


@pytest.mark.parametrize(("first", "last"), [(1, 14), (14, 1), (3, 4)])
def test_errors_are_as_large_as_the_covariance_says(first: int, last: int) -> None:
    """Squared in its metric, the error of the truth has the mean of chi-square with 6 degrees."""
    true = chain(path(None)).between(first, last)
    assert true is not None
    rng = np.random.default_rng(0)
    squared = []
    for _ in range(150):
        found = chain(path(rng)).between(first, last)
        assert found is not None
        error = pose_error(found, true.rotation, true.position)
        squared.append(error @ np.linalg.solve(found.covariance, error))
    # Standard deviation of the mean: sqrt(12 / 150) = 0.28; and the first order is not exact.
    assert np.mean(squared) == pytest.approx(6.0, abs=1.0)


def test_there_and_back_is_the_pose_itself() -> None:
    found = chain(path(None)).between(2, 9)
    assert found is not None
    again = found.inverse().inverse()
    np.testing.assert_allclose(again.matrix, found.matrix, atol=1e-12)
    np.testing.assert_allclose(again.covariance, found.covariance, atol=1e-12)
    np.testing.assert_allclose(found.inverse().matrix @ found.matrix, np.eye(4), atol=1e-12)


def test_a_jump_and_keyframes_without_odometry() -> None:
    poses: list[Pose | None] = [*path(None)]
    poses[3] = None
    made = chain(poses, [0] * 8 + [1] * 8)
    assert made.between(7, 8) is None and made.between(3, 5) is None
    assert (made.previous(8), made.following(7)) == (None, None)
    assert (made.previous(4), made.following(2), made.previous(0)) == (2, 4, None)
    whole = chain([*path(None)]).between(2, 5)
    gap = made.between(2, 5)
    assert whole is not None and gap is not None
    np.testing.assert_allclose(gap.matrix, whole.matrix, atol=1e-12)
    assert gap.covariance[0, 0] == pytest.approx(whole.covariance[0, 0], rel=0.1)


def test_longer_is_less_certain_and_it_counts_from_the_nearest() -> None:
    made = chain([*path(None)] * 20)  # more than what is first made room for
    assert made.travelled(0, 15) == pytest.approx(made.travelled(15, 0) or np.nan)
    near, far = made.between(0, 2), made.between(0, 12)
    assert near is not None and far is not None
    assert np.trace(far.covariance) > 5 * np.trace(near.covariance)
    same = made.between(4, 4)
    assert same is not None and not same.covariance.any()
