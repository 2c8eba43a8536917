"""A camera on a robot: the robot's way, velocity and covariance from those of the camera."""

from __future__ import annotations

import numpy as np
import pytest
from odometry.rig_scene import Scene
from odometry.test_stereo import KNOWN_NOISE, drive, normalised_squared
from scipy import stats
from scipy.spatial.transform import Rotation

from msga_ros.geometry.rotations import rotation_matrix, rotation_vector
from msga_ros.odometry.mount import Mount
from msga_ros.odometry.poses import UncertainPose, pose_error
from msga_ros.odometry.twist import Twist

# Looks ahead and 20 degrees down, half a metre left of and above the robot's origin, 1.2 m ahead.
OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # REP 103: optical axes in those ahead
MOUNT = Mount(
    "base_link", rotation_matrix([0.0, np.radians(20), 0.0]) @ OPTICAL, np.array([1.2, 0.5, 0.5])
)


def camera_on(rotation: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The camera's pose in its first frame, of a robot that moved so in its own first frame."""
    place = rotation @ MOUNT.position + position - MOUNT.position
    return (
        MOUNT.rotation.T @ rotation @ MOUNT.rotation,
        MOUNT.rotation.T @ place,
    )


def test_the_robot_drives_a_circle_whatever_the_camera_on_it_does() -> None:
    for angle in np.linspace(0.1, 6.0, 9):
        turn = rotation_matrix([0, 0, angle])  # to the left, about z up
        place = 3.0 * np.array([np.sin(angle), 1 - np.cos(angle), 0.0])
        seen = UncertainPose(*camera_on(turn, place), np.eye(6))
        body = MOUNT.of_body(seen)
        np.testing.assert_allclose(body.rotation, turn, atol=1e-12)
        np.testing.assert_allclose(body.position, place, atol=1e-12)


def test_a_turn_on_the_spot_moves_the_camera_and_not_the_robot() -> None:
    camera = camera_on(rotation_matrix([0, 0, 1.0]), np.zeros(3))
    assert np.linalg.norm(camera[1]) > 1.0
    body = MOUNT.of_body(UncertainPose(*camera, np.zeros((6, 6))))
    np.testing.assert_allclose(body.position, 0, atol=1e-12)


def test_the_covariance_is_that_of_the_robots_poses() -> None:
    """Monte Carlo: errors of the camera's pose, drawn, and what they make of the robot's."""
    rng = np.random.default_rng(4)
    root = rng.normal(0, [[0.02], [0.01], [0.05], [0.004], [0.012], [0.002]], (6, 6)) / 3
    pose = UncertainPose(
        rotation_matrix([0.2, -0.7, 0.1]), np.array([2.0, -0.3, 6.0]), root @ root.T
    )
    body = MOUNT.of_body(pose)
    drawn = np.empty((5_000, 6))
    for row, error in zip(drawn, rng.normal(size=drawn.shape) @ root.T, strict=True):
        true = UncertainPose(
            rotation_matrix(error[3:]) @ pose.rotation, pose.position + error[:3], pose.covariance
        )
        moved = MOUNT.of_body(true)
        row[:] = pose_error(body, moved.rotation, moved.position)
    scale = np.sqrt(np.diag(body.covariance))
    found = np.cov(drawn.T) / np.outer(scale, scale)
    np.testing.assert_allclose(found, body.covariance / np.outer(scale, scale), atol=0.07)


def test_a_place_that_is_the_same_agrees_and_another_does_not() -> None:
    assert MOUNT.agrees(MOUNT.rotation, MOUNT.position + 1e-9)
    assert not MOUNT.agrees(MOUNT.rotation, MOUNT.position + np.array([0, 0.001, 0]))
    assert not MOUNT.agrees(MOUNT.rotation @ rotation_matrix([0, 0.001, 0]), MOUNT.position)


@pytest.mark.parametrize("rate", [0.0, 0.9, -2.5])
def test_the_twist_of_an_even_drive_is_its_speed(rate: float) -> None:
    """2 m/s ahead while it turns: an arc, along which the velocity in its own axes is even."""
    seconds, angle = 0.4, 0.4 * rate
    radius = 2.0 / rate if rate else 0.0
    arc = np.array([radius * np.sin(angle), radius * (1 - np.cos(angle)), 0.0])
    place = arc if rate else np.array([0.8, 0.0, 0.0])
    motion = UncertainPose(rotation_matrix([0, 0, angle]), place, np.zeros((6, 6)))
    twist = Twist.between(motion, seconds)
    np.testing.assert_allclose(twist.linear, [2, 0, 0], atol=1e-9)
    np.testing.assert_allclose(twist.angular, [0, 0, rate], atol=1e-9)


def test_the_covariance_of_the_twist_is_that_of_the_velocities() -> None:
    rng = np.random.default_rng(5)
    root = rng.normal(0, [[0.01], [0.01], [0.02], [0.004], [0.006], [0.002]], (6, 6)) / 3
    motion = UncertainPose(
        rotation_matrix([0.1, 0.8, -0.3]), np.array([0.6, 0.1, 1.0]), root @ root.T
    )
    twist = Twist.between(motion, 0.2)
    drawn = np.empty((5_000, 6))
    for row, error in zip(drawn, rng.normal(size=drawn.shape) @ root.T, strict=True):
        moved = rotation_matrix(error[3:]) @ motion.rotation, motion.position + error[:3]
        vector = rotation_vector(moved[0])
        # The velocity whose motion this is, found without a logarithm: p = J(w) v.
        along = Rotation.from_rotvec(np.outer((np.arange(50) + 0.5) / 50, vector)).as_matrix()
        row[:3] = np.linalg.solve(along.mean(axis=0), moved[1]) / 0.2
        row[3:] = vector / 0.2
    scale = np.sqrt(np.diag(twist.covariance))
    np.testing.assert_allclose(
        np.cov(drawn.T) / np.outer(scale, scale),
        twist.covariance / np.outer(scale, scale),
        atol=0.07,
    )


@pytest.mark.parametrize("seconds", [0.0, -0.1, float("nan")])
def test_without_time_there_is_no_velocity(seconds: float) -> None:
    motion = UncertainPose(np.eye(3), np.ones(3), np.eye(6))
    assert not Twist.between(motion, seconds).linear.any()
    assert Twist.between(motion, seconds).covariance[0, 0] >= 100.0**2


def test_half_a_turn_says_no_direction() -> None:
    motion = UncertainPose(rotation_matrix([0, np.pi, 0]), np.ones(3), np.eye(6))
    assert Twist.between(motion, 0.1).covariance[3, 3] == Twist.unknown().covariance[3, 3]


@pytest.mark.parametrize("keyframe_share", [1.0, 0.7])
def test_motions_from_frame_to_frame_are_as_certain_as_they_say(keyframe_share: float) -> None:
    """NEES over drives. Two motions from one keyframe share its keypoints: not independent."""
    rng = np.random.default_rng(11)
    config = KNOWN_NOISE.__class__(
        noise_px=0.5,
        rig_sigma_deg=0.0,
        systematic_share=0.0,
        keyframe_share=keyframe_share,
        keyframe_certainty=0.0,
    )
    squared, careless = [], []
    for _ in range(12):
        scene = Scene.drive(rng, 8)
        updates = drive(scene, rng, config)
        for frame in (3, 7):
            update, before = updates[frame], updates[frame - 1]
            assert update.motion is not None and update.relative is not None
            assert update.motion_seconds == pytest.approx(0.1)
            truth = scene.true_motion(frame - 1, frame)
            squared.append(normalised_squared(update.motion, truth))
            same = before.reference_stamp == update.reference_stamp
            assert before.relative is not None
            doubled = update.relative.covariance + same * before.relative.covariance
            spread = UncertainPose(update.motion.rotation, update.motion.position, doubled)
            careless.append(normalised_squared(spread, truth))
    low, high = stats.chi2.ppf([0.001, 0.999], 6 * len(squared))
    assert low < sum(squared) < high
    if keyframe_share < 1.0:
        assert sum(careless) < sum(squared)
