"""`/diagnostics`: model, input, processing, and where motion is in metres odometry, rig, depth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from msga_ros.node.motion_diagnostics import (
    OdometryCondition,
    depth_status,
    odometry_status,
    rig_status,
)
from msga_ros.stream.motion_report import MotionReport
from msga_ros.stream.request_counts import RequestSnapshot
from msga_ros.stream.statistics import Snapshot

# A problem is shown for so many seconds after it was last seen.
_MEMORY = 10.0

IDLE = "idle: no subscriber"  # the message of `processing` while no output has one

Values = Iterable[tuple[str, object]]


@dataclass(frozen=True)
class NodeCondition:
    """What the diagnostics of every node say besides the counters.

    `state` is the lifecycle state, `failure` why the last transition failed ("" if none did),
    `device` where the network runs, `asked_device` where it should, `matching_device` where
    features are matched, `device_problem` why one of both is not where it should be, `active`
    whether frames are taken, `silence` what is known about inputs that do not make up sets for too
    long ("" while they do). `calibrations`: by camera_info input, which one counts.
    `requests`: counts of each service and topic of requests.
    """

    state: str
    failure: str
    model: str
    device: str
    asked_device: str
    matching_device: str
    device_problem: str
    frontend: str
    active: bool
    silence: str
    calibrations: Mapping[str, str]
    requests: Mapping[str, RequestSnapshot]


@dataclass(frozen=True)
class Condition:
    """Of the node `msga`. `idle`: whether no output has a subscriber. `second`: name of the second
    front end, "" without one."""

    node: NodeCondition
    mode: str
    idle: bool
    odometry: OdometryCondition
    rig_tolerance_px: float
    second: str = ""


def diagnostics_message(
    name: str, stamp: object, condition: Condition, now: Snapshot
) -> DiagnosticArray:
    """All statuses of the node with the fully qualified `name`."""
    message = DiagnosticArray()
    message.header.stamp = stamp
    prefix = name.strip("/")
    message.status = [
        status(prefix, "model", *model_status(condition.node, condition.mode)),
        status(prefix, "input", *input_status(condition.node, now)),
        status(prefix, "processing", *_processing(condition, now)),
        status(prefix, "requests", *requests_status(condition.node)),
    ]
    if condition.mode in ("stereo", "rgbd"):
        motion = now.motion
        if condition.idle:  # the last report is of the time before
            motion = replace(motion or MotionReport(), wanted=False, running=False, problem=IDLE)
        odometry = odometry_status(condition.odometry, motion)
        message.status.append(status(prefix, "odometry", *odometry))
        if condition.mode == "stereo":
            rig = rig_status(motion, condition.rig_tolerance_px)
            message.status.append(status(prefix, "rig", *rig))
        else:
            depth = depth_status(motion, condition.odometry.min_inliers)
            message.status.append(status(prefix, "depth", *depth))
    return message


def model_status(condition: NodeCondition, mode: str) -> tuple[bytes, str, Values]:
    """The lifecycle, what was loaded and where it runs."""
    values = [
        ("state", condition.state),
        ("mode", mode),
        ("model", condition.model),
        ("frontend", condition.frontend),
        ("device", condition.device),
        ("device_asked_for", condition.asked_device),
        ("matching_device", condition.matching_device),
    ]
    if condition.failure:
        return DiagnosticStatus.ERROR, condition.failure, values
    if condition.device_problem:
        return DiagnosticStatus.WARN, condition.device_problem, values
    return DiagnosticStatus.OK, condition.state, values


def input_status(condition: NodeCondition, now: Snapshot) -> tuple[bytes, str, Values]:
    """What came, and what is wrong with it."""
    values: list[tuple[str, object]] = [
        (f"received {topic}", count) for topic, count in sorted(now.received.items())
    ]
    # Every message received is in a set, in a set that was refused, or without a partner.
    taken = now.sets + now.dropped.get("duplicate", 0) + now.dropped.get("out_of_order", 0)
    values += [
        (f"unpaired {topic}", max(count - taken, 0))
        for topic, count in sorted(now.received.items())
    ]
    values += [("complete_sets", now.sets)]
    values += [(f"calibration {name}", one) for name, one in condition.calibrations.items()]
    values += [(f"bad_input {kind}", count) for kind, count in sorted(now.bad_input.items())]
    age, text = now.last_bad_input or (math.inf, "")
    if text:
        values += [("last_bad_input", text), ("last_bad_input_age_s", f"{age:.1f}")]
    if condition.silence:  # what is wrong now comes before what was wrong a moment ago
        return DiagnosticStatus.WARN, condition.silence, values
    if age <= _MEMORY:
        return DiagnosticStatus.WARN, text, values
    return (
        DiagnosticStatus.OK,
        "receiving" if condition.active else "not active",
        values,
    )


def _processing(condition: Condition, now: Snapshot) -> tuple[bytes, str, Values]:
    values = counted(now)
    values.insert(4, ("idle", now.unwanted))
    if now.inlier_ratio is not None:
        values += [
            ("inlier_ratio", f"{now.inlier_ratio:.3f}"),
            ("inliers", now.inliers),
            ("last_status", now.last_status),
        ]
    second = now.second
    if condition.second:
        values += [
            ("second_frontend", condition.second),
            ("second_asked", second.asked),
            ("second_answered", second.answered),
            ("second_failed", second.failed),
        ]
    error = fresh_error(now)
    if error:
        return DiagnosticStatus.ERROR, error, values
    if not condition.node.active:
        return DiagnosticStatus.OK, "not active", values
    if condition.idle:
        return DiagnosticStatus.OK, IDLE, values
    text = f"{now.rate:.1f} Hz"
    if second.problem:
        text += f"; the second front end failed when it was asked last: {second.problem}"
        return DiagnosticStatus.WARN, text, values
    if now.last_status == "TOO_FEW_MATCHES":
        text += "; TOO_FEW_MATCHES: the last two views have too few matches that agree on a motion"
        return DiagnosticStatus.WARN, text, values
    if now.last_status == "DEGENERATE":
        text += (
            "; DEGENERATE: the last two views do not tell the direction of motion (hardly any "
            "parallax, or another motion fits as well)"
        )
    return DiagnosticStatus.OK, text, values


def counted(now: Snapshot) -> list[tuple[str, object]]:
    """Rate, drops, errors and times, as values."""
    values: list[tuple[str, object]] = [
        ("rate_hz", f"{now.rate:.2f}"),
        ("processed", now.processed),
        ("errors", sum(now.errors.values())),
        ("dropped", sum(now.dropped.values())),
    ]
    values += [(f"dropped {reason}", count) for reason, count in sorted(now.dropped.items())]
    values += [(f"errors {place}", count) for place, count in sorted(now.errors.items())]
    error_age, error = now.last_error or (math.inf, "")
    if error:
        values += [("last_error", error), ("last_error_age_s", f"{error_age:.1f}")]
    return values + _latencies(now.median_ms, now.p99_ms)


def fresh_error(now: Snapshot) -> str:
    """The unexpected exception of a moment ago; "" without one."""
    age, error = now.last_error or (math.inf, "")
    return f"unexpected exception in {error}" if age <= _MEMORY else ""


def requests_status(condition: NodeCondition) -> tuple[bytes, str, Values]:
    """What was asked for, answered and refused."""
    values: list[tuple[str, object]] = []
    for name, counts in condition.requests.items():
        values += [(f"asked {name}", counts.asked), (f"answered {name}", counts.answered)]
        values += [
            (f"refused {name} {reason}", count) for reason, count in sorted(counts.refused.items())
        ]
        if counts.answered:
            values += [(f"latency_{name}_ms", f"median {counts.median_ms:.1f}")]
    asked = sum(one.asked for one in condition.requests.values())
    waiting = sum(one.waiting for one in condition.requests.values())
    text = f"{asked} asked, {waiting} waiting" if asked else "no requests"
    return DiagnosticStatus.OK, text, values


def _latencies(median: Mapping[str, float], p99: Mapping[str, float]) -> list[tuple[str, object]]:
    return [
        (f"latency_{stage}_ms", f"median {median[stage]:.1f}, p99 {p99[stage]:.1f}")
        for stage in median
    ]


def status(prefix: str, part: str, level: bytes, text: str, values: Values) -> DiagnosticStatus:
    """The status `part` of the node `prefix`."""
    return DiagnosticStatus(
        level=level,
        name=f"{prefix}: {part}",
        message=text,
        hardware_id=prefix,
        values=[KeyValue(key=key, value=str(value)) for key, value in values],
    )
