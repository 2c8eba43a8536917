"""Poses of cameras in a world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pose:
    """World to camera: `x_cam = R X + t`, `rotation` (3, 3), `translation` (3,) in world units."""

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]

    @property
    def centre(self) -> NDArray[np.float64]:
        """Optical centre of the camera in the world, (3,)."""
        return -self.rotation.T @ self.translation

    @classmethod
    def identity(cls) -> Pose:
        """The camera that is the world."""
        return cls(np.eye(3), np.zeros(3))

    def inverse(self) -> Pose:
        """Camera to world."""
        return Pose(self.rotation.T.copy(), self.centre)

    def after(self, first: Pose) -> Pose:
        """Both motions, `first` before this one: `x -> self(first(x))`."""
        return Pose(
            self.rotation @ first.rotation, self.rotation @ first.translation + self.translation
        )

    def relative_to(self, reference: Pose) -> Pose:
        """Motion from the `reference` camera to this one: `x_this = R x_reference + t`."""
        rotation = self.rotation @ reference.rotation.T
        return Pose(rotation, self.translation - rotation @ reference.translation)
