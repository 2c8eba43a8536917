"""A robot that stands still, however long, gives the worker nothing to do."""

from __future__ import annotations

import numpy as np

from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.loops.config import LoopConfig
from msga_ros.stream.loops.odometry_buffer import OdometryPose
from msga_ros.stream.loops.spacing import Spacing

CONFIG = LoopConfig(keyframe_distance=1.0, keyframe_angle=20.0)


def pose(x: float, degrees: float = 0.0) -> OdometryPose:
    turn = rotation_matrix([0.0, 0.0, np.radians(degrees)])
    return OdometryPose(0, turn, np.array([x, 0.0, 0.0]))


def test_half_a_keyframe_distance_or_angle_passes() -> None:
    spacing = Spacing(CONFIG, 1.0)
    given = [pose(0), pose(0.4), pose(0.49), pose(0.5), pose(0.9), pose(0.9, 9), pose(0.9, 11)]
    passed = [spacing.passes(number, one) for number, one in enumerate(given)]
    assert passed == [True, False, False, True, False, False, True]


def test_an_hour_at_one_place_is_one_image() -> None:
    spacing = Spacing(CONFIG, 1.0)
    rng = np.random.default_rng(0)
    jitter = rng.normal(0, 0.01, 3600)
    assert sum(spacing.passes(number, pose(x)) for number, x in enumerate(jitter)) == 1


def test_without_odometry_time_counts_and_may_jump_back() -> None:
    spacing = Spacing(CONFIG, 1.0)
    passed = [spacing.passes(round(t * 1e9), None) for t in (0, 0.5, 0.9, 1.0, 1.9, 2.1, 0.2, 0.3)]
    assert passed == [True, False, False, True, False, True, True, False]


def test_a_pose_that_is_no_number_is_not_kept_from_being_said() -> None:
    spacing = Spacing(CONFIG, 1.0)
    assert spacing.passes(0, pose(0)) and spacing.passes(1, pose(float("nan")))
