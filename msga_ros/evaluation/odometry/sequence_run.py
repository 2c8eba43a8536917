"""Odometry over a whole sequence, by several estimators that share features and matches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.sequences.base import LEFT, RIGHT, Frame
from msga_ros.datasets.sequences.base import Sequence as FrameSequence
from msga_ros.evaluation.odometry.estimators import (
    EstimatorRelate,
    PutativeMatcher,
    SharedScores,
    sieve_of,
)
from msga_ros.evaluation.odometry.trajectory_error import TrajectoryErrors, evaluate_trajectory
from msga_ros.frontend import Features
from msga_ros.odometry.config import OdometryConfig, OdometryError
from msga_ros.odometry.mono import MonoOdometry
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.poses import pose_matrix
from msga_ros.odometry.rgbd import RgbdOdometry
from msga_ros.odometry.stereo import StereoOdometry
from msga_ros.odometry.updates import OdometryStatus, OdometryUpdate
from msga_ros.two_view.chosen_stages import create_frontend, create_sieve
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.stages import Frontend, beside, follow

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """One estimator on one sequence.

    `stamps` (N,), `poses` (N, 4, 4): of the (left) camera in the frame of the first that has a
    pose; metres in stereo and with depth. `truth` (N, 4, 4) of the same frames, NaN where unknown,
    None where it is for all. `updates`: of all frames.
    `ms_per_frame`: features, matches, filter and motion.
    """

    estimator: str
    stamps: Array
    poses: Array
    truth: Array | None
    updates: tuple[OdometryUpdate, ...]
    ms_per_frame: float

    def errors(self, with_scale: bool) -> TrajectoryErrors | None:
        """Against the truth, where that is known; None without. Raises `TrajectoryError`."""
        judged = self.judged()
        if judged.truth is None:
            return None
        return evaluate_trajectory(judged.truth, judged.poses, with_scale)

    def judged(self) -> Run:
        """The same with the poses of the frames whose truth is known; all where none is."""
        if self.truth is None:
            return self
        return self.only(self.stamps[np.isfinite(self.truth).all((1, 2))])

    def only(self, stamps: Array) -> Run:
        """The same with the poses of the frames at these `stamps` alone, in s."""
        kept = np.isin(self.stamps, stamps)
        truth = None if self.truth is None else self.truth[kept]
        return replace(self, stamps=self.stamps[kept], poses=self.poses[kept], truth=truth)

    @property
    def lost(self) -> int:
        """Frames whose motion had to be guessed, wholly or in its length."""
        guessed = (OdometryStatus.LOST, OdometryStatus.RESCALED)
        return sum(update.status in guessed for update in self.updates)


def common_stamps(runs: Sequence[Run]) -> Array:
    """Stamps (s) of the frames that all runs over a sequence have a pose for."""
    common = runs[0].stamps
    for one in runs[1:]:
        common = np.intersect1d(common, one.stamps)
    return common


def run_sequence(
    sequence: FrameSequence,
    estimators: Sequence[str],
    config: PipelineConfig,
    odometry: OdometryConfig | None = None,
    *,
    stereo: bool,
    depth: bool = False,
    limit: int = 0,
    advance: Callable[[int, int], None] | None = None,
) -> list[Run]:
    """Run all `estimators` frame by frame over the same features and putative matches.

    Args:
        sequence: with a right camera, and the rig known from its poses, if `stereo`.
        estimators: names that `EstimatorRelate` knows.
        config: of front end, network and robust estimators.
        odometry: None: the defaults.
        depth: one camera, with the depth images of the frames.
        limit: frames at most; 0: all.
        advance: called with frames done and their number.

    Raises:
        EstimatorError: an unknown estimator.
        OdometryError: fewer than two frames, a stereo sequence without known extrinsics, or a front
            end without fixed keypoints.
    """
    settings = odometry or OdometryConfig()
    features = create_frontend(config.frontend)
    matcher = PutativeMatcher(features)
    sieves = {
        name: SharedScores(create_sieve(config, name))
        for name in dict.fromkeys(sieve_of(estimator) for estimator in estimators)
        if name
    }
    relates = [
        EstimatorRelate(name, config, matcher, sieves.get(sieve_of(name))) for name in estimators
    ]
    runners: list[_Runner] = []
    views: dict[str, Features] = {}
    total = min(len(sequence), limit) if limit else len(sequence)
    for number, frame in enumerate(sequence):
        if number == total:
            break
        if not runners:
            rig = _rig(frame) if stereo else None
            runners = [_Runner(relate, rig, settings, depth) for relate in relates]
        views, elapsed = _extract(features, frame, views)
        if not all(view.fixed_keypoints for view in views.values()):
            raise OdometryError(
                f"the front end {config.frontend.name} has no fixed keypoints that could be "
                "followed: where a point is in the second view depends on the pair"
            )
        for runner in runners:
            runner.take(frame, views, elapsed)
        if advance:
            advance(number + 1, total)
    if not runners or len(runners[0].updates) < 2:
        raise OdometryError(f"{sequence.name}: at least two frames are needed")
    return [runner.result() for runner in runners]


class _Runner:
    """One estimator's odometry and what it said so far."""

    def __init__(
        self, relate: EstimatorRelate, rig: Rig | None, config: OdometryConfig, depth: bool
    ) -> None:
        self._relate = relate
        self._rig = rig
        self._stereo = None if rig is None else StereoOdometry(rig, relate, config)
        self._rgbd = RgbdOdometry(relate, config) if depth else None
        self._mono = MonoOdometry(relate, config)
        self._milliseconds = 0.0
        self._truth: list[Array | None] = []
        self.updates: list[OdometryUpdate] = []

    def take(self, frame: Frame, views: dict[str, Features], extraction: float) -> None:
        # Matches and network are shared; their time is counted by `relate`, as if they were not.
        shared, started = self._relate.milliseconds, time.perf_counter()
        left = views[LEFT]
        if self._stereo is not None:
            right, cameras = views[RIGHT], (frame.cameras[LEFT], frame.cameras[RIGHT])
            matches = self._relate.stereo(left, right, *cameras)
            update = self._stereo.update(frame.stamp, left, right, *cameras, matches)
        elif self._rgbd is not None:
            update = self._rgbd.update(frame.stamp, left, frame.cameras[LEFT], frame.depth)
        else:
            update = self._mono.update(frame.stamp, left, frame.cameras[LEFT])
        elapsed = 1e3 * (time.perf_counter() - started)
        counted = self._relate.milliseconds - shared
        own = max(elapsed - self._relate.take_spent(), 0.0)
        self._milliseconds += extraction + own + counted
        # Features, images and matches of a long sequence would fill the memory.
        self.updates.append(replace(update, matches=None))
        pose = frame.poses.get(LEFT) if frame.poses else None
        self._truth.append(None if pose is None else pose_matrix(pose.rotation.T, pose.centre))

    def result(self) -> Run:
        # Mono may have restarted before it knew a scale: what was before has no common frame.
        begun = [
            i
            for i, update in enumerate(self.updates)
            if update.status is OdometryStatus.STARTED and update.pose is not None
        ]
        posed = [i for i, u in enumerate(self.updates) if u.pose is not None and i >= begun[-1]]
        poses = [self.updates[i].pose for i in posed]
        truth = [self._truth[i] for i in posed]
        known = [np.full((4, 4), np.nan) if pose is None else pose for pose in truth]
        return Run(
            estimator=self._relate.name,
            stamps=np.array([self.updates[i].stamp for i in posed]),
            poses=np.array([pose.matrix for pose in poses if pose is not None]),
            truth=None if all(pose is None for pose in truth) else np.array(known),
            updates=tuple(self.updates),
            ms_per_frame=self._milliseconds / len(self.updates),
        )


def _extract(
    extractor: Frontend, frame: Frame, before: dict[str, Features]
) -> tuple[dict[str, Features], float]:
    """Features by side, and the milliseconds they took; `before`: those of the frame before."""
    started = time.perf_counter()
    views = {LEFT: follow(extractor, before.get(LEFT), frame.images[LEFT])}
    if RIGHT in frame.images:
        views[RIGHT] = beside(extractor, views[LEFT], frame.images[RIGHT])
    return views, 1e3 * (time.perf_counter() - started)


def _rig(frame: Frame) -> Rig:
    if not frame.poses or RIGHT not in frame.poses:
        raise OdometryError("the sequence does not say where the right camera is")
    right = frame.poses[RIGHT].relative_to(frame.poses[LEFT])
    rig = Rig(right.rotation, right.translation)
    if not rig.baseline > 0:
        raise OdometryError("left and right camera are at the same place")
    return rig
