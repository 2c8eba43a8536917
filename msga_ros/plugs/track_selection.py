"""Which tracks go to a system that holds few features, and under which ids.

VINS-Fusion and MSCKF-VIO were made for trackers that hand over some 150 features, follow each from
frame to frame and never see it again once it is lost. Matches are many more, and a track may pause.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.plugs.matches import PlugError, TrackedMatches

MAX_FEATURES = 150  # what VINS-Fusion's own tracker gives it

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Selected:
    """`rows` (K,): of the matches, by increasing id; `ids` (K,): what they are called outside."""

    rows: Rows
    ids: Rows


class TrackSelection:
    """Chooses at most `max_features` tracks of each set of matches, one set after another.

    A track that was chosen stays chosen as long as it is in every set. Free places go to tracks in
    the parts of the image that hold the fewest; those seen in both views come first, then the most
    probable ones. An id that was away for a set is never used again: what follows the point from
    there on has another. Ids are below `id_limit`, the lower half as in the messages.
    """

    def __init__(self, max_features: int = MAX_FEATURES, id_limit: int = 1 << 62) -> None:
        """Raises `PlugError` for fewer than one feature."""
        if max_features < 1:
            raise PlugError(f"max_features must be at least 1, not {max_features}")
        self._max_features = max_features
        self._cells = int(np.ceil(np.sqrt(max_features)))  # of the grid, along each side
        self._half = id_limit // 2
        self._renamed = 0  # how many ids of the upper half were used
        self._newest = 0  # id of a message so far
        self._names: dict[int, int] = {}  # of all tracks of the last set
        self._chosen: set[int] = set()  # of these, by their id in the messages

    def __call__(self, matches: TrackedMatches) -> Selected:
        """The tracks of the newest set. `matches.ids` must increase."""
        ids = matches.ids.tolist()
        names = self._named(ids)
        kept = np.array([one in self._chosen for one in ids], dtype=bool)
        rows = np.sort(np.concatenate([np.flatnonzero(kept), self._added(matches, kept)]))
        self._names = names
        self._newest = max([self._newest, *ids])
        self._chosen = {ids[row] for row in rows.tolist()}
        chosen = np.array([names[ids[row]] for row in rows.tolist()], dtype=np.int64)
        order = np.argsort(chosen)
        return Selected(rows[order], chosen[order])

    def _named(self, ids: list[int]) -> dict[int, int]:
        """What tracks are called: as in the message where that is new, otherwise after a gap."""
        names = {one: self._names[one] for one in ids if one in self._names}
        taken = set(self._names.values())
        for identity in ids:
            if identity in names:
                continue
            name = identity % self._half if identity > self._newest else self._fresh()
            while name in taken:  # ids that have come round
                name = self._fresh()
            names[identity] = name
            taken.add(name)
        return names

    def _fresh(self) -> int:
        self._renamed += 1
        return self._half + self._renamed % self._half

    def _added(self, matches: TrackedMatches, kept: NDArray[np.bool_]) -> Rows:
        """Rows for the places that are free."""
        free = self._max_features - int(kept.sum())
        others = np.flatnonzero(~kept)
        if free <= 0 or not len(others):
            return np.empty(0, dtype=np.int64)
        cells = self._cell_of(matches.reference_pixels if matches.stereo else matches.pixels)
        order = np.lexsort((-matches.probability[others], ~matches.paired[others]))
        candidates = others[order]
        held = np.bincount(cells[kept], minlength=self._cells**2)
        # The k-th candidate of a cell comes after all that make any cell hold fewer.
        by_cell = np.argsort(cells[candidates], kind="stable")
        sorted_cells = cells[candidates][by_cell]
        first = np.searchsorted(sorted_cells, sorted_cells)
        level = np.empty(len(candidates), dtype=np.int64)
        level[by_cell] = np.arange(len(candidates)) - first + held[sorted_cells]
        return candidates[np.argsort(level, kind="stable")[:free]]

    def _cell_of(self, pixels: NDArray[np.float64]) -> Rows:
        """Cells (M,) of a grid over the part of the image that holds features."""
        low = pixels.min(axis=0)
        extent = np.maximum(pixels.max(axis=0) - low, 1e-9)
        places = (self._cells * (pixels - low) / extent).astype(np.int64)
        column, row = np.minimum(places, self._cells - 1).T
        return np.asarray(row * self._cells + column, dtype=np.int64)
