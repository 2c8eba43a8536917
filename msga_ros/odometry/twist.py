"""Velocity of a rigid body from its pose at two moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.pose import skew
from msga_ros.geometry.rotations import rotation_matrix, rotation_vector
from msga_ros.odometry.poses import UncertainPose

Array = NDArray[np.float64]

# Nothing is known of the velocity: standard deviations that no ground robot and no drone exceeds.
# Finite, and not -1 as in sensor_msgs/Imu: filters take what stands there as it is.
_UNKNOWN_LINEAR = 100.0  # m/s
_UNKNOWN_ANGULAR = 2 * np.pi  # rad/s

_STEP = 1e-6  # of the central differences, m and rad


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
        velocity = _logarithm(motion.rotation, motion.position) / seconds
        jacobian = np.empty((6, 6))
        for column in range(6):
            error = np.zeros(6)
            error[column] = _STEP
            above, below = (_moved(motion, sign * error) for sign in (1.0, -1.0))
            jacobian[:, column] = (above - below) / (2 * _STEP * seconds)
        covariance = jacobian @ motion.covariance @ jacobian.T
        return cls(velocity[:3], velocity[3:], (covariance + covariance.T) / 2)


def _moved(motion: UncertainPose, error: Array) -> Array:
    """Logarithm (6,) of `motion` with an error (6,) as in `poses`."""
    return _logarithm(rotation_matrix(error[3:]) @ motion.rotation, motion.position + error[:3])


def _logarithm(rotation: Array, position: Array) -> Array:
    """Logarithm (6,) of a rigid motion in SE(3): translation part, then rotation vector.

    Source: Barfoot, State Estimation for Robotics, 2017, equations 7.33 to 7.37.
    """
    vector = rotation_vector(rotation)
    angle = float(np.linalg.norm(vector))
    cross = skew(vector)
    if angle < 1e-4:
        factor = 1.0 / 12.0
    else:
        factor = (1.0 - angle / 2 / np.tan(angle / 2)) / angle**2
    inverse = np.eye(3) - cross / 2 + factor * cross @ cross
    return np.concatenate([inverse @ position, vector])
