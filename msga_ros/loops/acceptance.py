"""Which verified loops are accepted: those with witnesses, or with evidence enough of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from msga_ros.loops.config import LoopConfig
from msga_ros.loops.consistency import Consistency
from msga_ros.loops.drift import OdometryChain
from msga_ros.loops.reports import LoopEdge

_MOST_WAITING = 200  # loops that wait for a witness


class Acceptance:
    """Keeps the loops that nobody has confirmed yet.

    A loop without odometry on either side is accepted as it is: nothing could confirm it.
    `excluded`: of the last call, those that the odometry cannot have drifted into.
    """

    def __init__(self, chain: OdometryChain, config: LoopConfig) -> None:
        self._consistency = Consistency(chain, config)
        self._config = config
        self._waiting: list[LoopEdge] = []
        self.excluded: list[LoopEdge] = []

    @property
    def waiting(self) -> tuple[LoopEdge, ...]:
        """The loops that nobody has confirmed yet, the oldest first."""
        return tuple(self._waiting)

    def take_up(self, waiting: Sequence[LoopEdge]) -> None:
        """Go on with the `waiting` of an interrupted run."""
        self._waiting = list(waiting)

    def take(self, found: Iterable[LoopEdge], accepted: Sequence[LoopEdge]) -> list[LoopEdge]:
        """New loops of one keyframe, most similar first; those that are certain now.

        At most one of them, after which no further one is asked for, and earlier ones that waited
        and that it confirms.
        """
        possible: list[LoopEdge] = []
        self.excluded = []
        for edge in found:
            if not self._consistency.can_be_judged(edge):
                return [edge]
            if not self._consistency.within_drift(edge):
                self.excluded.append(edge)
                continue
            witnesses = self._consistency.supporters(edge, [*accepted, *self._waiting])
            # Witnesses of a rotation alone are none of a place.
            supported = edge.metric and len(witnesses) >= self._config.support
            if not supported and edge.inliers < self._config.strong_inliers:
                possible.append(edge)
                continue
            confirmed = [one for one in witnesses if one in self._waiting and supported]
            self._waiting = [one for one in self._waiting if one not in confirmed]
            return [replace(one, support=len(witnesses)) for one in (*confirmed, edge)]
        self._waiting = [*self._waiting, *possible][-_MOST_WAITING:]
        return []
