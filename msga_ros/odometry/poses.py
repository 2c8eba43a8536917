"""Poses with covariance, and how their errors add up along a chain.

A pose is that of a camera in a frame, `x_frame = R x_camera + p`. Its error is that of
`RelativePose.msg`, order x, y, z, rx, ry, rz: `p_true = p + [x y z]` and `R_true = exp([rx ry rz])
R`, both along the axes of the frame (not of the camera).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.pose import skew
from msga_ros.geometry.rotations import rotation_matrix, rotation_vector

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class UncertainPose:
    """Pose of a camera in a frame: `rotation` (3, 3), `position` (3,), `covariance` (6, 6)."""

    rotation: Array
    position: Array
    covariance: Array

    @classmethod
    def origin(cls) -> UncertainPose:
        """The frame itself, exactly known."""
        return cls.exact(np.eye(3), np.zeros(3))

    @classmethod
    def exact(cls, rotation: Array, position: Array) -> UncertainPose:
        """The pose `rotation` (3, 3), `position` (3,), without error."""
        return cls(rotation, position, np.zeros((6, 6)))

    @property
    def matrix(self) -> Array:
        """Homogeneous matrix (4, 4), camera to frame."""
        return pose_matrix(self.rotation, self.position)

    def direction(self) -> UncertainPose:
        """The pose with its position at length 1; the covariance, to first order, has rank 5.

        Raises `ValueError` for a position of length 0, which has no direction.
        """
        length = float(np.linalg.norm(self.position))
        if length == 0:
            raise ValueError("no direction: the position is the origin")
        along = self.position / length
        by_pose = np.eye(6)
        by_pose[:3, :3] = (np.eye(3) - np.outer(along, along)) / length
        covariance = np.asarray(by_pose @ self.covariance @ by_pose.T)
        return UncertainPose(self.rotation, along, covariance)

    def inverse(self) -> UncertainPose:
        """The pose of the frame in the camera, with the same knowledge."""
        turn = self.rotation.T
        change = np.zeros((6, 6))
        change[:3, :3] = change[3:, 3:] = -turn
        change[:3, 3:] = -turn @ skew(self.position)
        return UncertainPose(turn, -turn @ self.position, change @ self.covariance @ change.T)

    def compose(self, step: UncertainPose, cross: Array | None = None) -> UncertainPose:
        """The pose of what `step` gives relative to this camera, in this pose's frame.

        `cross` (6, 6): covariance of this pose's error (rows) with the step's (columns); None where
        they are independent. First order.
        """
        by_self, by_step = composition_jacobians(self, step)
        covariance = by_self @ self.covariance @ by_self.T + by_step @ step.covariance @ by_step.T
        if cross is not None:
            mixed = by_self @ cross @ by_step.T
            covariance = covariance + mixed + mixed.T
        return UncertainPose(
            self.rotation @ step.rotation,
            self.rotation @ step.position + self.position,
            (covariance + covariance.T) / 2,
        )


def composition_jacobians(first: UncertainPose, step: UncertainPose) -> tuple[Array, Array]:
    """Derivative (6, 6) of the error of `first.compose(step)` by the errors of both."""
    by_first = np.eye(6)
    by_first[:3, 3:] = -skew(first.rotation @ step.position)
    by_step = np.zeros((6, 6))
    by_step[:3, :3] = by_step[3:, 3:] = first.rotation
    return by_first, by_step


def exact_motion(first: UncertainPose, second: UncertainPose) -> UncertainPose:
    """Pose of the camera of `second` in that of `first`, both of one frame; nothing is said of its
    covariance, which is zero."""
    back = first.rotation.T
    return UncertainPose.exact(back @ second.rotation, back @ (second.position - first.position))


def predicted(velocity: UncertainPose, times: float = 1.0) -> UncertainPose:
    """The motion `velocity` `times` over, as uncertain as it is large."""
    turn = rotation_vector(velocity.rotation)
    length = times * max(float(np.linalg.norm(velocity.position)), 0.1)
    angle = times * max(float(np.linalg.norm(turn)), 0.05)
    variances = np.repeat([length**2, min(angle, np.pi) ** 2], 3)
    return UncertainPose(
        rotation_matrix(times * turn), times * velocity.position, np.diag(variances)
    )


def pose_error(estimate: UncertainPose, rotation: npt.ArrayLike, position: npt.ArrayLike) -> Array:
    """Error (6,) that takes the estimate to the true pose, as the covariance describes it."""
    turn = np.asarray(rotation, dtype=np.float64) @ estimate.rotation.T
    shift = np.asarray(position, dtype=np.float64) - estimate.position
    return np.concatenate([shift, rotation_vector(turn)])


def pose_matrix(rotation: npt.ArrayLike, position: npt.ArrayLike) -> Array:
    """Homogeneous matrix (4, 4)."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = position
    return matrix
