"""All that a mapper's next view depends on but what lies in its store, as plain values and back.

None, bool, int, float, str, lists, dicts and arrays alone: what keeps it needs no class of ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.camera_pose import Pose
from msga_ros.loops.edge_record import EdgeRecord
from msga_ros.loops.reports import LoopEdge

Array = NDArray[np.float64]
State = dict[str, object]


def pose_array(pose: Pose | None) -> Array | None:
    """(3, 4), rotation and translation."""
    return None if pose is None else np.column_stack([pose.rotation, pose.translation])


def pose_of(array: Array | None) -> Pose | None:
    """What `pose_array` was given, by its `array` (3, 4)."""
    return None if array is None else Pose(array[:, :3].copy(), array[:, 3].copy())


def pose_table(poses: Sequence[Pose | None]) -> Array:
    """(N, 3, 4), NaN for None."""
    table = np.full((len(poses), 3, 4), np.nan)
    for row, pose in enumerate(poses):
        if pose is not None:
            table[row] = pose_array(pose)
    return table


def poses_of(table: Array) -> list[Pose | None]:
    """What `pose_table` was given, by its `table` (N, 3, 4)."""
    return [None if np.isnan(row).any() else pose_of(row) for row in table]


def edge_texts(edges: Sequence[LoopEdge]) -> list[str]:
    """As they would lie in a map file, by the numbers of their keyframes."""
    return [EdgeRecord(edge, holds=True).to_bytes().decode() for edge in edges]


def edges_of(texts: Sequence[str]) -> list[LoopEdge]:
    """What `edge_texts` was given."""
    return [EdgeRecord.from_bytes(text.encode()).edge for text in texts]
