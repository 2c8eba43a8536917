"""Less of a dump: some pairs of each place, some matches of each pair, drawn by a seed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.compact import PER_MATCH, Arrays, Numbers
from msga_ros.datasets.dumps import scene_of

# Of the matches that are kept, as many may be mutual ones before the others have their turn: enough
# of both, so that a reader can form what a filter leaves as well as what there is without one.
_MUTUAL_SHARE = 2 / 3
_RATIO = 0.95  # of the front end's filter by default


class Preferred(Enum):
    """Which matches are kept before others."""

    MUTUAL = "mutual"  # up to two thirds
    FILTERED = "filtered"  # those that pass the front end's default filter
    NONE = "none"  # any is as likely to be kept as any other


def drawn_pairs(names: Sequence[str], most: int, seed: int) -> NDArray[np.int64]:
    """Indices, ascending, of at most `most` random pairs of each place; 0: of all pairs.

    Args:
        names: of all pairs, the place first (`Pair.name`).
    """
    if not most:
        return np.arange(len(names))
    places: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        places.setdefault(scene_of(name), []).append(index)
    chosen: list[int] = []
    for place, indices in places.items():
        generator = np.random.default_rng([seed, zlib.crc32(place.encode())])
        chosen += generator.permutation(indices)[:most].tolist()
    return np.sort(np.array(chosen, np.int64))


def thinned(
    arrays: Arrays, name: str, most: int, seed: int, preferred: Preferred = Preferred.MUTUAL
) -> Arrays:
    """At most `most` matches of a pair; 0: all of them.

    Preferred matches are kept up to two thirds of `most` (mutual ones) or up to `most` (those that
    pass the filter: mutual and a ratio below 0.95), a random choice of them where there are more; a
    random choice of the others fills the rest, and preferred ones where those are too few.
    With `Preferred.NONE` the share of true matches stays what it is without a filter, but fewer are
    left for one. With `Preferred.FILTERED` a filter leaves what it would have left of all, but
    without one there are too few of the others.

    Args:
        arrays: of one pair, in the shapes of the published layout.
        name: of the pair; with `seed`, what is drawn depends on it alone.
    """
    rows = arrays["xs"].reshape(-1, 4)
    if not 0 < most < len(rows):
        return arrays
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    shuffled = generator.permutation(len(rows))
    first = _are_preferred(arrays, len(rows), preferred)[shuffled]
    chosen, others = shuffled[first], shuffled[~first]
    share = _MUTUAL_SHARE if preferred is Preferred.MUTUAL else 1.0
    count = min(len(chosen), max(round(share * most), most - len(others)))
    chosen = np.concatenate((chosen[:count], others[: most - count]))
    # Neighbours in one coordinate compress better than any other order.
    chosen = chosen[np.argsort(rows[chosen, 0], kind="stable")]
    result: dict[str, Numbers] = dict(arrays)
    for group in PER_MATCH:
        if group == "xs":
            result[group] = rows[chosen][None]
        elif group in arrays:
            result[group] = arrays[group].reshape(-1)[chosen]
    return result


def _are_preferred(arrays: Arrays, count: int, preferred: Preferred) -> NDArray[np.bool_]:
    """`(count,)`: which matches come first; all of them where nothing is known of any."""
    every = np.ones(count, bool)
    if preferred is Preferred.NONE:
        return every
    mutual = np.asarray(arrays.get("mutuals", every)).reshape(-1) != 0
    if preferred is Preferred.MUTUAL or "ratios" not in arrays:
        return mutual
    below: NDArray[np.bool_] = np.asarray(arrays["ratios"]).reshape(-1) < _RATIO
    return mutual & below
