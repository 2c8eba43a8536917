"""One camera with depth images over time (mode rgbd): odometry in metres, and what is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.depth import inverse_depths_at
from msga_ros.odometry.config import OdometryConfig
from msga_ros.stream.feature_matches import NO_FIXED_KEYPOINTS
from msga_ros.stream.motion_report import DepthReport
from msga_ros.stream.motion_tracking import MotionTracking
from msga_ros.stream.processor import Outcome, Pipeline
from msga_ros.stream.reference_view import View
from msga_ros.stream.stream_odometry import OdometryResult


class DepthTracking(MotionTracking):
    """See `MotionTracking`."""

    def __init__(
        self,
        pipeline: Pipeline,
        say: Callable[[str], None],
        on_error: Callable[[Exception], None],
        config: OdometryConfig | None = None,
    ) -> None:
        super().__init__(pipeline, "rgbd", say, on_error, config)
        self._jump = (config or OdometryConfig()).depth_jump

    def update(
        self, view: View, outcome: Outcome | None, epoch: int, wanted: bool
    ) -> OdometryResult | None:
        """Where the camera of `view` is; `outcome`: what was made of it, if anything.

        Not `wanted`: nothing, and the next frame that is begins a new session.
        """
        self.report = replace(self.report, depth=self._measured(view))
        followed = view.features.fixed_keypoints
        result = self._take([view], outcome, epoch) if wanted and followed else None
        if result is None:
            self._pause()
            problem = NO_FIXED_KEYPOINTS if wanted and not followed else ""
            self.report = replace(self.report, wanted=wanted, running=False, problem=problem)
            return None
        self.report = self.report.after(result, self._odometry.reason)
        return result

    def _measured(self, view: View) -> DepthReport:
        inverse: NDArray[np.float64] = np.full(len(view.features), np.nan)
        if view.depth is not None:
            inverse = inverse_depths_at(view.depth, view.features.keypoints, self._jump)
        known = inverse[np.isfinite(inverse)]
        median = 1 / float(np.median(known)) if len(known) else float("nan")
        return DepthReport(len(inverse), len(known), median)
