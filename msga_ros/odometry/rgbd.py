"""Visual odometry of a colour camera with registered depth: metric motion of one camera.

The keyframe's depth image gives its keypoints a depth, with the uncertainty of the sensor; their
matches with the new frame give the motion. The first guess is an absolute pose from points
(PoseLib), the result a bundle adjustment of the two frames in which measured depths are prior
knowledge, so that matches without a depth take part as well: they tell rotation and direction.
Where too few have a depth, the essential matrix tells both, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend import Features
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.depth import DepthError, DepthImage, inverse_depths_at
from msga_ros.odometry.chain import Step
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.first_guess import pose_from_depths, relative_pose
from msga_ros.odometry.matches import MatchesLike
from msga_ros.odometry.metric import MetricOdometry, MetricState
from msga_ros.odometry.observations import Observations, TwoFrameSolution
from msga_ros.odometry.one_camera import solve_one_camera
from msga_ros.odometry.poses import predicted
from msga_ros.odometry.updates import OdometryUpdate

Array = NDArray[np.float64]


@dataclass
class DepthFrame:
    """A frame with depth; arrays by the index of the feature, NaN where nothing is known.

    `left` (N, 2): normalised coordinates; `inverse_depth` (N,), 1/m.
    """

    stamp: float
    features: Features
    camera: Camera
    left: Array
    inverse_depth: Array
    tracks: dict[int, int] = field(default_factory=dict)

    @property
    def with_depth(self) -> NDArray[np.int64]:
        """(K,) features whose depth was measured."""
        return np.flatnonzero(np.isfinite(self.inverse_depth))


class RgbdState(MetricState):
    """Everything that the next update of an `RgbdOdometry` depends on, but for its settings."""

    keyframe: DepthFrame | None
    previous: tuple[DepthFrame, Step] | None


class RgbdOdometry(MetricOdometry[DepthFrame]):
    """Feed it frame by frame; one thread at a time. Its way through gaps: `MetricOdometry`.

    Where too few matches have a depth, rotation and direction come from the matches alone and the
    length is that of the last motion, uncertain by as much (RESCALED, `scale_known` False).
    """

    def state_dict(self) -> RgbdState:
        """Everything that the next update depends on, but for the settings: see `load_state_dict`.

        Plain values, arrays and dataclasses of them; they are those of this object, not copies.
        """
        return {
            **self._metric_state(),
            "keyframe": self._keyframe,
            "previous": self._previous,
        }

    def load_state_dict(self, state: RgbdState) -> None:
        """Go on from the state of an odometry with the same settings."""
        self._load_metric_state(state)
        self._keyframe, self._previous = state["keyframe"], state["previous"]

    def update(
        self, stamp: float, features: Features, camera: Camera, depth: DepthImage | None
    ) -> OdometryUpdate:
        """Take in a frame: the features of its colour image and the depth registered to it.

        Args:
            stamp: seconds.
            features: of the colour image.
            camera: of both images.
            depth: (H, W) metres along the optical axis, NaN for none (see `depth.to_metres`); None
                where there is no depth image at all.

        Raises:
            DepthError: the depth image is not of the size of the colour image.
        """
        return self._take(depth_frame(stamp, features, camera, depth, self._config))

    def _observed(
        self,
        keyframe: DepthFrame,
        frame: DepthFrame,
        features0: NDArray[np.int64],
        features1: NDArray[np.int64],
        matches: MatchesLike,
        rows: NDArray[np.int64],
    ) -> Observations:
        weight = np.asarray(matches.inlier_probability[rows], dtype=np.float64)
        return with_depth(
            keyframe.left[features0],
            frame.left[features1],
            weight,
            keyframe.inverse_depth[features0],
            self._config,
        )

    def _solve(
        self,
        observations: Observations,
        inverse_depth: Array,
        keyframe: DepthFrame,
        frame: DepthFrame,
    ) -> tuple[TwoFrameSolution | None, bool]:
        focal = keyframe.camera.mean_focal
        solution = metric_motion(observations, focal, self._config)
        if solution is not None:
            return solution, True
        speed = float(np.linalg.norm(self._velocity.position))
        if not (speed > 0 and self._seconds > 0):
            return None, False
        length = speed * (frame.stamp - keyframe.stamp) / self._seconds
        solution = scaleless_motion(observations, focal, length, self._config)
        if solution is None:
            return None, False
        # Along the way as uncertain as a guessed motion, about what the matches tell as they say.
        along = solution.position / np.linalg.norm(solution.position)
        guess = predicted(self._velocity, length / speed).covariance[0, 0]
        covariance = solution.covariance.copy()
        covariance[:3, :3] += guess * np.outer(along, along)
        return replace(solution, covariance=covariance), False


def depth_frame(
    stamp: float,
    features: Features,
    camera: Camera,
    depth: DepthImage | None,
    config: OdometryConfig,
) -> DepthFrame:
    """A frame with the depths of its keypoints; see `RgbdOdometry.update`."""
    points = camera.normalize(features.keypoints)
    if depth is None:
        return DepthFrame(stamp, features, camera, points, np.full(len(features), np.nan))
    if depth.shape[::-1] != features.image_size:
        given, expected = depth.shape[::-1], tuple(features.image_size)
        raise DepthError(f"the depth image is {given}, the colour image {expected}: not registered")
    known = inverse_depths_at(depth, features.keypoints, config.depth_jump)
    return DepthFrame(stamp, features, camera, points, known)


def with_depth(
    points0: Array, points1: Array, weight: Array, inverse_depth: Array, config: OdometryConfig
) -> Observations:
    """Matches (N, 2) of one camera, normalised, with the measured inverse depths (N,), 1/m, of the
    reference view, NaN where there are none, and the uncertainty that the settings give them."""
    # The depth sensors in use triangulate: the error of a depth grows as its square, that of the
    # inverse depth is the same at all distances.
    sigma = np.where(np.isfinite(inverse_depth), config.depth_sigma, np.nan)
    return Observations.of_one_camera(points0, points1, weight, inverse_depth, sigma)


def metric_motion(
    observations: Observations, focal: float, config: OdometryConfig
) -> TwoFrameSolution | None:
    """The motion in metres from matches of which some have a depth; covariance of full rank.

    None where fewer than `config.min_inliers` with a depth agree: their length is not known then,
    but perhaps their direction (`scaleless_motion`). `focal` in pixels.
    """
    known = np.isfinite(observations.inverse_depth)
    seen = observations.subset(known)
    guess = pose_from_depths(seen.left0, seen.left1, seen.inverse_depth, focal, config)
    if guess is None:
        return None
    solution = solve_one_camera(observations, *guess, focal, config, scale_known=True)
    if solution is None or (solution.inlier & known).sum() < config.min_inliers:
        return None
    return solution


def scaleless_motion(
    observations: Observations, focal: float, length: float, config: OdometryConfig
) -> TwoFrameSolution | None:
    """Rotation and direction from the matches alone, for a translation of the given `length`.

    The covariance knows nothing of the length: it has no part along the translation. None where
    too few matches agree, or show too little parallax to tell a direction. `focal` in pixels.
    """
    guess = relative_pose(observations.left0, observations.left1, focal, config)
    if guess is None:
        return None
    unknown = np.full(len(observations), np.nan)
    blind = replace(observations, inverse_depth=unknown, inverse_depth_sigma=unknown)
    rotation, direction = guess
    start = (rotation, length * direction)
    return solve_one_camera(blind, *start, focal, config, scale_known=False)
