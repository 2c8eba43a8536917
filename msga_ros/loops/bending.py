"""A trajectory between the keyframes that a pose graph has placed.

The rotation by which the odometry misses the next placed keyframe is spread over the way to it, the
steps turn with it, and what is still missing of the position is spread likewise: what a random walk
of the direction and the position has most likely done.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation  # type: ignore[import-untyped]

from msga_ros.geometry.camera_pose import Pose
from msga_ros.loops.drift import OdometryChain

Array = NDArray[np.float64]


def bent(
    chain: OdometryChain, initial: Sequence[Pose | None], placed: Mapping[int, Pose]
) -> list[Pose | None]:
    """Poses of all keyframes, map to camera: those of `placed` as given, the others of their
    segments bent between them, and beyond the outer ones rigidly with those; the rest as `initial`.
    """
    found = list(initial)
    for segment in {chain.segments[one] for one in placed}:
        members = [
            one
            for one, pose in enumerate(initial)
            if chain.segments[one] == segment and pose is not None
        ]
        anchors = [one for one in members if one in placed]
        rows = np.searchsorted(members, anchors)
        for row in (*range(rows[0]), *range(rows[-1] + 1, len(members))):
            number = members[row]
            near = anchors[0] if row < rows[0] else anchors[-1]
            found[number] = _rigid(chain, number, near, placed[near])
        for (first, last), (begin, end) in zip(
            itertools.pairwise(rows), itertools.pairwise(anchors), strict=True
        ):
            stretch = members[first : last + 1]
            between = _stretch(chain, stretch, placed[begin], placed[end])
            for number, pose in zip(stretch[1:-1], between, strict=True):
                found[number] = pose
        for one in anchors:
            found[one] = placed[one]
    return found


def _rigid(chain: OdometryChain, number: int, near: int, pose: Pose) -> Pose:
    odometry, there = chain.poses[number], chain.poses[near]
    assert odometry is not None and there is not None
    return odometry.relative_to(there).after(pose)


def _stretch(chain: OdometryChain, numbers: list[int], begin: Pose, end: Pose) -> list[Pose]:
    """Poses of `numbers` but the first and the last, which lie at `begin` and `end`."""
    if len(numbers) < 3:
        return []
    turns, places = _in_map(chain, numbers, begin)
    weight = chain.distances(numbers)
    share = weight / weight[-1] if weight[-1] > 0 else np.linspace(0.0, 1.0, len(numbers))
    missed = Rotation.from_matrix(end.rotation.T @ turns[-1].T).as_rotvec()
    steps = Rotation.from_rotvec(((share[1:] + share[:-1]) / 2)[:, None] * missed)
    moved = steps.apply(np.diff(places, axis=0))
    places = places[0] + np.vstack([np.zeros(3), np.cumsum(moved, axis=0)])
    places += share[:, None] * (end.centre - places[-1])
    turns = Rotation.from_rotvec(share[:, None] * missed).as_matrix() @ turns
    return [
        Pose(turn.T.copy(), -turn.T @ place)
        for turn, place in zip(turns[1:-1], places[1:-1], strict=True)
    ]


def _in_map(chain: OdometryChain, numbers: list[int], begin: Pose) -> tuple[Array, Array]:
    """Camera to map (K, 3, 3) and places (K, 3), by the odometry from the first one at `begin`."""
    poses = [pose for one in numbers if (pose := chain.poses[one]) is not None]
    turns = np.stack([one.rotation.T for one in poses])
    places = np.stack([one.centre for one in poses])
    turn = begin.rotation.T @ turns[0].T
    return turn @ turns, begin.centre + (places - places[0]) @ turn.T
