"""Whether loops agree with each other, and with what the odometry may have drifted.

Two loops of neighbouring keyframes, and the odometry between them on both visits, make a circle
that must close within its uncertainty: pairwise consistency, as in Mangelson et al., "Pairwise
consistent measurement set maximization for robust multi-robot map merging", ICRA 2018. Loops that
agree are counted where all of them agree with each other.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2  # type: ignore[import-untyped]

from msga_ros.loops.config import LoopConfig
from msga_ros.loops.drift import OdometryChain
from msga_ros.loops.reports import LoopEdge
from msga_ros.odometry.poses import UncertainPose, pose_error

_AGREES = 0.99  # probability of a true pair to pass
_DRIFTED = 0.9999  # of a true loop; the model of the drift is a rough one
_DIRECTION_SIGMA = np.deg2rad(10.0)  # of a loop without a length, whatever its covariance says
_MOST_PARTNERS = 10  # the nearest loops that are looked at


class Consistency:
    """Judges loops by the odometry of the map."""

    def __init__(self, chain: OdometryChain, config: LoopConfig) -> None:
        self._chain = chain
        self._config = config

    def can_be_judged(self, edge: LoopEdge) -> bool:
        """Whether both keyframes have odometry: without it nothing contradicts a loop."""
        poses = self._chain.poses
        return poses[edge.reference] is not None and poses[edge.current] is not None

    def within_drift(self, edge: LoopEdge) -> bool:
        """Whether the odometry from reference to current may have drifted as far as `edge` says.

        True where the odometry does not relate the two. One without a length is taken for as long
        as suits the odometry best, in its direction; one from the same spot as such.

        Over a long way errors that are always the same (a wheel's radius, a bias) are the larger
        ones, so here the standard deviation grows with the distance, not with its square root.
        """
        drifted = self._chain.between(edge.reference, edge.current)
        travelled = self._chain.travelled(edge.reference, edge.current)
        if drifted is None or travelled is None:
            return True
        biased = replace(drifted, covariance=max(travelled, 1.0) * drifted.covariance)
        if not edge.metric:
            edge = replace(edge, pose=self._with_any_length(edge.pose, biased))
        return _agree(biased, edge, True, _DRIFTED)

    def _with_any_length(self, pose: UncertainPose, prediction: UncertainPose) -> UncertainPose:
        """A pose whose position is a direction, or zero for the same spot, in metres: the length is
        the one that is nearest to `prediction`, and not negative."""
        direction = pose.position
        length, sigma = 0.0, self._config.keyframe_distance  # closer no two keyframes need be
        if direction.any():
            weighted = _inverse(prediction.covariance[:3, :3]) @ direction
            length = max(float(weighted @ prediction.position / (weighted @ direction)), 0.0)
            sigma = length * _DIRECTION_SIGMA
        covariance = pose.covariance.copy()
        covariance[:3] = covariance[:, :3] = 0.0
        covariance[:3, :3] = sigma**2 * np.eye(3)
        return UncertainPose(pose.rotation, length * direction, covariance)

    def agree(self, first: LoopEdge, second: LoopEdge) -> bool:
        """Whether two loops and the odometry between them make a circle that closes.

        False where nothing relates them: other segments, too far apart, or the same current image,
        which would be no second witness; nor is one without a length.
        """
        if first.current == second.current or not second.metric:
            return False
        limit = self._config.support_distance
        before = self._between(first.reference, second.reference, limit)
        after = self._between(second.current, first.current, limit)
        if before is None or after is None:
            return False
        around = before.compose(second.pose).compose(after)
        return _agree(around, first, first.metric, _AGREES)

    def supporters(self, edge: LoopEdge, others: list[LoopEdge]) -> list[LoopEdge]:
        """Of `others`, the loops that agree with `edge` and with each other (greedily)."""
        near = [one for one in others if self._is_near(edge, one)]
        near.sort(key=lambda one: (abs(one.current - edge.current), one.current, one.reference))
        found: list[LoopEdge] = []
        for one in near[:_MOST_PARTNERS]:
            if self.agree(edge, one) and all(self.agree(one, other) for other in found):
                found.append(one)
        return found

    def _is_near(self, edge: LoopEdge, other: LoopEdge) -> bool:
        limit = self._config.support_distance
        pairs = ((edge.reference, other.reference), (edge.current, other.current))
        travelled = [self._chain.travelled(*pair) for pair in pairs]
        return all(one is not None and one <= limit for one in travelled)

    def _between(self, first: int, last: int, limit: float) -> UncertainPose | None:
        travelled = self._chain.travelled(first, last)
        if travelled is None or travelled > limit:
            return None
        return self._chain.between(first, last)


def squared_distance(prediction: UncertainPose, edge: LoopEdge, metric: bool) -> tuple[float, int]:
    """Squared Mahalanobis distance of an edge from a prediction of it, and its degrees of freedom.

    Not `metric`: of the rotation alone.
    """
    error = pose_error(prediction, edge.pose.rotation, edge.pose.position)
    covariance = prediction.covariance + edge.pose.covariance
    if not metric:
        error, covariance = error[3:], covariance[3:, 3:]
    return float(error @ _inverse(covariance) @ error), len(error)


def _agree(prediction: UncertainPose, edge: LoopEdge, metric: bool, probability: float) -> bool:
    squared, freedom = squared_distance(prediction, edge, metric)
    return squared <= _limit(probability, freedom)


@cache
def _limit(probability: float, freedom: int) -> float:
    return float(chi2.ppf(probability, freedom))


def _inverse(covariance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.linalg.pinv(covariance, hermitian=True))
