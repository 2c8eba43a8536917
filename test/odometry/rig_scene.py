"""Points in space, a stereo rig that moves among them, and keypoints with known noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend import Features
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.odometry.matches import FilteredMatches
from msga_ros.odometry.observations import Rig

Array = NDArray[np.float64]

CAMERA = Camera.pinhole(500.0, 500.0, 320.0, 240.0, 640, 480)
RIG = Rig(rotation_matrix([0.0, 0.01, 0.002]), np.array([-0.4, 0.01, 0.005]))


@dataclass(frozen=True)
class Scene:
    """`points` (N, 3) in the world; poses of the left camera in it, (F, 3, 3) and (F, 3)."""

    points: Array
    rotations: Array
    positions: Array

    @classmethod
    def drive(cls, rng: np.random.Generator, frames: int, points: int = 250) -> Scene:
        """A slightly winding way ahead, half a metre a frame, points on all sides of it."""
        turns = rng.normal([0.0, 0.01, 0.0], 0.01, (frames, 3))
        rotations, positions = [np.eye(3)], [np.zeros(3)]
        for turn in turns[1:]:
            positions.append(positions[-1] + rotations[-1] @ [0.05, -0.02, 0.5])
            rotations.append(rotations[-1] @ rotation_matrix(turn))
        size = [12.0, 3.0, 0.25 * frames + 12.0]
        cloud = rng.uniform(-1, 1, (points, 3)) * size + np.array([0.0, 0.0, size[2] - 6.0])
        return cls(cloud, np.array(rotations), np.array(positions))

    def true_motion(self, first: int, last: int) -> tuple[Array, Array]:
        """Pose of frame `last` in frame `first`."""
        back = self.rotations[first].T
        return back @ self.rotations[last], back @ (self.positions[last] - self.positions[first])

    def view(
        self, frame: int, rng: np.random.Generator, noise: float, rig: Rig | None = None
    ) -> Features:
        """Keypoints of all points: feature i is point i, NaN where it is not in the picture.

        `rig`: the view of its right camera; None: the left one. `noise` in pixels.
        """
        seen = (self.points - self.positions[frame]) @ self.rotations[frame]
        if rig is not None:
            seen = seen @ rig.rotation.T + rig.translation
        with np.errstate(all="ignore"):
            pixels = CAMERA.project(seen[:, :2] / seen[:, 2:])
        pixels += rng.normal(0, noise, pixels.shape) if noise else 0.0
        hidden = (seen[:, 2] < 1.0) | (pixels < 0).any(1) | (pixels > [640, 480]).any(1)
        pixels[hidden] = np.nan
        count = len(pixels)
        nothing = np.zeros(count, np.float32)
        return Features(pixels, nothing, np.zeros((count, 1), np.float32), (640, 480))  # type: ignore[arg-type]


def same_index(
    features0: Features, features1: Features, camera0: Camera, camera1: Camera
) -> FilteredMatches:
    """The true matches: feature i of both views, where both see it."""
    both = np.isfinite(features0.keypoints).all(1) & np.isfinite(features1.keypoints).all(1)
    index = np.flatnonzero(both)
    held = np.ones(len(index), dtype=bool)
    return FilteredMatches(index, index, held, held.astype(np.float32))


def with_outliers(
    matches: FilteredMatches, share: float, rng: np.random.Generator
) -> FilteredMatches:
    """`share` of the matches end in another's keypoint, and still count as inliers."""
    indices1 = matches.indices1.copy()
    wrong = np.flatnonzero(rng.random(len(indices1)) < share)
    indices1[wrong] = np.roll(indices1[wrong], 1)
    return FilteredMatches(matches.indices0, indices1, matches.inlier, matches.inlier_probability)
