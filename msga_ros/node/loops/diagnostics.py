"""`/diagnostics` of the node `msga_loops`: model, input, odometry, loops, requests."""

from __future__ import annotations

from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from msga_ros.node.diagnostics import (
    NodeCondition,
    Values,
    counted,
    fresh_error,
    input_status,
    model_status,
    requests_status,
    status,
)
from msga_ros.stream.loops.counts import LoopSnapshot
from msga_ros.stream.statistics import Snapshot


@dataclass(frozen=True)
class LoopCondition:
    """Of the node `msga_loops`. `odometry_source`: in words, "none" where there is none;
    `odometry_received`: its messages; `map_file`: where the map lies, "" for a passing one;
    `optimise`: whether it is corrected; `tf_problem`: why there is no transform."""

    node: NodeCondition
    odometry_source: str
    odometry_received: int
    map_file: str
    optimise: bool
    tf_problem: str
    loops: LoopSnapshot


def loop_diagnostics(
    name: str, stamp: object, condition: LoopCondition, now: Snapshot
) -> DiagnosticArray:
    """All statuses of the node with the fully qualified `name`."""
    message = DiagnosticArray()
    message.header.stamp = stamp
    prefix = name.strip("/")
    message.status = [
        status(prefix, "model", *model_status(condition.node, "loops")),
        status(prefix, "input", *input_status(condition.node, now)),
        status(prefix, "odometry", *_odometry(condition)),
        status(prefix, "loops", *_loops(condition, now)),
        status(prefix, "requests", *requests_status(condition.node)),
    ]
    return message


def _odometry(condition: LoopCondition) -> tuple[bytes, str, Values]:
    source, received = condition.odometry_source, condition.odometry_received
    values: list[tuple[str, object]] = [("source", source), ("received", received)]
    if source == "none":
        return DiagnosticStatus.OK, "none: loops have no length", values
    if not condition.node.active:
        return DiagnosticStatus.OK, "not active", values
    if not received:
        return DiagnosticStatus.WARN, f"nothing has come on {source}", values
    if condition.tf_problem:
        return DiagnosticStatus.WARN, condition.tf_problem, values
    if condition.optimise and condition.loops.keyframes and not condition.loops.correction_known:
        text = "no loop has joined this run to the map yet: no transform from the map"
        return DiagnosticStatus.OK, text, values
    return DiagnosticStatus.OK, "receiving", values


def _loops(condition: LoopCondition, now: Snapshot) -> tuple[bytes, str, Values]:
    loops = condition.loops
    values: list[tuple[str, object]] = [
        ("map_file", condition.map_file or "none: the map ends with the configuration"),
        ("keyframes", loops.keyframes),
        ("loops", loops.loops),
        ("taken_back", loops.taken_back),
        ("images", now.sets),
        *((f"images {name}", count) for name, count in sorted(loops.images.items())),
        *counted(now),
    ]
    if loops.note:
        values.append(("last_note", loops.note))
    error = fresh_error(now)
    if error:
        return DiagnosticStatus.ERROR, error, values
    if not condition.node.active:
        return DiagnosticStatus.OK, "not active", values
    return DiagnosticStatus.OK, f"{loops.keyframes} keyframes, {loops.loops} loops", values
