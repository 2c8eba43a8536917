"""Velocity of a rigid body from its pose at two moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.pose import skew
from msga_ros.geometry.rotations import rotation_vector
from msga_ros.odometry.poses import UncertainPose

Array = NDArray[np.float64]

# Nothing is known of the velocity: standard deviations that no ground robot and no drone exceeds.
# Finite, and not -1 as in sensor_msgs/Imu: filters take what stands there as it is.
_UNKNOWN_LINEAR = 100.0  # m/s
_UNKNOWN_ANGULAR = 2 * np.pi  # rad/s

_SMALL = 1e-2  # rad; below, series stand for quotients that cancel


@dataclass(frozen=True)
class Twist:
    """Velocity of a body along its own axes: `linear` (3,) m/s, `angular` (3,) rad/s.

    `covariance` (6, 6): order vx, vy, vz, wx, wy, wz.
    """

    linear: Array
    angular: Array
    covariance: Array

    @classmethod
    def unknown(cls) -> Twist:
        """At rest, with the standard deviations of an unknown velocity."""
        variances = np.repeat([_UNKNOWN_LINEAR**2, _UNKNOWN_ANGULAR**2], 3)
        return cls(np.zeros(3), np.zeros(3), np.diag(variances))

    @classmethod
    def between(cls, motion: UncertainPose, seconds: float) -> Twist:
        """The constant velocity that makes `motion` (the new pose in the old one) in `seconds`.

        Its error follows from that of the motion to first order. Where the motion turns by half
        a turn, and where no time went by, the velocity is unknown.
        """
        turned = np.linalg.norm(rotation_vector(motion.rotation))
        if not seconds > 0 or turned > np.pi - 1e-3:
            return cls.unknown()
        velocity, jacobian = _logarithm(motion.rotation, motion.position)
        covariance = jacobian @ motion.covariance @ jacobian.T / seconds**2
        return cls(velocity[:3] / seconds, velocity[3:] / seconds, (covariance + covariance.T) / 2)


def _logarithm(rotation: Array, position: Array) -> tuple[Array, Array]:
    """Logarithm (6,) of a rigid motion in SE(3), translation part, then rotation vector; and its
    derivative (6, 6) by an error as in `poses`.

    Source: Barfoot, State Estimation for Robotics, 2017, equations 7.33 to 7.37 and, for the
    rotation vector, 7.76.
    """
    vector = rotation_vector(rotation)
    angle = float(np.linalg.norm(vector))
    factor, slope = _factor(angle)
    across = skew(vector)
    inverse = np.eye(3) - across / 2 + factor * across @ across
    twice = across @ across @ position
    by_vector = skew(position) / 2 + slope * np.outer(twice, vector)
    by_vector += factor * (
        np.outer(vector, position)
        + (vector @ position) * np.eye(3)
        - 2 * np.outer(position, vector)
    )
    jacobian = np.zeros((6, 6))
    jacobian[:3, :3] = jacobian[3:, 3:] = inverse
    jacobian[:3, 3:] = by_vector @ inverse
    return np.concatenate([inverse @ position, vector]), jacobian


def _factor(angle: float) -> tuple[float, float]:
    """`(1 - a/2 cot(a/2)) / a^2` of an angle a, and its derivative over a."""
    if angle < _SMALL:
        square = angle**2
        return 1 / 12 + square / 720 + square**2 / 30240, 1 / 360 + square / 7560
    half = angle / 2
    cotangent = 1 / np.tan(half)
    factor = (1 - half * cotangent) / angle**2
    by_angle = (half / np.sin(half) ** 2 - cotangent) / 2 / angle**2 - 2 * factor / angle
    return float(factor), float(by_angle / angle)
