"""Nearest neighbours between two sets of descriptors, in both directions from one table.

Every distance is computed once, a block of rows at a time, so memory stays bounded whatever the
number of keypoints. Equal distances go to the lower index: the same input gives the same matches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import Descriptors, Features, FrontendError, Matches

# Entries of the table of distances that are held at a time: 4 MB of float32 stay near the CPU.
_BLOCK_ENTRIES = 1 << 20

_UNIT_TOLERANCE = 0.02  # of the squared length of a descriptor that counts as a unit vector


@dataclass(frozen=True)
class Neighbours:
    """Of each of N descriptors of view 0.

    `nearest` (N,) int64: index of the nearest in view 1; `best`, `second` (N,) float32: Euclidean
    or Hamming distance to it and to the second nearest (inf where there is none); `mutual` (N,)
    bool: the neighbour's nearest neighbour in view 0 is this one.
    """

    nearest: NDArray[np.int64]
    best: NDArray[np.float32]
    second: NDArray[np.float32]
    mutual: NDArray[np.bool_]


def nearest_on_host(features0: Features, features1: Features) -> Neighbours:
    """Nearest neighbours from view 0 to view 1 of two views that have descriptors of one kind."""
    nearest, best, second, reverse = _both_ways(features0.descriptors, features1.descriptors)
    return Neighbours(nearest, best, second, reverse[nearest] == np.arange(len(nearest)))


def match_features(
    features0: Features,
    features1: Features,
    ratio: float,
    mutual: bool,
    most: int = 0,
    neighbours: Callable[[Features, Features], Neighbours] = nearest_on_host,
) -> Matches:
    """Nearest neighbours from view 0 to view 1 that `passing` lets through.

    Descriptors of two different kinds raise `FrontendError`.
    """
    descriptors0, descriptors1 = features0.descriptors, features1.descriptors
    if descriptors0.shape[1:] != descriptors1.shape[1:] or descriptors0.dtype != descriptors1.dtype:
        raise FrontendError(
            f"descriptors of different kinds: {descriptors0.shape[1:]} {descriptors0.dtype} "
            f"and {descriptors1.shape[1:]} {descriptors1.dtype}"
        )
    if len(descriptors0) == 0 or len(descriptors1) == 0:
        point, index = np.empty((0, 2), np.float32), np.empty(0, np.int64)
        value, flag = np.empty(0, np.float32), np.empty(0, np.bool_)
        return Matches(point, point, index, index, value, flag, value, value, value)

    found = neighbours(features0, features1)
    best, second = found.best, found.second
    ratios = np.ones(len(best), np.float32)
    np.divide(best, second, out=ratios, where=np.isfinite(second) & (second > 0))
    keep = passing(ratios, found.mutual, ratio, mutual, most)
    indices0, indices1 = np.flatnonzero(keep), found.nearest[keep]
    return Matches(
        features0.keypoints[indices0],
        features1.keypoints[indices1],
        indices0,
        indices1,
        ratios[keep],
        found.mutual[keep],
        _rotations(features0.angles, features1.angles, indices0, indices1),
        _log_scales(features0.sizes, features1.sizes, indices0, indices1),
        _relative(best[keep], descriptors0[indices0], descriptors1[indices1]),
        independent=features0.independent and features1.independent,
    )


def describe_matches(
    features0: Features,
    features1: Features,
    indices0: NDArray[np.int64],
    indices1: NDArray[np.int64],
) -> Matches:
    """Matches (N,) that are known already, with what the descriptors say of them.

    `ratio` compares with the best of all the others, so that 1 stands for a match that is not the
    nearest neighbour as well.
    """
    table = _squared_distances(
        _as_vectors(features0.descriptors), _as_vectors(features1.descriptors)
    )
    own = table[indices0, indices1]
    among = (table[indices0].copy(), table[:, indices1].T.copy())
    among[0][np.arange(len(own)), indices1] = among[1][np.arange(len(own)), indices0] = np.inf
    second, reverse = (one.min(axis=1, initial=np.inf) for one in among)
    if features0.descriptors.dtype != np.uint8:
        own, second, reverse = np.sqrt(own), np.sqrt(second), np.sqrt(reverse)
    ratios = np.ones(len(own), np.float32)
    np.divide(own, second, out=ratios, where=np.isfinite(second) & (second > own))
    descriptors = features0.descriptors[indices0], features1.descriptors[indices1]
    return Matches(
        features0.keypoints[indices0],
        features1.keypoints[indices1],
        indices0,
        indices1,
        ratios,
        (own < second) & (own < reverse),
        _rotations(features0.angles, features1.angles, indices0, indices1),
        _log_scales(features0.sizes, features1.sizes, indices0, indices1),
        _relative(own, *descriptors),
    )


def passing(
    ratios: NDArray[np.floating],
    is_mutual: NDArray[np.bool_],
    ratio: float,
    mutual: bool,
    most: int,
) -> NDArray[np.bool_]:
    """`(N,)` bool: which of N matches are kept, by their `ratios` and `is_mutual` (N,).

    `ratio` below 1 keeps the matches with a smaller ratio than that (Lowe 2004, section 7.1), and
    those whose ratio is unknown (NaN: the matcher does not compare distances);
    `mutual` keeps those that are each other's nearest neighbours; of those that are left, `most`
    keeps so many with the smallest ratios (0: all).
    """
    keep = np.ones(len(ratios), np.bool_)
    if ratio < 1.0:
        keep &= ~(ratios >= ratio)
    if mutual:
        keep &= is_mutual
    if 0 < most < keep.sum():
        order = np.argsort(np.where(keep, ratios, np.inf), kind="stable")
        keep[order[most:]] = False
    return keep


def _both_ways(
    descriptors0: Descriptors, descriptors1: Descriptors
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Nearest neighbour of each of 0, its distance and the second's; nearest of each of 1."""
    factors0, factors1 = _factors(_as_vectors(descriptors0), _as_vectors(descriptors1))
    count0, count1 = len(factors0), len(factors1)
    nearest = np.empty(count0, np.int64)
    best = np.empty(count0, np.float32)
    second = np.full(count0, np.inf, np.float32)
    reverse = np.zeros(count1, np.int64)
    reverse_best = np.full(count1, np.inf, np.float32)
    rows = min(max(1, _BLOCK_ENTRIES // count1), count0)
    # Fresh memory for each block would cost as much time as a look at all of it.
    memory, flags = np.empty((rows, count1), np.float32), np.empty((rows, count1), np.bool_)
    for start in range(0, count0, rows):
        block = slice(start, min(start + rows, count0))
        height = block.stop - start
        table = np.matmul(factors0[block], factors1.T, out=memory[:height])
        # `argmin` along the columns takes ten times as long as their minimum.
        values = table.min(axis=0)
        places = np.flatnonzero(np.equal(table, values, out=flags[:height]))[::-1]
        row, column = np.divmod(places, count1)
        columns = np.empty(count1, np.int64)
        columns[column] = row  # of equal ones the last to be written, the lowest
        closer = values < reverse_best
        reverse[closer] = columns[closer] + start
        reverse_best[closer] = values[closer]

        within = np.arange(height)
        nearest[block] = table.argmin(axis=1)
        best[block] = table[within, nearest[block]]
        if count1 > 1:
            table[within, nearest[block]] = np.inf
            second[block] = table.min(axis=1)
    for distances in (best, second):
        np.maximum(distances, 0.0, out=distances)
        if descriptors0.dtype != np.uint8:
            np.sqrt(distances, out=distances)
    return nearest, best, second, reverse


def _as_vectors(descriptors: Descriptors) -> NDArray[np.float32]:
    """Bits become 0.0 and 1.0: the *squared* distance of such vectors is the Hamming one."""
    if descriptors.dtype == np.uint8:
        descriptors = np.unpackbits(descriptors.view(np.uint8), axis=1)
    return descriptors.astype(np.float32, copy=False)


def _factors(
    a: NDArray[np.float32], b: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N, D + 2), (M, D + 2) of vectors (N, D), (M, D): the products of their rows are the squared
    distances of the vectors, which rounding may leave just below 0."""
    count, width = a.shape
    first = np.empty((count, width + 2), np.float32)
    second = np.empty((len(b), width + 2), np.float32)
    first[:, :width], first[:, width], first[:, width + 1] = a, np.einsum("nd,nd->n", a, a), 1.0
    np.multiply(b, -2.0, out=second[:, :width])
    second[:, width], second[:, width + 1] = 1.0, np.einsum("nd,nd->n", b, b)
    return first, second


def _squared_distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    first, second = _factors(a, b)
    table: NDArray[np.float32] = first @ second.T
    return np.maximum(table, 0.0, out=table)


def _rotations(
    angles0: NDArray[np.float32] | None,
    angles1: NDArray[np.float32] | None,
    indices0: NDArray[np.int64],
    indices1: NDArray[np.int64],
) -> NDArray[np.float32] | None:
    """Change of angle of each match in [-pi, pi), or None where angles are not known."""
    if angles0 is None or angles1 is None:
        return None
    change = angles1[indices1].astype(np.float64) - angles0[indices0]
    wrapped = ((change + np.pi) % (2 * np.pi) - np.pi).astype(np.float32)
    # The nearest float32 to a number just below pi may lie above it.
    return np.where(wrapped >= np.float32(np.pi), np.float32(-np.pi), wrapped)


def _log_scales(
    sizes0: NDArray[np.float32] | None,
    sizes1: NDArray[np.float32] | None,
    indices0: NDArray[np.int64],
    indices1: NDArray[np.int64],
) -> NDArray[np.float32] | None:
    """log2 of size in view 1 over size in view 0 of each match, or None."""
    if sizes0 is None or sizes1 is None:
        return None
    before, after = sizes0[indices0], sizes1[indices1]
    known = (before > 0) & (after > 0)
    ratio = np.divide(after, before, out=np.full_like(after, np.nan), where=known)
    return np.log2(ratio).astype(np.float32)


def _relative(
    distances: NDArray[np.float32], descriptors0: Descriptors, descriptors1: Descriptors
) -> NDArray[np.float32]:
    """`Matches.distance`; NaN for vectors that are not of unit length, whose scale is unknown."""
    if descriptors0.dtype == np.uint8:
        return distances / np.float32(8 * descriptors0.shape[1])
    squares = [np.einsum("nd,nd->n", one, one) for one in (descriptors0, descriptors1)]
    unit = np.all([np.abs(square - 1.0) < _UNIT_TOLERANCE for square in squares], axis=0)
    relative = np.minimum(distances / np.float32(np.sqrt(2.0)), np.float32(1.0))
    return np.where(unit, relative, np.float32(np.nan)).astype(np.float32)
