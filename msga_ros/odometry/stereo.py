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
from msga_ros.odometry.absolute import absolute_pose, points_in_current, predicted
from msga_ros.odometry.chain import PoseChain, Step, between, by_distortion
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.matches import FilteredMatches, MatchesLike, Relate, unique_rows
from msga_ros.odometry.observations import Observations, Rig, TwoFrameSolution
from msga_ros.odometry.poses import UncertainPose
from msga_ros.odometry.rig import (
    RigCheck,
    consistent_with_rig,
    inverse_depths,
)
from msga_ros.odometry.rig_tracker import RigTracker
from msga_ros.odometry.stereo_frame import StereoFrame, StereoState, observed
from msga_ros.odometry.tracks import Tracks, feature_ids
from msga_ros.odometry.two_frame import solve_two_frames
from msga_ros.odometry.updates import OdometryStatus, OdometryUpdate, first_update

Array = NDArray[np.float64]

_NEAR_PX = 1.0  # smallest disparity of a point whose depth is used
_UNKNOWN = 10.0  # times the smallest motion that is guessed, where none was measured yet


class StereoOdometry:
    """Feed it frame by frame; one thread at a time.

    Frames may be missing: the motion is always that from the last keyframe. Where no motion is
    found, the last one goes on for as long as the time between the frames, with a covariance as
    large as that guess (LOST). The keyframe stays through frames that show nothing, so that the
    pose is measured again, not guessed on, when the view comes back.
    """

    def __init__(self, rig: Rig, relate: Relate, config: OdometryConfig | None = None) -> None:
        """`relate` matches two left views over time and removes the outliers."""
        self.rig = rig
        self._relate = relate
        self._config = config or OdometryConfig()
        self._rig = RigTracker(rig, self._config.rig_sigma_deg)
        self._tracks = Tracks()
        self.reset()

    def reset(self) -> None:
        """Forget the trajectory: the next frame is the first. Track ids go on."""
        self._chain = PoseChain()
        self._rig.reset()
        self._keyframe: StereoFrame | None = None
        self._seen_at_first = 0
        self._velocity = UncertainPose.origin()  # last motion from frame to frame
        self._seconds = 0.0  # that it took
        self._last = UncertainPose.origin()
        self._last_stamp = 0.0
        self._previous: tuple[StereoFrame, Step] | None = None  # if not the keyframe

    def state_dict(self) -> StereoState:
        """Everything that the next update depends on, but for the settings: see `load_state_dict`.

        Plain values, arrays and dataclasses of them; they are those of this object, not copies.
        """
        return {
            "rig": self._rig.state_dict(),
            "tracks": self._tracks.state_dict(),
            "chain": self._chain.state_dict(),
            "keyframe": self._keyframe,
            "seen_at_first": self._seen_at_first,
            "velocity": self._velocity,
            "seconds": self._seconds,
            "last": self._last,
            "last_stamp": self._last_stamp,
            "previous": self._previous,
        }

    def load_state_dict(self, state: StereoState) -> None:
        """Go on from the state of an odometry with the same rig and settings."""
        self._rig.load_state_dict(state["rig"])
        self._tracks.load_state_dict(state["tracks"])
        self._chain = PoseChain()
        self._chain.load_state_dict(state["chain"])
        self._keyframe, self._seen_at_first = state["keyframe"], state["seen_at_first"]
        self._velocity, self._seconds = state["velocity"], state["seconds"]
        self._last, self._last_stamp = state["last"], state["last_stamp"]
        self._previous = state["previous"]

    def update(
        self,
        stamp: float,
        left: Features,
        right: Features,
        camera_left: Camera,
        camera_right: Camera,
        stereo_matches: MatchesLike,
    ) -> OdometryUpdate:
        """Take in a frame: its features and the filtered matches from left to right."""
        frame, check = self._frame(stamp, left, right, camera_left, camera_right, stereo_matches)
        if self._keyframe is None:
            self._begin_keyframe(frame)
            self._last_stamp = stamp
            ids = feature_ids(frame, len(left))
            return first_update(stamp, self._chain.reference, True, ids, rig=check)
        return self._locate(frame, self._keyframe, check)

    def _locate(
        self, frame: StereoFrame, keyframe: StereoFrame, check: RigCheck | None
    ) -> OdometryUpdate:
        matches = self._relate(keyframe.features, frame.features, keyframe.camera, frame.camera)
        rows = unique_rows(matches)
        rows = rows[np.isfinite(frame.left[matches.indices1[rows]]).all(1)]
        features0, features1 = matches.indices0[rows], matches.indices1[rows]
        observations = observed(keyframe, frame, features0, features1, matches, rows)
        solution = self._solve(observations, keyframe.inverse_depth[features0], keyframe)
        inlier = np.zeros(len(matches.inlier), dtype=bool)
        points = np.full((len(inlier), 3), np.nan)
        if solution is None and self._previous is not None:
            # The keyframe is out of sight: go on from the frame before this one.
            self._keyframe, step = self._previous
            self._chain.advance(step)
            self._previous, self._seen_at_first = None, 0
            return self._locate(frame, self._keyframe, check)
        if solution is None:
            return self._lost(frame, keyframe, matches, check)
        self._rig.update(solution.rig)
        inlier[rows[solution.inlier]] = True
        points[rows] = points_in_current(solution)
        agreeing = FilteredMatches(
            matches.indices0, matches.indices1, inlier, matches.inlier_probability
        )
        ids = self._tracks.follow(keyframe, frame, agreeing)
        unexplained = by_distortion(
            solution.rotation, solution.position, self._config.systematic_share
        )
        relative = UncertainPose(
            solution.rotation,
            solution.position,
            solution.covariance + unexplained @ unexplained.T,
        )
        constants = np.hstack([solution.by_rig, unexplained])
        step = Step(relative, features0, features1, solution.sensitivity, solution.sigma, constants)
        last_stamp, motion = keyframe.stamp, relative
        if self._previous is not None:
            last_stamp, motion = self._previous[0].stamp, between(self._previous[1], step)
        count = int(inlier.sum())
        self._seen_at_first = max(self._seen_at_first, count)
        replace = (
            count < self._config.keyframe_inliers
            or count < self._config.keyframe_share * self._seen_at_first
            or self._config.keyframe_share == 1.0
        )
        if replace:
            pose = self._chain.advance(step)
            self._begin_keyframe(frame)
        else:
            pose = self._chain.locate(step)
        self._previous = None if replace else (frame, step)
        self._move_to(pose, frame.stamp)
        return OdometryUpdate(
            stamp=frame.stamp,
            status=OdometryStatus.OK,
            pose=pose,
            relative=relative,
            reference_stamp=keyframe.stamp,
            scale_known=True,
            matches=matches,
            inlier=inlier,
            track_ids=ids,
            feature_ids=feature_ids(frame, len(frame.left)),
            points=points,
            keyframe=replace,
            sigma_px=solution.sigma,
            rig=self._rig.completed(check),
            motion=motion,
            motion_seconds=frame.stamp - last_stamp,
        )

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
        self, observations: Observations, inverse_depth: Array, keyframe: StereoFrame
    ) -> TwoFrameSolution | None:
        config = self._config
        focal = keyframe.camera.mean_focal
        guess = self._guess(observations, inverse_depth, focal)
        if guess is None:
            return None
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
            return None
        return solution

    def _guess(
        self, observations: Observations, inverse_depth: Array, focal: float
    ) -> tuple[Array, Array] | None:
        """Pose of the current camera in the keyframe from points with a depth."""
        near = inverse_depth * self.rig.baseline * focal > _NEAR_PX
        if near.sum() < self._config.min_inliers:
            return None
        rays = np.column_stack([observations.left0, np.ones(len(observations))])
        return absolute_pose(
            observations.left1[near],
            rays[near] / inverse_depth[near, None],
            self._config.reprojection_px / focal,
            self._config,
        )

    def _begin_keyframe(self, frame: StereoFrame) -> None:
        self._keyframe, self._seen_at_first = frame, 0
        self._tracks.begin(frame, frame.with_depth)

    def _move_to(self, pose: UncertainPose, stamp: float) -> None:
        rotation = self._last.rotation.T @ pose.rotation
        position = self._last.rotation.T @ (pose.position - self._last.position)
        self._velocity = UncertainPose(rotation, position, np.zeros((6, 6)))
        self._seconds = stamp - self._last_stamp
        self._last, self._last_stamp = pose, stamp

    def _lost(
        self,
        frame: StereoFrame,
        keyframe: StereoFrame,
        matches: MatchesLike,
        check: RigCheck | None,
    ) -> OdometryUpdate:
        """Go on as before, about as uncertain as the motion is large."""
        passed = frame.stamp - self._last_stamp
        known = self._seconds > 0 and passed > 0
        guess = predicted(self._velocity, passed / self._seconds if known else _UNKNOWN)
        pose = self._last.compose(guess)
        replace = len(frame.with_depth) >= self._config.min_inliers
        if replace:
            self._chain = PoseChain(pose)
            self._begin_keyframe(frame)
            self._last, self._last_stamp = pose, frame.stamp
        count = len(matches.inlier)
        return OdometryUpdate(
            stamp=frame.stamp,
            status=OdometryStatus.LOST,
            pose=pose,
            relative=None,
            reference_stamp=keyframe.stamp,
            scale_known=True,
            matches=matches,
            inlier=np.zeros(count, dtype=bool),
            track_ids=np.zeros(count, dtype=np.uint64),
            feature_ids=feature_ids(frame, len(frame.left)),
            points=np.full((count, 3), np.nan),
            keyframe=replace,
            sigma_px=float("nan"),
            rig=check,
            motion=guess if known else None,
            motion_seconds=passed,
        )
