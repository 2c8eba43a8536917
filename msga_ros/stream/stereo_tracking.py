"""Stereo pairs over time: odometry, tracks that persist, and a check of the rig."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.matches import unique_rows
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.rig import RigMonitor
from msga_ros.stream.feature_matches import NO_FIXED_KEYPOINTS, feature_matches
from msga_ros.stream.motion_report import MotionReport
from msga_ros.stream.motion_tracking import MotionTracking
from msga_ros.stream.processor import Outcome, Pipeline
from msga_ros.stream.stream_odometry import (
    NO_BASELINE,
    CameraParameters,
    OdometryResult,
    camera_parameters,
    same_cameras,
)
from msga_ros.stream.track_ids import with_ids_of_the_odometry


class StereoTracking(MotionTracking):
    """See `MotionTracking`."""

    def __init__(
        self,
        pipeline: Pipeline,
        say: Callable[[str], None],
        on_error: Callable[[Exception], None],
        config: OdometryConfig | None = None,
    ) -> None:
        super().__init__(pipeline, "stereo", say, on_error, config)
        self._monitor: tuple[CameraParameters, RigMonitor] | None = (
            None  # with the cameras it belongs to
        )

    def update(
        self, outcome: Outcome, epoch: int, wanted: bool
    ) -> tuple[Outcome, OdometryResult | None]:
        """The outcome of a stereo pair with its tracks, and where the rig is.

        Not `wanted`: the rig is checked, nothing more, and the next frame that is begins a new
        session.
        """
        rig = outcome.rig
        if rig is None:
            self.report = MotionReport(wanted=wanted, problem=NO_BASELINE)
            return outcome, None
        followed = outcome.result.of_features.indices0 is not None
        odometry_result = None
        if wanted and followed:
            views = [outcome.reference, outcome.current]
            odometry_result = self._take(views, outcome, epoch)
        if odometry_result is None:
            self._pause()
            problem = NO_FIXED_KEYPOINTS if wanted and not followed else ""
            report = self._without_odometry(outcome, rig, wanted)
            self.report = replace(report, problem=problem, rig_problem=outcome.rig_problem)
            return outcome, None
        self._monitor = None
        self.report = replace(
            self.report.after(odometry_result, self._odometry.reason),
            focal=_mean_focal(outcome),
            rig_problem=outcome.rig_problem,
        )
        return with_ids_of_the_odometry(outcome, odometry_result.update), odometry_result

    def _without_odometry(self, outcome: Outcome, rig: Rig, wanted: bool) -> MotionReport:
        cameras = camera_parameters([outcome.reference, outcome.current], rig)
        focal = _mean_focal(outcome)
        if self._monitor is None or not same_cameras(self._monitor[0], cameras):
            self._monitor = (cameras, RigMonitor(rig, focal))
        points = _inlier_points(outcome)
        check = self._monitor[1].update(*points) or self.report.rig
        return replace(
            self.report, wanted=wanted, running=False, problem="", rig=check, focal=focal
        )


def _mean_focal(outcome: Outcome) -> float:
    return (outcome.reference.camera.mean_focal + outcome.current.camera.mean_focal) / 2


def _inlier_points(outcome: Outcome) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Normalised points (N, 2) of the matches that hold, left and right."""
    result = outcome.result
    rows = (
        np.flatnonzero(result.inlier)
        if result.indices0 is None
        else unique_rows(feature_matches(result))
    )
    return (
        outcome.reference.camera.normalize(result.keypoints0[rows]),
        outcome.current.camera.normalize(result.keypoints1[rows]),
    )
