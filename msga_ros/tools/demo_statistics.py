"""What the demo counts and measures; no ROS in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.pose import pose_error_deg
from msga_ros.tools.frame_account import Account, Counters

View = tuple[str, int]  # camera (left, right; left where there is one) and stamp in nanoseconds


@dataclass(frozen=True)
class PoseReport:
    """One published pose: `x_reference = rotation x_current + translation`; latency in seconds."""

    reference: View
    current: View
    ok: bool
    status: str
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    inliers: int
    inlier_ratio: float
    latency: float
    received: float  # seconds, a steady clock


@dataclass(frozen=True)
class Summary:
    """Medians over the published poses with status OK; NaN where there is nothing to measure.

    Errors in degrees against the truth (the translation's in direction, its sign counts), latency
    in seconds from the stamp of the images to the arrival of the pose, rate in poses a second.
    `account`: where the frames went; None before the node has said it.
    """

    frames_sent: int
    pairs: int
    poses: int
    matches: float
    inliers: float
    inlier_ratio: float
    rotation_error: float
    translation_error: float
    judged: int
    latency: float
    latency_90: float
    rate: float
    account: Account | None


@dataclass
class DemoStatistics:
    """Collects while the demo runs."""

    truth: dict[View, Pose] = field(default_factory=dict)
    reports: list[PoseReport] = field(default_factory=list)
    matched: list[int] = field(default_factory=list)
    frames_sent: int = 0
    # What the node's diagnostics say:
    counters: Counters | None = None
    complaint: str = ""  # about the input
    problem: str = ""  # why it does not work at all
    diagnostics: list[int] = field(default_factory=list)  # stamps (ns) of those that came

    @property
    def account(self) -> Account | None:
        """Where the frames went; None before the node has said it."""
        if self.counters is None:
            return None
        return Account.of(self.frames_sent, len(self.reports), self.counters)

    def settled_since(self, moment: int) -> bool:
        """Whether the node has nothing left to do, by two diagnostics made after `moment` (ns)."""
        later = sum(stamp > moment for stamp in self.diagnostics)
        return later >= 2 and self.counters is not None and self.counters.settled

    def errors(self, report: PoseReport) -> tuple[float, float] | None:
        """Rotation and translation-direction error in degrees; None where the truth is unknown."""
        reference, current = self.truth.get(report.reference), self.truth.get(report.current)
        if reference is None or current is None or not report.ok:
            return None
        true = reference.relative_to(current)
        return pose_error_deg(
            report.rotation, report.translation, true.rotation, true.translation, signed=True
        )

    def summary(self) -> Summary:
        """All figures so far."""
        good = [report for report in self.reports if report.ok]
        errors = [pair for pair in map(self.errors, good) if pair is not None]
        received = [report.received for report in self.reports]
        duration = received[-1] - received[0] if len(received) > 1 else 0.0
        latencies = [report.latency for report in self.reports]
        return Summary(
            frames_sent=self.frames_sent,
            pairs=len(self.reports),
            poses=len(good),
            matches=_median(self.matched),
            inliers=_median(report.inliers for report in good),
            inlier_ratio=_median(report.inlier_ratio for report in good),
            rotation_error=_median(rotation for rotation, _ in errors),
            translation_error=_median(translation for _, translation in errors),
            judged=len(errors),
            latency=_median(latencies),
            latency_90=float(np.percentile(latencies, 90)) if latencies else float("nan"),
            rate=(len(received) - 1) / duration if duration > 0 else float("nan"),
            account=self.account,
        )


def _median(values: Iterable[float]) -> float:
    found = list(values)
    return float(np.median(found)) if found else float("nan")
