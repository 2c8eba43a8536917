"""The odometry of a stream, guarded: what it says, and that it began anew."""

from __future__ import annotations

from collections.abc import Callable

from msga_ros.odometry.config import OdometryConfig
from msga_ros.stream.motion_report import MotionReport
from msga_ros.stream.processor import Outcome, Pipeline
from msga_ros.stream.reference_view import View
from msga_ros.stream.stream_odometry import OdometryResult, StreamOdometry


class MotionTracking:
    """Runs in the worker thread alone. `say(text)` is called when a session begins.

    `mode`: of `StreamOdometry`. `on_error(error)` is called with an unexpected exception of the
    odometry, which is then restarted; the result of the views themselves is published all the same.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        mode: str,
        say: Callable[[str], None],
        on_error: Callable[[Exception], None],
        config: OdometryConfig | None = None,
    ) -> None:
        self._odometry = StreamOdometry(pipeline, mode, config)
        self._say = say
        self._on_error = on_error
        self.report = MotionReport()

    def _take(
        self, views: list[View], outcome: Outcome | None, epoch: int
    ) -> OdometryResult | None:
        """The odometry after these views; None where it has nothing to say, or failed."""
        session = self._odometry.session
        try:
            result = self._odometry.update(views, outcome, epoch)
        except Exception as error:
            self._on_error(error)
            return None
        if self._odometry.session != session:
            self._say(
                f"odometry: session {self._odometry.session} begins at the origin: "
                f"{self._odometry.reason}"
            )
        return result

    def _pause(self) -> None:
        """The next frame begins a session."""
        self._odometry.restart("the odometry was not asked for, or failed, before")
