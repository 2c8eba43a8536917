"""Stereo pairs over time: odometry, tracks that persist, and a check of the rig."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.matches import unique_rows
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.rig import RigCheck, RigMonitor
from msga_ros.odometry.updates import OdometryStatus
from msga_ros.stream.feature_matches import NO_FIXED_KEYPOINTS, feature_matches
from msga_ros.stream.processor import Outcome, Pipeline
from msga_ros.stream.stream_odometry import (
    NO_BASELINE,
    CameraParameters,
    OdometryResult,
    StreamOdometry,
    camera_parameters,
    same_cameras,
)
from msga_ros.stream.track_ids import with_ids_of_the_odometry


@dataclass(frozen=True)
class MotionReport:
    """For the diagnostics. `wanted`: the odometry has a subscriber. `running`: it takes frames;
    `problem`: why it cannot.

    `session`, `reason`: see `StreamOdometry`. `status`: of the last frame. `lost`, `frames`:
    counted in this session. `sigma_m`, `sigma_deg`: of the pose, root of the trace of its
    covariance's blocks. `rig`: the last check, None without one; `focal` (pixels) belongs to it.
    `rig_problem`: what is implausible about the rig's calibration, or contradicts the images.
    """

    wanted: bool = False
    running: bool = False
    problem: str = ""
    session: int = 0
    reason: str = ""
    status: str = ""
    frames: int = 0
    lost: int = 0
    inliers: int = 0
    sigma_m: float = 0.0
    sigma_deg: float = 0.0
    rig: RigCheck | None = None
    focal: float = 0.0
    rig_problem: str = ""


class StereoTracking:
    """Runs in the worker thread alone. `say(text)` is called when a session begins.

    `on_error(error)` is called with an unexpected exception of the odometry, which is then
    restarted; the result of the pair itself is published all the same.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        say: Callable[[str], None],
        on_error: Callable[[Exception], None],
        config: OdometryConfig | None = None,
    ) -> None:
        self._odometry = StreamOdometry(pipeline, True, config)
        self._say = say
        self._on_error = on_error
        self._monitor: tuple[CameraParameters, RigMonitor] | None = (
            None  # with the cameras it belongs to
        )
        self.report = MotionReport()

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
        followed = outcome.result.indices0 is not None
        odometry_result = self._update_odometry(outcome, epoch) if wanted and followed else None
        if odometry_result is None:
            self._odometry.restart("the odometry was not asked for, or failed, before")
            problem = NO_FIXED_KEYPOINTS if wanted and not followed else ""
            report = self._without_odometry(outcome, rig, wanted)
            self.report = replace(report, problem=problem, rig_problem=outcome.rig_problem)
            return outcome, None
        self._monitor = None
        report = self._with_odometry(odometry_result, outcome)
        self.report = replace(report, rig_problem=outcome.rig_problem)
        return with_ids_of_the_odometry(outcome, odometry_result.update), odometry_result

    def _update_odometry(self, outcome: Outcome, epoch: int) -> OdometryResult | None:
        views, session = [outcome.reference, outcome.current], self._odometry.session
        try:
            odometry_result = self._odometry.update(views, outcome, epoch)
        except Exception as error:
            self._on_error(error)
            return None
        if self._odometry.session != session:
            self._say(
                f"odometry: session {self._odometry.session} begins at the origin: "
                f"{self._odometry.reason}"
            )
        return odometry_result

    def _without_odometry(self, outcome: Outcome, rig: Rig, wanted: bool) -> MotionReport:
        left, right = outcome.reference.camera, outcome.current.camera
        cameras = camera_parameters([outcome.reference, outcome.current], rig)
        focal = (left.mean_focal + right.mean_focal) / 2
        if self._monitor is None or not same_cameras(self._monitor[0], cameras):
            self._monitor = (cameras, RigMonitor(rig, focal))
        points = _inlier_points(outcome)
        check = self._monitor[1].update(*points) or self.report.rig
        return replace(
            self.report, wanted=wanted, running=False, problem="", rig=check, focal=focal
        )

    def _with_odometry(self, odometry_result: OdometryResult, outcome: Outcome) -> MotionReport:
        update, before = odometry_result.update, self.report
        same = before.session == odometry_result.session
        lost = int(update.status is OdometryStatus.LOST)
        spread = np.zeros((6, 6)) if update.pose is None else update.pose.covariance
        left, right = outcome.reference.camera, outcome.current.camera
        return MotionReport(
            wanted=True,
            running=True,
            session=odometry_result.session,
            reason=self._odometry.reason,
            status=update.status.name,
            frames=1 + (before.frames if same else 0),
            lost=lost + (before.lost if same else 0),
            inliers=int(update.inlier.sum()),
            sigma_m=float(np.sqrt(np.trace(spread[:3, :3]))),
            sigma_deg=float(np.degrees(np.sqrt(np.trace(spread[3:, 3:])))),
            rig=update.rig or (before.rig if same else None),
            focal=(left.mean_focal + right.mean_focal) / 2,
        )


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
