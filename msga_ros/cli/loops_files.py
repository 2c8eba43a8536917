"""What `msga loops` writes: a table of the loops, a pose graph, the corrected trajectory."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np

from msga_ros.loops.mapping import LoopMapper
from msga_ros.loops.reports import LoopEdge
from msga_ros.loops.store import KeyframeStore
from msga_ros.plugs.pose_graph import Edge, edge_between, g2o_edge, g2o_vertex
from msga_ros.two_view.result import Status

_POSE = [f"r{row}{column}" for row in range(3) for column in range(3)] + ["tx", "ty", "tz"]


def loops_csv(store: KeyframeStore, loops: Sequence[LoopEdge]) -> str:
    """`x_current = R x_reference + t`; t in metres where `scale` is known, else of unit length, and
    NaN where not even its direction is."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ["reference", "current", "similarity", "inliers", "status", *_POSE]
    writer.writerow([*columns, "scale", "support"])
    for loop in loops:
        rotation = loop.pose.rotation.T
        translation = -rotation @ loop.pose.position
        if not loop.metric and loop.status is not Status.OK:
            translation = np.full(3, np.nan)
        writer.writerow(
            [
                store[loop.reference].name,
                store[loop.current].name,
                f"{loop.similarity:.4f}",
                loop.inliers,
                loop.status.name,
                *(f"{value:.9g}" for value in [*rotation.ravel(), *translation]),
                loop.scale.value,
                loop.support,
            ]
        )
    return text.getvalue()


def graph_lines(mapper: LoopMapper, reader: str = "g2o") -> list[str]:
    """A .g2o file: a vertex for each keyframe with odometry that is in the map, the first one
    fixed, the odometry and all loops. `reader`: `g2o` or `gtsam`, see `g2o_edge`."""
    poses = {one.number: one.pose for one in mapper.path() if one.pose is not None}
    lines = [g2o_vertex(number, pose.rotation.T, pose.centre) for number, pose in poses.items()]
    lines += [f"FIX {next(iter(poses))}"] if poses else []
    nothing: np.ndarray = np.zeros((6, 0))
    for first, last, step in mapper.steps():
        if first in poses and last in poses:
            edge = edge_between(
                first, last, step.rotation, step.position, step.covariance, nothing, True
            )
            lines.append(g2o_edge(first, last, edge, reader))
    for loop in mapper.edges:
        if loop.reference in poses and loop.current in poses:
            lines.append(g2o_edge(loop.reference, loop.current, graph_edge(loop), reader))
    return lines


def graph_edge(loop: LoopEdge) -> Edge:
    """A loop as an edge of a pose graph, the numbers of the keyframes for stamps; what is unknown
    of its translation has no weight."""
    unmeasured: np.ndarray = np.zeros((6, 0))
    position = loop.pose.position
    if not loop.metric and position.any():
        unmeasured = np.concatenate([position / np.linalg.norm(position), np.zeros(3)])[:, None]
    elif not loop.metric:
        unmeasured = np.eye(6)[:, :3]
    pose = loop.pose
    return edge_between(
        loop.reference,
        loop.current,
        pose.rotation,
        position,
        pose.covariance,
        unmeasured,
        loop.metric,
    )
