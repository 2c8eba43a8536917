"""Mono visual odometry: motion up to one scale for the whole trajectory.

The first keyframes with parallax set the scale (their distance is 1). From then on the depths of
points seen before carry it on: the points of a keyframe, as they come out of the bundle adjustment
with the last one, are what is known beforehand of the next.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend import Features
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.pose import rotation_angle_deg
from msga_ros.geometry.triangulation import parallax_angles
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.matches import MatchesLike, Relate, judged, unique_rows
from msga_ros.odometry.mono_frame import MonoFrame, MonoState
from msga_ros.odometry.mono_motion import solve_motion
from msga_ros.odometry.observations import Observations, TwoFrameSolution
from msga_ros.odometry.poses import UncertainPose, exact_motion, predicted
from msga_ros.odometry.tracks import Tracks, feature_ids
from msga_ros.odometry.updates import (
    OdometryStatus,
    OdometryUpdate,
    first_update,
    update_without_motion,
)

_TURN_DEG = 10.0  # after this rotation the views hardly overlap with the keyframe
_PLAUSIBLE = 0.75  # share of the filter's inliers that a motion explains, or it is tried again


class MonoOdometry:
    """Feed it frame by frame; one thread at a time. No pose is in metres."""

    def __init__(self, relate: Relate, config: OdometryConfig | None = None) -> None:
        """`relate` matches two views over time and removes the outliers."""
        self._relate = relate
        self._config = config or OdometryConfig()
        self._tracks = Tracks()
        self.reset()

    def reset(self) -> None:
        """Forget the trajectory: the next frame is the first. Track ids go on."""
        self._keyframe: MonoFrame | None = None
        self._reference = UncertainPose.origin()  # pose of the keyframe
        self._scaled = False
        self._seen_at_first = 0
        self._last = UncertainPose.origin()
        self._velocity = UncertainPose.origin()
        self._previous: tuple[MonoFrame, UncertainPose] | None = None  # if not the keyframe

    def state_dict(self) -> MonoState:
        """Everything that the next update depends on, but for the settings: see `load_state_dict`.

        Plain values, arrays and dataclasses of them; they are those of this object, not copies.
        """
        return {
            "tracks": self._tracks.state_dict(),
            "keyframe": self._keyframe,
            "reference": self._reference,
            "scaled": self._scaled,
            "seen_at_first": self._seen_at_first,
            "last": self._last,
            "velocity": self._velocity,
            "previous": self._previous,
        }

    def load_state_dict(self, state: MonoState) -> None:
        """Go on from the state of an odometry with the same settings."""
        self._tracks.load_state_dict(state["tracks"])
        self._keyframe, self._reference = state["keyframe"], state["reference"]
        self._scaled, self._seen_at_first = state["scaled"], state["seen_at_first"]
        self._last, self._velocity = state["last"], state["velocity"]
        self._previous = state["previous"]

    def update(self, stamp: float, features: Features, camera: Camera) -> OdometryUpdate:
        """Take in the features of a frame, of `stamp` (s), and the camera of its image.

        Poses are in the frame of the first camera; the first motion that is found has length 1.
        Raises what `relate` raises.
        """
        nothing = np.full(len(features), np.nan)
        points = camera.normalize(features.keypoints)
        frame = MonoFrame(stamp, features, camera, points, nothing, nothing.copy())
        if self._keyframe is None:
            self._keyframe = frame
            return _first(frame, self._reference)
        return self._locate(frame, self._keyframe)

    def _locate(self, frame: MonoFrame, keyframe: MonoFrame) -> OdometryUpdate:
        matches = self._relate(keyframe.features, frame.features, keyframe.camera, frame.camera)
        rows = unique_rows(matches)
        index0, index1 = matches.indices0[rows], matches.indices1[rows]
        finite = np.isfinite(keyframe.points[index0]).all(1)
        finite &= np.isfinite(frame.points[index1]).all(1)
        rows, index0, index1 = rows[finite], index0[finite], index1[finite]
        observations = _observations(keyframe, frame, matches, rows)
        solution, by_points = solve_motion(
            observations,
            keyframe.camera.mean_focal,
            self._config,
            scaled=self._scaled,
            speed=float(np.linalg.norm(self._velocity.position)),
        )
        agree = 0.0 if solution is None else solution.inlier.sum() / max(len(rows), 1)
        doubtful = not by_points or agree < _PLAUSIBLE
        if self._scaled and doubtful and self._previous is not None:
            # The keyframe is out of sight: go on from the frame before this one.
            self._keyframe, self._reference = self._previous
            self._previous, self._seen_at_first = None, 0
            return self._locate(frame, self._keyframe)
        if solution is None:
            return self._without_motion(frame, keyframe, matches)
        inlier, points = solution.among(rows, len(matches.inlier))
        ids = self._tracks.follow(keyframe, frame, judged(matches, inlier))
        relative = UncertainPose(solution.rotation, solution.position, solution.covariance)
        pose = self._reference.compose(relative)
        replace = not by_points or self._replaces(observations, solution)
        _hand_on(frame, index1, solution)
        self._previous = None if replace else (frame, pose)
        if replace:
            self._keyframe, self._reference, self._seen_at_first = frame, pose, 0
        scaled, self._scaled = self._scaled, True
        self._move_to(pose)
        return OdometryUpdate(
            stamp=frame.stamp,
            status=OdometryStatus.OK if by_points or not scaled else OdometryStatus.RESCALED,
            pose=pose,
            relative=relative,
            reference_stamp=keyframe.stamp,
            scale_known=False,
            matches=matches,
            inlier=inlier,
            track_ids=ids,
            feature_ids=feature_ids(frame, len(frame.features)),
            points=points,
            keyframe=replace,
            sigma_px=solution.sigma,
            rig=None,
        )

    def _replaces(self, observations: Observations, solution: TwoFrameSolution) -> bool:
        """A new keyframe takes parallax, to have depths; or fewer points with a depth are left."""
        config = self._config
        inlier = solution.inlier
        known = int((inlier & np.isfinite(observations.inverse_depth)).sum())
        self._seen_at_first = max(self._seen_at_first, known)
        parallax = parallax_angles(
            observations.left0[inlier], observations.left1[inlier], solution.rotation.T
        )
        if known < config.keyframe_inliers:
            return True
        wide = bool(np.degrees(np.median(parallax)) > config.min_parallax_deg)
        turned = rotation_angle_deg(solution.rotation) > _TURN_DEG
        fewer = known < config.keyframe_share * self._seen_at_first
        return fewer and (wide or turned)

    def _move_to(self, pose: UncertainPose) -> None:
        self._velocity = exact_motion(self._last, pose)
        self._last = pose

    def _without_motion(
        self, frame: MonoFrame, keyframe: MonoFrame, matches: MatchesLike
    ) -> OdometryUpdate:
        """Before there is a scale: wait for parallax. After: go on as before, start a new map."""
        lost = self._scaled
        pose = None
        if lost:
            pose = self._last.compose(predicted(self._velocity))
            self._keyframe, self._reference, self._seen_at_first = frame, pose, 0
            self._last = pose
        elif matches.inlier.sum() < self._config.min_inliers:
            self._keyframe = frame  # nothing to do with what was before: begin here
            return _first(frame, self._reference)
        return update_without_motion(
            frame.stamp,
            OdometryStatus.LOST if lost else OdometryStatus.STARTED,
            pose,
            keyframe.stamp,
            matches,
            scale_known=False,
            feature_ids=feature_ids(frame, len(frame.features)),
            keyframe=self._keyframe is frame,
        )


def _first(frame: MonoFrame, pose: UncertainPose) -> OdometryUpdate:
    nothing = np.zeros(len(frame.features), dtype=np.uint64)
    return first_update(frame.stamp, pose, scale_known=False, feature_ids=nothing)


def _observations(
    keyframe: MonoFrame, frame: MonoFrame, matches: MatchesLike, rows: NDArray[np.int64]
) -> Observations:
    index0, index1 = matches.indices0[rows], matches.indices1[rows]
    return Observations.of_one_camera(
        keyframe.points[index0],
        frame.points[index1],
        np.asarray(matches.inlier_probability[rows], dtype=np.float64),
        keyframe.inverse_depth[index0],
        keyframe.inverse_depth_sigma[index0],
    )


def _hand_on(frame: MonoFrame, index1: NDArray[np.int64], solution: TwoFrameSolution) -> None:
    """Inverse depths of the solution's points in the current camera, for `frame`."""
    inlier = solution.inlier
    rays = np.column_stack([solution.ray[inlier], np.ones(int(inlier.sum()))])
    depth, sigma = solution.inverse_depth[inlier], solution.inverse_depth_sigma[inlier]
    # The point over its old depth is rays - depth * position; its z in the new camera:
    forward = solution.rotation[:, 2]
    at_zero = rays @ forward
    z = at_zero - depth * float(solution.position @ forward)
    good = z > 1e-3
    rows = index1[inlier][good]
    frame.inverse_depth[rows] = depth[good] / z[good]
    frame.inverse_depth_sigma[rows] = sigma[good] * at_zero[good] / z[good] ** 2
