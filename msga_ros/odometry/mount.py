"""Where a camera sits on a rigid body, and what its motion says of the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.pose import invert_pose
from msga_ros.odometry.poses import UncertainPose

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mount:
    """The camera's pose on the body `frame`: `x_frame = rotation x_camera + position`, metres.

    `rotation` (3, 3), `position` (3,); taken as exact.
    """

    frame: str
    rotation: Array
    position: Array

    def agrees(self, rotation: Array, position: Array) -> bool:
        """Whether another place, `rotation` (3, 3) and `position` (3,) in metres, is the same but
        for rounding."""
        return np.allclose(rotation, self.rotation, atol=1e-6) and np.allclose(
            position, self.position, atol=1e-6
        )

    def of_body(self, pose: UncertainPose) -> UncertainPose:
        """What the pose of the camera in an earlier frame of it says of the body.

        The pose of the body in the frame that the body had at the same earlier moment: with the
        camera's place M, `M T M^-1`. The covariance comes along by the adjoint: turned into the
        axes of that frame, and where the camera sits off the body's origin an error of the rotation
        moves the position.
        """
        there = UncertainPose.exact(self.rotation, self.position)
        back = UncertainPose.exact(*invert_pose(self.rotation, self.position))
        return there.compose(pose).compose(back)
