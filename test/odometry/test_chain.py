"""How errors add up along a chain of motions: chance as its square, what stays wrong as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from msga_ros.geometry.rotations import rotation_matrix, rotation_vector
from msga_ros.odometry.chain import PoseChain, Step, between, by_distortion
from msga_ros.odometry.poses import UncertainPose

AHEAD = np.array([0.0, 0.0, 1.0])  # metres a step
NOISE = 0.01  # metres, radians


def step(constants: np.ndarray, turn: np.ndarray | None = None) -> Step:
    """A metre ahead, with noise of its own and with `constants` (6, K), without keypoints."""
    rotation = np.eye(3) if turn is None else rotation_matrix(turn)
    covariance = NOISE**2 * np.eye(6) + constants @ constants.T
    none = np.empty(0, np.int64)
    return Step(
        UncertainPose(rotation, AHEAD, covariance), none, none, np.empty((0, 6, 9)), 1.0, constants
    )


def after(count: int, one: Step, keyframes: bool = True) -> UncertainPose:
    """The pose after `count` steps, each from a keyframe of its own or all but the last."""
    chain = PoseChain()
    for _ in range(count - 1):
        chain.advance(one)
    return chain.advance(one) if keyframes else chain.locate(one)


@pytest.mark.parametrize("keyframes", [True, False])
def test_a_length_that_is_always_wrong_is_wrong_all_the_way(keyframes: bool) -> None:
    """A scale that is off by 2 %: after n metres n times as much, while noise grows as the root."""
    too_long = np.zeros((6, 1))
    too_long[2] = 0.02
    for count in (1, 2, 9):
        pose = after(count, step(too_long), keyframes)
        ahead = pose.covariance[2, 2]
        assert ahead == pytest.approx((0.02 * count) ** 2 + count * NOISE**2)
        assert pose.covariance[3, 3] == pytest.approx(count * NOISE**2)
        np.testing.assert_allclose(pose.position, count * AHEAD)


def test_a_turn_that_is_always_wrong_bends_the_way() -> None:
    """The same small yaw too much at every step: an arc, whose end is off by the square of it."""
    yaw, count = 0.001, 12
    too_far = np.zeros((6, 1))
    too_far[4] = yaw
    straight, bent = after(count, step(too_far)), UncertainPose.origin()
    for _ in range(count):
        bent = bent.compose(UncertainPose(rotation_matrix([0, yaw, 0]), AHEAD, np.zeros((6, 6))))
    only = straight.covariance - after(count, step(0 * too_far)).covariance
    assert np.sqrt(only[4, 4]) == pytest.approx(rotation_vector(bent.rotation)[1], rel=1e-3)
    assert np.sqrt(only[0, 0]) == pytest.approx(abs(bent.position[0]), rel=0.01)


def test_the_reference_knows_what_its_last_step_knew() -> None:
    constants = by_distortion(rotation_matrix([0, 0.1, 0]), AHEAD, 0.01)
    chain, one = PoseChain(), step(constants, np.array([0, 0.1, 0]))
    for _ in range(4):
        ahead = chain.locate(one)
        there = chain.advance(one)
        np.testing.assert_allclose(there.covariance, ahead.covariance)
        np.testing.assert_allclose(chain.reference.covariance, there.covariance)


def test_a_known_start_is_part_of_the_way() -> None:
    start = UncertainPose(np.eye(3), np.array([5.0, 0, 0]), 0.04 * np.eye(6))
    chain = PoseChain(start)
    assert chain.reference is start
    pose = chain.advance(step(np.zeros((6, 0))))
    np.testing.assert_allclose(pose.position, [5.0, 0, 1.0])
    assert pose.covariance[2, 2] == pytest.approx(0.04 + NOISE**2)
    # The start's turn, a metre long.
    assert pose.covariance[0, 0] == pytest.approx(0.04 + 0.04 + NOISE**2)


def test_what_is_wrong_in_the_same_way_is_counted_once_between_two_frames() -> None:
    """A scale that is 2 % off: the second metre is 2 cm off, whatever the metre before it was."""
    steps = []
    for metres in (1.0, 2.0):
        too_long = np.zeros((6, 1))
        too_long[2] = 0.02 * metres
        one = step(too_long)
        steps.append(replace(one, pose=replace(one.pose, position=metres * AHEAD)))
    motion = between(*steps)
    np.testing.assert_allclose(motion.position, AHEAD)
    assert motion.covariance[2, 2] == pytest.approx(0.02**2 + 2 * NOISE**2)
    assert motion.covariance[3, 3] == pytest.approx(2 * NOISE**2)
    # The turn of the first frame moves what is seen from it, a metre ahead.
    assert motion.covariance[0, 0] == pytest.approx(3 * NOISE**2)


def test_a_motion_is_in_the_axes_of_the_frame_that_it_starts_from() -> None:
    turn = np.array([0.0, np.pi / 2, 0.0])
    first = step(np.zeros((6, 0)), turn)
    second = replace(
        first, pose=replace(first.pose, position=first.pose.position + np.array([1.0, 0, 0]))
    )
    motion = between(first, second)
    np.testing.assert_allclose(motion.position, rotation_matrix(turn).T @ [1.0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(motion.rotation, np.eye(3), atol=1e-12)
