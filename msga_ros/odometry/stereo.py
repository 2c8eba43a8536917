"""Stereo visual odometry: metric motion of a calibrated pair of cameras.

A frame's left-right matches give depths, its matches with the last keyframe the motion. The first
guess is an absolute pose from points (PoseLib), the result a bundle adjustment of the two frames
over all four views (`two_frame`), so that matches without a depth take part as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend import Features
from msga_ros.geometry.camera import Camera
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.first_guess import pose_from_depths
from msga_ros.odometry.matches import MatchesLike, Relate, unique_rows
from msga_ros.odometry.metric import MetricOdometry
from msga_ros.odometry.observations import Observations, Rig, TwoFrameSolution
from msga_ros.odometry.rig import RigCheck, consistent_with_rig, inverse_depths
from msga_ros.odometry.rig_tracker import RigTracker
from msga_ros.odometry.stereo_frame import StereoFrame, StereoState
from msga_ros.odometry.two_frame import solve_two_frames
from msga_ros.odometry.updates import OdometryUpdate

Array = NDArray[np.float64]

_NEAR_PX = 1.0  # smallest disparity of a point whose depth is used


class StereoOdometry(MetricOdometry[StereoFrame]):
    """Feed it frame by frame; one thread at a time. Its way through gaps: `MetricOdometry`."""

    def __init__(self, rig: Rig, relate: Relate, config: OdometryConfig | None = None) -> None:
        """`relate` matches two left views over time and removes the outliers."""
        self.rig = rig
        self._rig = RigTracker(rig, (config or OdometryConfig()).rig_sigma_deg)
        super().__init__(relate, config)

    def reset(self) -> None:
        """Forget the trajectory: the next frame is the first. Track ids go on."""
        super().reset()
        self._rig.reset()

    def state_dict(self) -> StereoState:
        """Everything that the next update depends on, but for the settings: see `load_state_dict`.

        Plain values, arrays and dataclasses of them; they are those of this object, not copies.
        """
        return {
            **self._metric_state(),
            "rig": self._rig.state_dict(),
            "keyframe": self._keyframe,
            "previous": self._previous,
        }

    def load_state_dict(self, state: StereoState) -> None:
        """Go on from the state of an odometry with the same rig and settings."""
        self._load_metric_state(state)
        self._rig.load_state_dict(state["rig"])
        self._keyframe, self._previous = state["keyframe"], state["previous"]

    def update(
        self,
        stamp: float,
        left: Features,
        right: Features,
        camera_left: Camera,
        camera_right: Camera,
        stereo_matches: MatchesLike,
    ) -> OdometryUpdate:
        """Take in a frame. Poses are in metres, in the frame of the first left camera.

        Args:
            stamp: seconds.
            left, right: features of both images, which `stereo_matches` refer to by index.
            camera_left, camera_right: of both images; their places are those of the rig.
            stereo_matches: filtered, left to right; an inlier that the rig explains has a depth.

        Raises what `relate` raises.
        """
        frame, check = self._frame(stamp, left, right, camera_left, camera_right, stereo_matches)
        return self._take(frame, check)

    def _frame(
        self,
        stamp: float,
        left: Features,
        right: Features,
        camera_left: Camera,
        camera_right: Camera,
        matches: MatchesLike,
    ) -> tuple[StereoFrame, RigCheck | None]:
        focal = (camera_left.mean_focal + camera_right.mean_focal) / 2
        points_left = camera_left.normalize(left.keypoints)
        points_right = camera_right.normalize(right.keypoints)
        rows = unique_rows(matches)
        seen_left = points_left[matches.indices0[rows]]
        seen_right = points_right[matches.indices1[rows]]
        check = self._rig.check(seen_left, seen_right, focal)
        threshold = self._config.rig_threshold_px / focal
        rig = self._rig.corrected
        fits = consistent_with_rig(seen_left, seen_right, rig, threshold)
        kept = matches.indices0[rows[fits]]
        frame = StereoFrame.without_depth(stamp, left, camera_left, points_left)
        frame.right[kept] = seen_right[fits]
        frame.inverse_depth[kept] = inverse_depths(seen_left[fits], seen_right[fits], rig)
        frame.probability[kept] = matches.inlier_probability[rows[fits]]
        return frame, check

    def _solve(
        self,
        observations: Observations,
        inverse_depth: Array,
        keyframe: StereoFrame,
        frame: StereoFrame,
    ) -> tuple[TwoFrameSolution | None, bool]:
        config = self._config
        focal = keyframe.camera.mean_focal
        guess = self._guess(observations, inverse_depth, focal)
        if guess is None:
            return None, False
        rotation, position = guess
        solution = solve_two_frames(
            observations,
            rotation,
            position,
            inverse_depth,
            rig=self.rig,
            focal=focal,
            belief=self._rig.belief,
            sigma=config.noise_px or None,
            minimum_sigma=config.min_noise_px,
            gate_sigma=config.gate_px,
        )
        if solution is None or solution.inlier.sum() < config.min_inliers:
            return None, False
        self._rig.update(solution.rig)
        return solution, True

    def _observed(
        self,
        keyframe: StereoFrame,
        frame: StereoFrame,
        features0: NDArray[np.int64],
        features1: NDArray[np.int64],
        matches: MatchesLike,
        rows: NDArray[np.int64],
    ) -> Observations:
        nothing = np.full(len(rows), np.nan)  # the right views themselves tell the depths
        return Observations(
            left0=keyframe.left[features0],
            left1=frame.left[features1],
            right0=keyframe.right[features0],
            right1=frame.right[features1],
            weight=np.asarray(matches.inlier_probability[rows], dtype=np.float64),
            inverse_depth=nothing,
            inverse_depth_sigma=nothing,
        )

    def _outdated(self, solution: TwoFrameSolution) -> bool:
        """Where the rig counts as exact: once the length of the motion is certain.

        A disparity that is off by a constant bends far depths more than near ones, and on the way
        ahead the near points leave first. Without motion the keyframe stays: nothing drifts.
        """
        if self._rig.belief is not None or self._config.keyframe_certainty == 0.0:
            return False
        length = float(np.linalg.norm(solution.position))
        along = solution.position / max(length, 1e-12)
        variance = float(along @ solution.covariance[:3, :3] @ along)
        return length > self._config.keyframe_certainty * np.sqrt(variance)

    def _completed(self, check: RigCheck | None) -> RigCheck | None:
        return self._rig.completed(check)

    def _guess(
        self, observations: Observations, inverse_depth: Array, focal: float
    ) -> tuple[Array, Array] | None:
        """Pose of the current camera in the keyframe from points with a depth."""
        near = inverse_depth * self.rig.baseline * focal > _NEAR_PX
        seen = observations.subset(near)
        return pose_from_depths(seen.left0, seen.left1, inverse_depth[near], focal, self._config)
