"""The pose graph of a map, in GTSAM: odometry and loops, those that contradict the rest found out.

Where a loop does not fit, graduated non-convexity with truncated least squares decides which ones
hold (Yang et al., "Graduated non-convexity for robust spatial perception", RA-L 2020); the odometry
is taken for true within its drift. A loop without a length takes no part: little would contradict
it. GTSAM measures the error of an edge in its own frame, rotation first.

Vertices are the keyframes that loops relate; the odometry between two of them is one edge. So the
work grows with the number of loops, not with that of keyframes, and the poses in between follow
(`msga_ros.loops.bending`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2  # type: ignore[import-untyped]

from msga_ros.geometry.camera_pose import Pose
from msga_ros.loops.bending import bent
from msga_ros.loops.drift import OdometryChain
from msga_ros.loops.reports import LoopEdge
from msga_ros.odometry.poses import UncertainPose

Array = npt.NDArray[np.float64]

_HELD = np.array([1e-3] * 3 + [1e-3] * 3)  # rad, m: of the first keyframe, which is the map
_INLIER_PROBABILITY = 0.999  # of a true loop to stay
_HOLDS = 0.5  # weight, 0 to 1, of a loop that stays


class MissingGtsam(ValueError):
    """GTSAM is not installed; the message says how to get it."""


@dataclass(frozen=True)
class Solution:
    """`poses` of all keyframes, map to camera, None where nothing connects one to the map;
    `rejected`: loops that contradict the rest."""

    poses: list[Pose | None]
    rejected: tuple[LoopEdge, ...]


class PoseGraph:
    """Corrects the poses of a map."""

    def __init__(self, chain: OdometryChain) -> None:
        """Raises `MissingGtsam`."""
        self._gtsam = _import_gtsam()
        self._chain = chain

    def solve(self, initial: Sequence[Pose | None], edges: Sequence[LoopEdge]) -> Solution:
        """Poses and wrong loops, from first poses of all connected keyframes, map to camera."""
        used = [edge for edge in edges if _takes_part(initial, edge)]
        if not used:
            return Solution(list(initial), ())
        graph, values = self._odometry(initial, used)
        trusted = list(range(graph.size()))
        for edge in used:
            graph.add(self._between(edge.reference, edge.current, edge.pose))
        loops = range(len(trusted), graph.size())
        found = self._gtsam.LevenbergMarquardtOptimizer(graph, values).optimize()
        limit = float(chi2.ppf(_INLIER_PROBABILITY, 6)) / 2
        rejected: tuple[LoopEdge, ...] = ()
        if any(graph.at(one).error(found) > limit for one in loops):
            found, weights = self._graduated(graph, values, trusted)
            pairs = zip(used, weights[len(trusted) :], strict=True)
            rejected = tuple(edge for edge, weight in pairs if weight < _HOLDS)
        placed = {number: self._pose(found, number) for number in found.keys()}  # noqa: SIM118
        return Solution(bent(self._chain, initial, placed), rejected)

    def _graduated(self, graph: Any, values: Any, trusted: list[int]) -> tuple[Any, Array]:
        """Values, and a weight of each factor: 0 for what contradicts the rest."""
        gtsam = self._gtsam
        params = gtsam.GncLMParams(gtsam.LevenbergMarquardtParams())
        params.setLossType(gtsam.GncLossType.TLS)
        params.setKnownInliers(trusted)
        optimizer = gtsam.GncLMOptimizer(graph, values, params)
        optimizer.setInlierCostThresholdsAtProbability(_INLIER_PROBABILITY)
        found = optimizer.optimize()
        return found, np.asarray(optimizer.getWeights())

    def _odometry(
        self, initial: Sequence[Pose | None], used: Sequence[LoopEdge]
    ) -> tuple[Any, Any]:
        """The factors that are taken for true, and the first values."""
        gtsam, chain = self._gtsam, self._chain
        graph, values = gtsam.NonlinearFactorGraph(), gtsam.Values()
        first = next(number for number, pose in enumerate(initial) if pose is not None)
        ends = {end for edge in used for end in (edge.reference, edge.current)}
        before: int | None = None
        for number in sorted({first, *ends}):
            pose = initial[number]
            assert pose is not None  # see `_takes_part`
            placed = self._pose3(pose.inverse())
            values.insert(number, placed)
            if number == first:
                held = gtsam.noiseModel.Diagonal.Sigmas(_HELD)
                graph.add(gtsam.PriorFactorPose3(number, placed, held))
            step = None if before is None else chain.between(before, number)
            if before is not None and step is not None:
                graph.add(self._between(before, number, step))
            before = number
        return graph, values

    def _between(self, first: int, last: int, pose: UncertainPose) -> Any:
        gtsam = self._gtsam
        noise = gtsam.noiseModel.Gaussian.Covariance(in_own_frame(pose))
        measured = gtsam.Pose3(gtsam.Rot3(pose.rotation), pose.position)
        return gtsam.BetweenFactorPose3(first, last, measured, noise)

    def _pose3(self, camera_to_map: Pose) -> Any:
        gtsam = self._gtsam
        return gtsam.Pose3(gtsam.Rot3(camera_to_map.rotation), camera_to_map.translation)

    def _pose(self, values: Any, number: int) -> Pose:
        found = values.atPose3(number)
        return Pose(found.rotation().matrix(), np.asarray(found.translation())).inverse()


def in_own_frame(pose: UncertainPose) -> Array:
    """Covariance (6, 6) as GTSAM has it: rotation first, along the axes of the posed camera."""
    turn = np.kron(np.eye(2), pose.rotation.T)
    order = [3, 4, 5, 0, 1, 2]
    return np.asarray((turn @ pose.covariance @ turn.T)[np.ix_(order, order)])


def _takes_part(poses: Sequence[Pose | None], edge: LoopEdge) -> bool:
    return edge.metric and None not in (poses[edge.reference], poses[edge.current])


def _import_gtsam() -> Any:
    try:
        import gtsam  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise MissingGtsam(
            "loops.optimise needs GTSAM: pip install 'msga_ros[slam]', or pip install gtsam"
        ) from error
    return gtsam
