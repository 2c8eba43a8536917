"""What counts as motion, as a jump of the odometry, and as neither."""

from __future__ import annotations

import numpy as np
import pytest

from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.motion_watch import MotionWatch


def at(x: float, turn_deg: float = 0.0) -> Pose:
    rotation = rotation_matrix([0.0, np.deg2rad(turn_deg), 0.0])
    return Pose(rotation, -rotation @ np.array([x, 0.0, 0.0]))


def watch(**config: float) -> MotionWatch:
    return MotionWatch(LoopConfig(**config))


def test_a_keyframe_is_due_after_so_many_metres_or_degrees() -> None:
    seen = watch(keyframe_distance=0.5, keyframe_angle=15.0)
    for number, (pose, due) in enumerate(
        [(at(0), True), (at(0.3), False), (at(0.49), False), (at(0.51), True)]
    ):
        seen.observe(0.1 * number, pose)
        assert seen.due() is due
        if due:
            seen.kept(pose)
    seen.observe(1.0, at(0.6, 14.0))
    assert not seen.due()
    seen.observe(1.1, at(0.6, 16.0))
    assert seen.due()
    seen.observe(1.2, None)
    assert seen.due()  # the image must tell
    assert seen.take_notes() == ()


def test_a_fast_car_does_not_jump_and_a_step_aside_does() -> None:
    seen = watch(jump_distance=1.0)
    for number in range(20):  # 36 m/s
        seen.observe(0.1 * number, at(3.6 * number))
    assert seen.segment == 0 and not seen.take_notes()
    seen.observe(2.0, at(3.6 * 20 + 1.5))
    (note,) = seen.take_notes()
    assert seen.segment == 1 and "jumped by 1.50 m" in note
    seen.observe(2.1, at(3.6 * 21 + 1.5))  # it goes on from there
    assert seen.segment == 1 and not seen.take_notes()


def test_a_sudden_turn_is_a_jump() -> None:
    seen = watch(jump_angle=60.0)
    for number in range(3):
        seen.observe(0.1 * number, at(0.0))
    seen.observe(0.3, at(0.0, 90.0))
    assert seen.segment == 1 and "90 degrees" in seen.take_notes()[0]


def test_time_that_passed_counts_once_whatever_the_clock_does() -> None:
    seen = watch()
    for stamp in (0.0, 1.0, 2.0, 2.0, -50.0, -49.0):
        seen.observe(stamp, at(0.0))
    assert seen.elapsed == 4.0  # the step back counts as the one before it
    assert seen.segment == 0 and seen.take_notes() == ("the clock went back by 52.000 s",)


@pytest.mark.parametrize("ahead", [0.5, 3.0, 60.0, 3600.0])
def test_a_clock_that_goes_ahead_is_no_jump_of_the_odometry(ahead: float) -> None:
    seen = watch(jump_distance=1.0)
    for number in range(20):  # 20 m/s
        seen.observe(0.1 * number + (ahead if number > 9 else 0.0), at(2.0 * number))
    assert seen.segment == 0
    said = (f"the clock went ahead by {ahead:.3f} s",)
    assert seen.take_notes() == (said if ahead < 4 else ())  # else it may have been a pause
    seen.observe(2.0 + ahead, at(2.0 * 20 + 1.5))
    assert seen.segment == 1  # a step aside is one, as before


def test_a_pause_is_none_either_and_nothing_is_said_of_it() -> None:
    seen = watch(jump_distance=1.0)
    for stamp, x in [(0, 0), (0.1, 1), (0.2, 2), (3.2, 32), (3.3, 33), (3.4, 34)]:
        seen.observe(stamp, at(x))
        assert (seen.segment, seen.take_notes()) == (0, ()), stamp
    assert seen.elapsed == pytest.approx(3.4)


def test_a_jump_behind_a_frame_that_was_lost_is_still_one() -> None:
    seen = watch(jump_distance=1.0)
    for number in range(10):
        seen.observe(0.1 * number, at(2.0 * number))
    seen.observe(1.1, at(2.0 * 11 + 30.0))
    assert seen.segment == 1 and "jumped by 30.00 m" in seen.take_notes()[0]
