"""Poses between the keyframes that the pose graph has placed."""

from __future__ import annotations

import numpy as np
import pytest
from loops.world import drifting, ring

from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.pose import rotation_angle_deg
from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.loops.bending import bent
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.drift import OdometryChain

TRUTH = ring(laps=1.0, steps=32).views


def chain(odometry: list[Pose | None], segments: list[int] | None = None) -> OdometryChain:
    made = OdometryChain(LoopConfig())
    for number, pose in enumerate(odometry):
        made.append(pose, segments[number] if segments else 0)
    return made


def apart(first: Pose | None, second: Pose | None) -> float:
    assert first is not None and second is not None
    return float(np.linalg.norm(first.centre - second.centre))


def test_a_steady_drift_is_undone_where_both_ends_are_known() -> None:
    odometry = drifting(TRUTH, scale=1.05, yaw_deg=3.0)
    placed = {0: TRUTH[0], 15: TRUTH[15], 31: TRUTH[31]}
    found = bent(chain([*odometry]), odometry, placed)
    for number, pose in placed.items():
        assert found[number] is pose
    off = [apart(*pair) for pair in zip(found, TRUTH, strict=True)]
    assert max(apart(*pair) for pair in zip(odometry, TRUTH, strict=True)) > 2.0
    assert max(off) < 0.2
    for pose, true in zip(found, TRUTH, strict=True):
        assert pose is not None and rotation_angle_deg(pose.rotation @ true.rotation.T) < 0.1


def test_beyond_the_outer_ones_nothing_bends_and_where_nothing_is_known_nothing_changes() -> None:
    moved = Pose(rotation_matrix([0.0, 0.3, 0.0]), np.array([1.0, 0.0, 2.0]))
    odometry: list[Pose | None] = [*TRUTH[:8], None, *TRUTH[9:12], *TRUTH[12:16]]
    made = chain(odometry, [0] * 12 + [1] * 4)
    placed = {number: TRUTH[number].after(moved) for number in (3, 9)}
    found = bent(made, odometry, placed)
    for number in (*range(8), *range(9, 12)):
        pose, expected = found[number], TRUTH[number].after(moved)
        assert apart(pose, expected) < 1e-9
        assert pose is not None
        np.testing.assert_allclose(pose.rotation, expected.rotation, atol=1e-9)
    assert found[8] is None
    assert found[12:] == odometry[12:]  # another segment


def test_a_camera_that_stands_is_bent_by_number() -> None:
    odometry = [TRUTH[0]] * 3
    turned = Pose(rotation_matrix([0.0, 0.2, 0.0]) @ TRUTH[0].rotation, TRUTH[0].translation)
    found = bent(chain([*odometry]), odometry, {0: TRUTH[0], 2: turned})
    assert found[1] is not None
    half = rotation_angle_deg(found[1].rotation @ TRUTH[0].rotation.T)
    assert half == pytest.approx(np.degrees(0.1))
