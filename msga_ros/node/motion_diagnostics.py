"""What `/diagnostics` says of odometry, rig and depth: level, text and values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus

from msga_ros.odometry.rig import RigCheck
from msga_ros.stream.motion_report import MotionReport

# Turns of the right camera about the axes of its optical frame, in the words of people.
_AXES = ("x (pitch)", "y (yaw)", "z (roll)")
_UNTOLD_DEG = 0.5  # an axis known no better than this is not known

Status = tuple[bytes, str, Iterable[tuple[str, object]]]


@dataclass(frozen=True)
class OdometryCondition:
    """What the diagnostics of the odometry go by, besides its report.

    `run`: the parameter `odometry.run`. `problem`: what cannot be published, "" if nothing.
    `max_sigma_m`, `max_sigma_deg`: a pose that is less certain is useless; 0: never.
    `min_inliers`: with fewer points that have a depth no motion has a length.
    """

    run: str = "subscribed"
    problem: str = ""
    max_sigma_m: float = 0.0
    max_sigma_deg: float = 0.0
    min_inliers: int = 0


def odometry_status(condition: OdometryCondition, report: MotionReport | None) -> Status:
    """Level, text and values of the status `odometry`."""
    run, problem = condition.run, condition.problem
    report = report or MotionReport()
    values: list[tuple[str, object]] = [("run", run), ("running", report.running)]
    if report.session:
        values += [
            ("session", report.session),
            ("session_began_with", report.reason),
            ("frames", report.frames),
            ("lost", report.lost),
            ("last_status", report.status),
            ("inliers", report.inliers),
            ("position_sigma_m", f"{report.sigma_m:.4f}"),
            ("rotation_sigma_deg", f"{report.sigma_deg:.4f}"),
        ]
    if problem:
        return DiagnosticStatus.WARN, problem, values
    if report.wanted and report.problem:
        return DiagnosticStatus.WARN, f"no odometry: {report.problem}", values
    if not report.running:
        return DiagnosticStatus.OK, "off" if run == "never" else "no subscriber", values
    if report.status == "LOST":
        text = f"LOST: the last motion is guessed, the pose good to {report.sigma_m:.2f} m"
        return DiagnosticStatus.WARN, text, values
    far = 0 < condition.max_sigma_m < report.sigma_m
    if far or 0 < condition.max_sigma_deg < report.sigma_deg:
        text = (
            f"the pose is good to {report.sigma_m:.2f} m and {report.sigma_deg:.1f} degrees alone "
            "(see odometry.max_sigma_m, odometry.max_sigma_deg); ~/reset starts again at the origin"
        )
        return DiagnosticStatus.WARN, text, values
    return DiagnosticStatus.OK, f"session {report.session}, {report.frames} frames", values


def rig_status(report: MotionReport | None, tolerance_px: float) -> Status:
    """WARN once the matches say that points of the right image moved by `tolerance_px` or more,
    and where the calibration contradicts itself or the images."""
    if report is not None and report.rig_problem:
        return DiagnosticStatus.WARN, report.rig_problem, []
    if report is None or report.rig is None:
        why = report.problem if report is not None and report.problem else "no matches yet"
        return DiagnosticStatus.OK, f"not checked: {why}", []
    check = report.rig
    shift = check.shift_px(report.focal)
    values: list[tuple[str, object]] = [
        ("vertical_offset_px", f"{check.offset_px:.2f}"),
        ("vertical_spread_px", f"{check.spread_px:.2f}"),
        *zip(("turned_x_deg", "turned_y_deg", "turned_z_deg"), _angles(check), strict=True),
        ("shift_px", f"{shift:.2f}"),
        ("tolerance_px", f"{tolerance_px:g}"),
        ("matches", check.matches),
    ]
    if not check.drifted(tolerance_px, report.focal):
        return DiagnosticStatus.OK, "as calibrated", values
    certain = np.abs(check.rotation_deg) > 3 * check.rotation_sigma_deg
    turns = ", ".join(
        f"{angle:+.2f} about {axis}"
        for axis, angle, sure in zip(_AXES, check.rotation_deg, certain, strict=True)
        if sure
    )
    text = (
        f"the right camera has turned against its calibration, degrees in its optical frame: "
        f"{turns}; points move by {shift:.1f} px"
    )
    return DiagnosticStatus.WARN, text, values


def depth_status(report: MotionReport | None, min_inliers: int) -> Status:
    """WARN while too few keypoints of the last image have a depth for a motion in metres."""
    depth = None if report is None else report.depth
    if depth is None:
        return DiagnosticStatus.OK, "no image yet", []
    values: list[tuple[str, object]] = [
        ("keypoints", depth.keypoints),
        ("with_depth", depth.with_depth),
        ("median_depth_m", f"{depth.median_m:.2f}" if depth.with_depth else "none"),
    ]
    text = f"{depth.with_depth} of {depth.keypoints} keypoints have a depth"
    if depth.with_depth < min_inliers:
        return DiagnosticStatus.WARN, f"{text}: the motion has no length", values
    return DiagnosticStatus.OK, text, values


def _angles(check: RigCheck) -> list[str]:
    return [
        f"{angle:+.3f} +- {sigma:.3f}" if sigma < _UNTOLD_DEG else "unknown"
        for angle, sigma in zip(check.rotation_deg, check.rotation_sigma_deg, strict=True)
    ]
