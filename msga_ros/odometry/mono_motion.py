"""The motion of one camera from a keyframe: from the points whose depth is known, or the matches.

Depths of a keyframe that came about over a short way err together. Where they do, the pose that
they give is no first guess for the adjustment, which then settles beside the motion and takes true
matches for outliers. So where the matches leave room for it, the adjustment is begun a second time
from the motion of the matches alone, whose length is that which most depths agree on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.pose import invert_pose
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.first_guess import length_from_depths, pose_from_depths, relative_pose
from msga_ros.odometry.observations import Observations, TwoFrameSolution
from msga_ros.odometry.one_camera import solve_one_camera

Array = NDArray[np.float64]

_WORST_DEPTH = 0.5  # relative standard deviation of a depth that says anything
_MORE = 0.05  # of all matches: by so many more has the second solution to explain them


def solve_motion(
    observations: Observations,
    focal: float,
    config: OdometryConfig,
    *,
    scaled: bool,
    speed: float,
) -> tuple[TwoFrameSolution | None, bool]:
    """The motion from `observations`, and whether its length is known from points.

    `focal` in pixels. `scaled`: False before any motion was found, whose length is then 1; `speed`:
    the length of a motion that matches alone tell. None where no motion is determined.
    """
    known = _known(observations)
    guess = _from_points(observations, known, focal, config) if scaled else None
    if guess is None:
        found = relative_pose(observations.left0, observations.left1, focal, config)
        if found is None:
            return None, False
        rotation, direction = found
        length = speed if scaled and speed > 0 else 1.0
        position = direction * length
        solution = solve_one_camera(
            observations, rotation, position, focal, config, scale_known=False
        )
        return solution, False
    solution = solve_one_camera(observations, *guess, focal, config, scale_known=True)
    explained = 0 if solution is None else solution.inlier.sum()
    enough = explained + _MORE * len(observations)
    if enough <= len(observations):
        other = _from_matches(observations, known, focal, config)
        if other is not None and other.inlier.sum() > enough:
            solution = other
    return solution, solution is not None


def _known(observations: Observations) -> NDArray[np.bool_]:
    """The points (N,) whose depth says anything."""
    depth = observations.inverse_depth
    known: NDArray[np.bool_] = depth > 0
    return known & (observations.inverse_depth_sigma < _WORST_DEPTH * depth)


def _from_points(
    observations: Observations, known: NDArray[np.bool_], focal: float, config: OdometryConfig
) -> tuple[Array, Array] | None:
    """Pose of the current camera in the keyframe from points with a depth."""
    seen = observations.subset(known)
    return pose_from_depths(seen.left0, seen.left1, seen.inverse_depth, focal, config)


def _from_matches(
    observations: Observations, known: NDArray[np.bool_], focal: float, config: OdometryConfig
) -> TwoFrameSolution | None:
    """The solution that begins at the motion of the matches, as long as the depths say."""
    found = relative_pose(observations.left0, observations.left1, focal, config)
    if found is None:
        return None
    rotation, direction = found
    seen = observations.subset(known)
    forward = invert_pose(rotation, direction)  # from the keyframe to the current camera
    length = length_from_depths(
        seen.left0, seen.left1, *forward, seen.inverse_depth, config.min_inliers
    )
    if length is None:
        return None
    position = direction * length
    return solve_one_camera(observations, rotation, position, focal, config, scale_known=True)
