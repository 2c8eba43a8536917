"""What a stereo rig, or one camera, saw of points in two frames; and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.rotations import rotation_matrix

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

ROWS = 9  # of a point: left0 u v, right0 u v, left1 u v, right1 u v, known inverse depth
REFERENCE_ROWS = slice(0, 4)
CURRENT_ROWS = slice(4, 8)
REFERENCE_ROWS_AND_DEPTH = [0, 1, 2, 3, 8]


@dataclass(frozen=True)
class Rig:
    """Where the right camera is: `x_right = R x_left + t`, metres."""

    rotation: Array  # (3, 3)
    translation: Array  # (3,)

    @property
    def baseline(self) -> float:
        """Distance between the cameras, metres."""
        return float(np.linalg.norm(self.translation))

    def turned(self, vector: Array) -> Rig:
        """The rig with its right camera turned by the rotation vector (3,), rad."""
        turn = rotation_matrix(vector)
        return Rig(turn @ self.rotation, turn @ self.translation)


@dataclass(frozen=True)
class RigBelief:
    """What is known of the right camera's rotation vector against its calibration, rad.

    `x_right = exp([q]) (R x_left + t)` with `mean` (3,) and `information` (3, 3), the inverse of
    the covariance, of q.
    """

    mean: Array
    information: Array

    @classmethod
    def calibrated(cls, sigma: float) -> RigBelief:
        """The calibration holds to `sigma` rad about each axis."""
        return cls(np.zeros(3), np.eye(3) / sigma**2)

    @property
    def covariance(self) -> Array:
        """Of the rotation vector, (3, 3)."""
        return np.asarray(np.linalg.inv(self.information))


@dataclass(frozen=True)
class Observations:
    """What was seen of N points; normalised coordinates (N, 2), NaN where a view has none.

    Without a rig `right0` and `right1` are all NaN. `inverse_depth` (N,) and its standard deviation
    (N,): what is known beforehand of the inverse depth in the reference camera, NaN where nothing.
    `weight` (N,), 0..1: how far a point is trusted.
    """

    left0: Array
    left1: Array
    right0: Array
    right1: Array
    weight: Array
    inverse_depth: Array
    inverse_depth_sigma: Array

    @classmethod
    def of_one_camera(
        cls,
        points0: Array,
        points1: Array,
        weight: Array,
        inverse_depth: Array,
        inverse_depth_sigma: Array,
    ) -> Observations:
        """What a single camera saw at `points0` (N, 2) and then at `points1` (N, 2)."""
        nothing = np.full_like(points0, np.nan)
        return cls(points0, points1, nothing, nothing, weight, inverse_depth, inverse_depth_sigma)

    def __len__(self) -> int:
        return len(self.left0)

    def subset(self, chosen: Bools) -> Observations:
        """The points that are `chosen` (N,)."""
        return Observations(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class TwoFrameSolution:
    """`rotation` (3, 3), `position` (3,): pose of the current left camera in the reference one.

    `covariance` (6, 6): of its error (see `poses`), from `sigma` and `sensitivity`. `inlier` (N,):
    points that agree. `ray` (N, 2), `inverse_depth` (N,), `inverse_depth_sigma` (N,): the points,
    NaN but for inliers. `sensitivity` (N, 6, 9): change of the pose's error by each observed row of
    a point (pixels), 0 but for inliers. `sigma`: of one image coordinate, in pixels.

    `by_rig` (6, 3): how an error of what was believed of the rig, one standard deviation along each
    of three axes, moves the pose; it is part of `covariance`. `rig`: what is believed now.
    """

    rotation: Array
    position: Array
    covariance: Array
    inlier: Bools
    ray: Array
    inverse_depth: Array
    inverse_depth_sigma: Array
    sensitivity: Array
    sigma: float
    by_rig: Array
    rig: RigBelief | None

    def points_in_current(self) -> Array:
        """Points (N, 3) in the current camera; NaN for outliers and points at infinity."""
        depth = np.where(self.inverse_depth > 1e-6, self.inverse_depth, np.nan)
        rays = np.column_stack([self.ray, np.ones(len(depth))])
        points: Array = (rays / depth[:, None] - self.position) @ self.rotation
        return points

    def among(self, rows: npt.NDArray[np.int64], count: int) -> tuple[Bools, Array]:
        """Which of `count` matches are inliers (count,), and their points in the current camera
        (count, 3), NaN for the others; the points of this solution are the matches `rows` (N,)."""
        inlier = np.zeros(count, dtype=bool)
        inlier[rows[self.inlier]] = True
        points = np.full((count, 3), np.nan)
        points[rows] = self.points_in_current()
        return inlier, points
