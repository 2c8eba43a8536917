"""Metric odometry from keyframe to keyframe; where the metres are from, its subclasses say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend import Features
from msga_ros.geometry.camera import Camera
from msga_ros.odometry.chain import ChainState, PoseChain, Step, between, by_distortion
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.matches import MatchesLike, Relate, judged, unique_rows
from msga_ros.odometry.observations import Observations, TwoFrameSolution
from msga_ros.odometry.poses import UncertainPose, exact_motion, predicted
from msga_ros.odometry.rig import RigCheck
from msga_ros.odometry.tracks import Tracks, TracksState, feature_ids
from msga_ros.odometry.updates import (
    OdometryStatus,
    OdometryUpdate,
    first_update,
    update_without_motion,
)

Array = NDArray[np.float64]

_UNKNOWN = 10.0  # times the smallest motion that is guessed, where none was measured yet


class MetricFrame(Protocol):
    """A frame of which some points are known in metres; arrays by the index of the feature.

    `left` (N, 2): normalised coordinates in the (left) camera; `inverse_depth` (N,) 1/m, NaN where
    unknown; `with_depth`: the features for which it is known.
    """

    stamp: float
    features: Features
    camera: Camera
    left: Array
    inverse_depth: Array
    tracks: dict[int, int]

    @property
    def with_depth(self) -> NDArray[np.int64]: ...


Frame = TypeVar("Frame", bound=MetricFrame)


class MetricState(TypedDict):
    """What every metric odometry goes on from; the keyframe and the one before are its frames."""

    tracks: TracksState
    chain: ChainState
    seen_at_first: int
    velocity: UncertainPose
    seconds: float
    last: UncertainPose
    last_stamp: float


class MetricOdometry(ABC, Generic[Frame]):
    """The motion of each frame from the last keyframe, chained, with its covariance.

    Frames may be missing. Where no motion is found, the last one goes on for as long as the time
    between the frames, with a covariance as large as that guess (LOST). The keyframe stays through
    frames that show nothing, so that the pose is measured again, not guessed on, when the view
    comes back.
    """

    def __init__(self, relate: Relate, config: OdometryConfig | None = None) -> None:
        """`relate` matches two views over time and removes the outliers."""
        self._relate = relate
        self._config = config or OdometryConfig()
        self._tracks = Tracks()
        self.reset()

    def reset(self) -> None:
        """Forget the trajectory: the next frame is the first. Track ids go on."""
        self._chain = PoseChain()
        self._keyframe: Frame | None = None
        self._seen_at_first = 0
        self._velocity = UncertainPose.origin()  # last motion from frame to frame
        self._seconds = 0.0  # that it took
        self._last = UncertainPose.origin()
        self._last_stamp = 0.0
        self._previous: tuple[Frame, Step] | None = None  # if not the keyframe

    @abstractmethod
    def _observed(
        self,
        keyframe: Frame,
        frame: Frame,
        features0: NDArray[np.int64],
        features1: NDArray[np.int64],
        matches: MatchesLike,
        rows: NDArray[np.int64],
    ) -> Observations:
        """What both frames saw of the points of the `rows` (N,) of `matches`."""

    @abstractmethod
    def _solve(
        self, observations: Observations, inverse_depth: Array, keyframe: Frame, frame: Frame
    ) -> tuple[TwoFrameSolution | None, bool]:
        """The motion, None where there is none, and whether its length was measured."""

    def _outdated(self, solution: TwoFrameSolution) -> bool:
        """Whether the next motion is better measured from the frame that `solution` leads to,
        however many points of the keyframe are still seen."""
        return False

    def _completed(self, check: RigCheck | None) -> RigCheck | None:
        """What is said of the rig once the motion is known."""
        return check

    def _metric_state(self) -> MetricState:
        return {
            "tracks": self._tracks.state_dict(),
            "chain": self._chain.state_dict(),
            "seen_at_first": self._seen_at_first,
            "velocity": self._velocity,
            "seconds": self._seconds,
            "last": self._last,
            "last_stamp": self._last_stamp,
        }

    def _load_metric_state(self, state: MetricState) -> None:
        self._tracks.load_state_dict(state["tracks"])
        self._chain = PoseChain()
        self._chain.load_state_dict(state["chain"])
        self._seen_at_first = state["seen_at_first"]
        self._velocity, self._seconds = state["velocity"], state["seconds"]
        self._last, self._last_stamp = state["last"], state["last_stamp"]

    def _take(self, frame: Frame, check: RigCheck | None = None) -> OdometryUpdate:
        """The motion to `frame`, or the beginning of the trajectory there."""
        if self._keyframe is None:
            self._begin_keyframe(frame)
            self._last_stamp = frame.stamp
            ids = feature_ids(frame, len(frame.left))
            return first_update(frame.stamp, self._chain.reference, True, ids, rig=check)
        return self._locate(frame, self._keyframe, check)

    def _locate(self, frame: Frame, keyframe: Frame, check: RigCheck | None) -> OdometryUpdate:
        matches = self._relate(keyframe.features, frame.features, keyframe.camera, frame.camera)
        rows = unique_rows(matches)
        rows = rows[np.isfinite(frame.left[matches.indices1[rows]]).all(1)]
        features0, features1 = matches.indices0[rows], matches.indices1[rows]
        observations = self._observed(keyframe, frame, features0, features1, matches, rows)
        depths = keyframe.inverse_depth[features0]
        solution, scaled = self._solve(observations, depths, keyframe, frame)
        if (
            self._previous is not None
            and not scaled
            and (solution is None or self._serves(self._previous[0]))
        ):
            # The keyframe is out of sight: go on from the frame before this one.
            self._keyframe, step = self._previous
            self._chain.advance(step)
            self._previous, self._seen_at_first = None, 0
            return self._locate(frame, self._keyframe, check)
        if solution is None:
            return self._lost(frame, keyframe, matches, check)
        inlier, points = solution.among(rows, len(matches.inlier))
        ids = self._tracks.follow(keyframe, frame, judged(matches, inlier))
        step = self._step(solution, features0, features1)
        last_stamp, motion = keyframe.stamp, step.pose
        if self._previous is not None:
            last_stamp, motion = self._previous[0].stamp, between(self._previous[1], step)
        replace = self._replaces(frame, solution, scaled)
        if replace:
            pose = self._chain.advance(step)
            self._begin_keyframe(frame)
        else:
            pose = self._chain.locate(step)
        self._previous = None if replace else (frame, step)
        self._move_to(pose, frame.stamp)
        return OdometryUpdate(
            stamp=frame.stamp,
            status=OdometryStatus.OK if scaled else OdometryStatus.RESCALED,
            pose=pose,
            relative=step.pose,
            reference_stamp=keyframe.stamp,
            scale_known=scaled,
            matches=matches,
            inlier=inlier,
            track_ids=ids,
            feature_ids=feature_ids(frame, len(frame.left)),
            points=points,
            keyframe=replace,
            sigma_px=solution.sigma,
            rig=self._completed(check),
            motion=motion,
            motion_seconds=frame.stamp - last_stamp,
        )

    def _step(
        self,
        solution: TwoFrameSolution,
        features0: NDArray[np.int64],
        features1: NDArray[np.int64],
    ) -> Step:
        """The motion of `solution` from the keyframe, with what calibration and lens leave
        unexplained; `features0`, `features1` (N,): its points in both frames."""
        unexplained = by_distortion(
            solution.rotation, solution.position, self._config.systematic_share
        )
        covariance = solution.covariance + unexplained @ unexplained.T
        return Step(
            UncertainPose(solution.rotation, solution.position, covariance),
            features0,
            features1,
            solution.sensitivity,
            solution.sigma,
            np.hstack([solution.by_rig, unexplained]),
        )

    def _replaces(self, frame: Frame, solution: TwoFrameSolution, scaled: bool) -> bool:
        """Whether `frame`, to which `solution` leads, is the next keyframe."""
        count = int(solution.inlier.sum())
        self._seen_at_first = max(self._seen_at_first, count)
        followed = frame.features.ids is not None
        share = self._config.keyframe_share_followed if followed else self._config.keyframe_share
        return self._serves(frame) and (
            not scaled
            or count < self._config.keyframe_inliers
            or count < share * self._seen_at_first
            or share == 1.0
            or self._outdated(solution)
        )

    def _serves(self, frame: Frame) -> bool:
        """Whether a motion from `frame` on could have a length."""
        return len(frame.with_depth) >= self._config.min_inliers

    def _begin_keyframe(self, frame: Frame) -> None:
        self._keyframe, self._seen_at_first = frame, 0
        self._tracks.begin(frame, frame.with_depth)

    def _move_to(self, pose: UncertainPose, stamp: float) -> None:
        self._velocity = exact_motion(self._last, pose)
        self._seconds = stamp - self._last_stamp
        self._last, self._last_stamp = pose, stamp

    def _lost(
        self,
        frame: Frame,
        keyframe: Frame,
        matches: MatchesLike,
        check: RigCheck | None,
    ) -> OdometryUpdate:
        """Go on as before, about as uncertain as the motion is large."""
        passed = frame.stamp - self._last_stamp
        known = self._seconds > 0 and passed > 0
        guess = predicted(self._velocity, passed / self._seconds if known else _UNKNOWN)
        pose = self._last.compose(guess)
        replace = self._serves(frame)
        if replace:
            self._chain = PoseChain(pose)
            self._begin_keyframe(frame)
            self._last, self._last_stamp = pose, frame.stamp
        return update_without_motion(
            frame.stamp,
            OdometryStatus.LOST,
            pose,
            keyframe.stamp,
            matches,
            scale_known=True,
            feature_ids=feature_ids(frame, len(frame.left)),
            keyframe=replace,
            rig=check,
            motion=guess if known else None,
            motion_seconds=passed,
        )
