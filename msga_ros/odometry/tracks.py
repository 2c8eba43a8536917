"""Ids that stay with a scene point from view to view."""

from __future__ import annotations

from typing import Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend import Features
from msga_ros.odometry.matches import MatchesLike


class Tracked(Protocol):
    """A view that remembers its tracks: from the index of a feature to the id."""

    tracks: dict[int, int]

    @property
    def features(self) -> Features: ...


class TracksState(TypedDict):
    """What a `Tracks` remembers."""

    next: int


class Tracks:
    """Ids that stay with a scene point from view to view; never used twice, 0 is never one."""

    def __init__(self) -> None:
        self._next = 1

    def state_dict(self) -> TracksState:
        """What `load_state_dict` takes: plain values."""
        return {"next": self._next}

    def load_state_dict(self, state: TracksState) -> None:
        """Go on from the state of another one."""
        self._next = state["next"]

    def follow(
        self, reference: Tracked, current: Tracked, result: MatchesLike
    ) -> NDArray[np.uint64]:
        """Ids of the rows of `result` (N,), 0 for outliers; extends the tracks of both views.

        Where several matches end in one feature of the current view, the most probable one
        carries the track on and the others get 0. Features that have ids of their own keep them.
        """
        own = ids_of_features(current.features, result.indices1, result.inlier)
        if own is not None:
            return own
        ids = np.zeros(len(result.inlier), dtype=np.uint64)
        rows = np.flatnonzero(result.inlier)
        order = rows[np.argsort(-result.inlier_probability[rows], kind="stable")]
        for row in order.tolist():
            index0, index1 = int(result.indices0[row]), int(result.indices1[row])
            known = reference.tracks.get(index0)
            if index1 in current.tracks:
                continue
            if known is None:
                known = reference.tracks[index0] = self._next
                self._next += 1
            current.tracks[index1] = known
            ids[row] = known
        return ids

    def begin(self, view: Tracked, features: NDArray[np.int64]) -> None:
        """Give an id to those of the `features` (indices, N) of `view` that have none."""
        if view.features.ids is not None:
            return
        for index in features.tolist():
            if index not in view.tracks:
                view.tracks[index] = self._next
                self._next += 1


def feature_ids(view: Tracked, count: int) -> NDArray[np.uint64]:
    """Ids (count,) of the features of a view, by index; 0 for those without a track."""
    if view.features.ids is not None:
        return view.features.ids.astype(np.uint64)
    ids = np.zeros(count, dtype=np.uint64)
    ids[list(view.tracks.keys())] = list(view.tracks.values())
    return ids


def ids_of_features(
    features: Features,
    indices: NDArray[np.int64] | None,
    kept: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint64] | None:
    """Ids (N,) that the features `indices` (N,) have of their own; 0 where not `kept` (N,).

    Each id once. None where the front end does not follow points, and they have none.
    """
    if features.ids is None or indices is None:
        return None
    ids = features.ids[indices].astype(np.uint64)
    if kept is not None:
        ids[~kept] = 0
    once = np.zeros(len(ids), dtype=bool)
    once[np.unique(ids, return_index=True)[1]] = True
    return np.where(once, ids, np.uint64(0))
