"""Pairs of a stream whose points are followed: most go on from the pair before.

The sieve, and a solver from the beginning, are asked about one pair in `sieve.every`, and sooner
where the baseline has become much wider or too few matches agree. In between every point that was
not shown to be false is a candidate, and the motion is the last one, refined.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import FollowedPair
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.motion import Motion
from msga_ros.two_view.relative_pose import continued_motion

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

_WIDER = 2.5  # times the image motion at which the sieve was asked last
_STILL_AGREE = 0.85  # of the share that agreed when the sieve was asked last
_KEPT = 4  # references at a time
_APART, _POSTPONED = 2, 2  # views between two questions, and pairs that one waits for that


@dataclass(frozen=True)
class _Known:
    """The last pair of a reference. `turn` (3, 3): of the current camera since the pair before.

    `agreeing`: share of the matches, and `width`: their median motion in the image (normalised),
    both when the sieve was asked; `since`: pairs after that.
    """

    pair: FollowedPair
    rotation: Array
    translation: Array
    turn: Array
    agreeing: float
    width: float
    since: int

    def then(self, pair: FollowedPair, motion: Motion) -> _Known:
        """What is known after the motion of the next pair."""
        turn = np.eye(3)
        if self.pair.reference == pair.reference:
            turn = motion.rotation @ self.rotation.T
        elif _span(pair) < _span(self.pair):
            turn = motion.rotation  # the step from the new reference
        return replace(
            self, pair=pair, rotation=motion.rotation, translation=motion.translation, turn=turn
        )

    def foretold(self, pair: FollowedPair) -> Array:
        """The rotation (3, 3) of the next pair, as the camera turned before."""
        if self.pair.reference != pair.reference and _span(pair) < _span(self.pair):
            return self.turn  # one step from a new reference
        return self.turn @ self.rotation


class Continuation:
    """What is known of the last pairs; one thread at a time."""

    def __init__(self) -> None:
        self._known: list[_Known] = []  # the newest last
        self._asked_at: int | None = None  # the number of the current view

    def motion(
        self,
        pair: FollowedPair,
        valid: Bools,
        correspondences: Array,
        config: PipelineConfig,
        mean_focal: float,
    ) -> Motion | None:
        """The motion of `pair`, from that of the one before; None where the sieve is to be asked.

        The other arguments are those of `continued_motion`.
        """
        known = self._before(pair)
        if known is None or self._due(known.since + 1, pair, config.sieve.every):
            return None
        of_rig = pair.reference == pair.current
        if not of_rig and _width(correspondences[valid]) > _WIDER * known.width:
            return None
        motion = continued_motion(
            known.foretold(pair),
            known.translation,
            valid,
            correspondences,
            config,
            mean_focal,
            _STILL_AGREE * known.agreeing,
        )
        if motion is not None:
            self._take(known, replace(known.then(pair, motion), since=known.since + 1))
        return motion

    def asked(
        self, pair: FollowedPair, valid: Bools, correspondences: Array, motion: Motion
    ) -> None:
        """Take in what sieve and solver made of a pair; `valid` (N,), `correspondences` (N, 4)."""
        known = self._before(pair)
        self._asked_at = pair.current
        if not motion.known or motion.ambiguous:
            self._take(known, None)
            return
        fresh = _Known(
            pair,
            motion.rotation,
            motion.translation,
            np.eye(3),
            agreeing=float(motion.inlier.sum() / max(valid.sum(), 1)),
            width=_width(correspondences[valid]),
            since=0,
        )
        turn = fresh.turn if known is None else known.then(pair, motion).turn
        self._take(known, replace(fresh, turn=turn))

    def _due(self, since: int, pair: FollowedPair, every: int) -> bool:
        """Whether the sieve is asked of the `since`-th pair after the last one that it judged.

        Of two streams (the rig, and motion over time) not in one view or in two that follow each
        other: a view that takes much longer makes the next one wait.
        """
        last = self._asked_at
        just = last is not None and 0 <= pair.current - last < min(_APART, every)
        return since >= (every + _POSTPONED if just and every > _POSTPONED else every)

    def _before(self, pair: FollowedPair) -> _Known | None:
        return next((one for one in reversed(self._known) if _goes_on(one.pair, pair)), None)

    def _take(self, old: _Known | None, new: _Known | None) -> None:
        kept = [one for one in self._known if one is not old]
        self._known = [*kept, *([] if new is None else [new])][-_KEPT:]


def _goes_on(before: FollowedPair, pair: FollowedPair) -> bool:
    """Whether the motion of a pair is about that of the one before: the rig, the same reference, or
    from the view that has just become one, as many frames or fewer."""
    span, last = _span(pair), _span(before)
    if span == 0 or last == 0:
        return span == last
    chained = before.current == pair.reference and 0 < span <= last
    return before.reference == pair.reference or chained


def _span(pair: FollowedPair) -> int:
    return pair.current - pair.reference


def _width(correspondences: Array) -> float:
    if len(correspondences) == 0:
        return 0.0
    shift = correspondences[:, 2:] - correspondences[:, :2]
    return float(np.median(np.hypot(shift[:, 0], shift[:, 1])))
