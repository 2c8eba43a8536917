"""A whole pose graph as a .g2o file, from the `RelativePose` messages of a run."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from msga_ros.plugs.pose_graph import Edge, edge_from_relative_pose, g2o_edge, g2o_vertex
from msga_ros.stream.message_types import RelativePose


def pose_graph_lines(
    messages: Iterable[RelativePose], reader: str = "g2o", **length: float
) -> list[str]:
    """Lines of a .g2o file: one vertex for each view, the first fixed, one edge for each message.

    Vertices are numbered by the stamps of their images, in increasing order, and start where the
    chain of the edges puts them. `reader`: who reads the file, `g2o` or `gtsam`, see `g2o_edge`.
    `length`: as for `edge_from_relative_pose`. Raises `PlugError`.
    """
    edges = [edge for one in messages if (edge := edge_from_relative_pose(one, **length))]
    stamps = sorted({stamp for edge in edges for stamp in (edge.from_ns, edge.to_ns)})
    numbers = {stamp: number for number, stamp in enumerate(stamps)}
    poses = _chained(edges, stamps)
    lines = [g2o_vertex(numbers[stamp], *poses[stamp]) for stamp in stamps]
    lines += ["FIX 0"] if stamps else []
    return lines + [
        g2o_edge(numbers[edge.from_ns], numbers[edge.to_ns], edge, reader) for edge in edges
    ]


def _chained(edges: list[Edge], stamps: list[int]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    poses: dict[int, tuple[np.ndarray, np.ndarray]]
    poses = {stamp: (np.eye(3), np.zeros(3)) for stamp in stamps}
    for edge in sorted(edges, key=lambda one: one.to_ns):
        rotation, position = poses[edge.from_ns]
        poses[edge.to_ns] = (
            rotation @ edge.rotation,
            rotation @ edge.translation + position,
        )
    return poses
