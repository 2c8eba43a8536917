"""Where the keyframes are in the map: by odometry, loops that join segments, and the pose graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from msga_ros.geometry.camera_pose import Pose
from msga_ros.loops.drift import OdometryChain
from msga_ros.loops.pose_graph import PoseGraph
from msga_ros.loops.reports import LoopEdge


class CorrectedPoses:
    """`poses` of all keyframes, map to camera; None where nothing joins one to the map.

    The map begins as the odometry of the first keyframe that has any.
    """

    def __init__(self, chain: OdometryChain, optimise: bool) -> None:
        """Raises `MissingGtsam`."""
        self._chain = chain
        self._graph = PoseGraph(chain) if optimise else None
        self.poses: list[Pose | None] = []
        self.moved = False  # by the last update
        for _ in range(len(chain)):
            self.append()

    def append(self) -> None:
        """The chain has one more keyframe."""
        number = len(self.poses)
        odometry = self._chain.poses[number]
        before = self._chain.previous(number)
        known = None if before is None else self.poses[before]
        pose = None
        if odometry is not None and before is not None and known is not None:
            last = self._chain.poses[before]
            assert last is not None
            pose = odometry.relative_to(last).after(known)
        elif odometry is not None and all(one is None for one in self.poses):
            # Of a segment that has begun elsewhere nothing is known; the first one is the map.
            first = all(one is None for one in self._chain.poses[:number])
            pose = odometry if first else None
        self.poses.append(pose)

    def update(self, edges: Sequence[LoopEdge]) -> tuple[LoopEdge, ...]:
        """With all loops that hold; those that contradict the rest."""
        before = list(self.poses)
        metric = [edge for edge in edges if edge.metric]
        while sum(self._join(edge) for edge in metric):  # one segment may lead to the next
            pass
        rejected: tuple[LoopEdge, ...] = ()
        if self._graph is not None:
            solution = self._graph.solve(self.poses, edges)
            self.poses, rejected = solution.poses, solution.rejected
        self.moved = any(_differ(*pair) for pair in zip(before, self.poses, strict=True))
        return rejected

    def map_from_odom(self, segment: int) -> Pose | None:
        """`x_map = R x_odom + t` as of the last keyframe of `segment`."""
        for number in range(len(self.poses) - 1, -1, -1):
            if self._chain.segments[number] != segment:
                return None
            odometry, pose = self._chain.poses[number], self.poses[number]
            if odometry is not None:
                return None if pose is None else pose.inverse().after(odometry)
        return None

    def _join(self, edge: LoopEdge) -> bool:
        """Place the segment of one end by that of the other, where only one is in the map."""
        ends = (edge.reference, edge.current)
        known = [self.poses[one] is not None for one in ends]
        if known[0] == known[1] or any(self._chain.poses[one] is None for one in ends):
            return False
        motion = Pose(edge.pose.rotation, edge.pose.position).inverse()  # reference to current
        if known[0]:
            begin, placed = edge.reference, edge.current
        else:
            begin, placed, motion = edge.current, edge.reference, motion.inverse()
        at = self.poses[begin]
        assert at is not None
        self._place(placed, motion.after(at))
        return True

    def _place(self, number: int, pose: Pose) -> None:
        """All keyframes of the segment of `number`, which is at `pose`."""
        segment, odometry = self._chain.segments[number], self._chain.poses[number]
        assert odometry is not None
        odom_from_map = odometry.inverse().after(pose)
        for one, known in enumerate(self._chain.poses):
            if self._chain.segments[one] == segment and known is not None:
                self.poses[one] = known.after(odom_from_map)


def _differ(first: Pose | None, second: Pose | None) -> bool:
    if first is None or second is None:
        return first is not second
    same = np.array_equal(first.translation, second.translation)
    return not (same and np.array_equal(first.rotation, second.rotation))
