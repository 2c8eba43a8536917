"""Blobs of an image: extrema of differences of Gaussians, at the resolution of the image.

Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004, sections 3 and 4. Lowe
doubles the image before the first octave, which makes three quarters of all work; here the finest
levels are computed on the image as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

LEVELS_OF_AN_OCTAVE = 3
FINEST_SIGMA = 0.8  # pixels, of level 0: that of Lowe's first octave, 1.6 in the doubled image

_BLUR_OF_A_CAMERA = 0.5  # pixels: what an image comes with
_FIRST_LEVELS = 9  # of the first octave, which holds two of Lowe's
_LEVELS = LEVELS_OF_AN_OCTAVE + 3
_SMALLEST = 24  # pixels: no octave has a shorter side
_INNER = slice(5, -5)  # rows and columns that may hold blobs
_KERNEL_REACH = 3.0  # standard deviations
_TINY = 1e-4  # grey levels: what rounding makes of a flat area
_CANDIDATES = 2  # times the blobs asked for: what is looked at more closely, if that is enough
_FARTHEST = 1.0  # from the sample to the extremum, pixels and levels
_EDGE_RATIO = 10.0  # of the principal curvatures; beyond, it is an edge
_MOST_KEPT = 1 << 25  # numbers of one image: 128 MiB, enough for 1280x720
_SCRATCH = 7  # images of the size of a level: what the search for extrema works on
_NEIGHBOURS: NDArray[np.uint8] = np.ones((3, 3), np.uint8)

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Octave:
    """Levels of one size of image.

    `gaussians` (L, H, W), `differences` (L - 1, H, W). `lowest`: number of its first level, of
    which number n has a standard deviation of 0.8 * 2^(n/3) pixels of the image. `step`: pixels of
    the image that one pixel here is.
    """

    gaussians: Floats
    differences: Floats
    lowest: int
    step: int


class LevelMemory:
    """Memory for the levels of one image after the other: the system takes its time to hand out
    fresh one. That of big images is not kept.

    What it gave is overwritten by the `scale_space` of the next image.
    """

    def __init__(self) -> None:
        self._floats: Floats = np.empty(0, np.float32)
        self._used = 0

    def clear(self) -> None:
        """Take back all arrays."""
        if len(self._floats) < self._used <= _MOST_KEPT:
            self._floats = np.empty(self._used, np.float32)
        self._used = 0

    def array(self, shape: tuple[int, ...]) -> Floats:
        """An array that holds anything."""
        start, self._used = self._used, self._used + math.prod(shape)
        if self._used > len(self._floats):
            return np.empty(shape, np.float32)
        return self._floats[start : self._used].reshape(shape)


@dataclass(frozen=True)
class Blobs:
    """`points` (N, 2) pixels, `sigmas` (N,) pixels, `scores` (N,) contrast in grey levels,
    strongest first."""

    points: Floats
    sigmas: Floats
    scores: Floats


@dataclass(frozen=True)
class _Candidates:
    """Where in an octave: each (N,), whole numbers."""

    level: Numbers
    row: Numbers
    column: Numbers


def blobs(octaves: Sequence[Octave], most: int, memory: LevelMemory | None = None) -> Blobs:
    """The `most` strongest blobs, dark and bright, of an image by its `scale_space`.

    `memory`: that of the scale space, which has room for what is computed on the way.
    """
    largest = max((octave.differences[0].size for octave in octaves), default=0)
    scratch = (memory or LevelMemory()).array((_SCRATCH * largest,))
    found = [_extrema(octave.differences, scratch) for octave in octaves]
    contrasts = [
        np.abs(octave.differences[one.level, one.row, one.column])
        for octave, one in zip(octaves, found, strict=True)
    ]
    none: Floats = np.empty((0, 4), np.float32)
    table = none
    for least in (_kth_largest(contrasts, _CANDIDATES * most), 0.0):
        rows = [
            _refined(octave, _those(one, contrast > least))
            for octave, one, contrast in zip(octaves, found, contrasts, strict=True)
        ]
        table = np.concatenate([none, *rows])
        if len(table) >= most:
            break
    best = table[np.argsort(-table[:, 3], kind="stable")[:most]]
    return Blobs(best[:, :2], best[:, 2], best[:, 3])


def level_of(sigmas: Floats) -> Numbers:
    """The level (N,), counted over all octaves, that is next to each of `sigmas` (N,) pixels."""
    levels: Numbers = np.rint(LEVELS_OF_AN_OCTAVE * np.log2(sigmas / FINEST_SIGMA)).astype(np.int64)
    return levels


def scale_space(image: NDArray[np.uint8], memory: LevelMemory | None = None) -> list[Octave]:
    """The octaves of an image, the finest first; none of an image that is too small.

    They lie in `memory`, or in their own.
    """
    memory = memory or LevelMemory()
    memory.clear()
    octaves: list[Octave] = []
    base, blur = image.astype(np.float32), _BLUR_OF_A_CAMERA
    lowest, step, count = 0, 1, _FIRST_LEVELS
    while min(base.shape) >= _SMALLEST:
        sigmas = FINEST_SIGMA / step * np.exp2((lowest + np.arange(count)) / LEVELS_OF_AN_OCTAVE)
        gaussians = memory.array((count, *base.shape))
        differences = memory.array((count - 1, *base.shape))
        for level, sigma in enumerate(sigmas):
            below = gaussians[level - 1] if level else base
            _blur(below, float(np.sqrt(max(sigma**2 - blur**2, 0.0))), gaussians[level])
            blur = sigma
        np.subtract(gaussians[1:], gaussians[:-1], out=differences)
        octaves.append(Octave(gaussians, differences, lowest, step))
        next_one = count - LEVELS_OF_AN_OCTAVE
        base, blur = np.ascontiguousarray(gaussians[next_one, ::2, ::2]), sigmas[next_one] / 2
        lowest, step, count = lowest + next_one, 2 * step, _LEVELS
    return octaves


def _blur(image: Floats, sigma: float, into: Floats) -> None:
    if sigma < 1e-3:
        into[:] = image
        return
    width = 2 * int(np.ceil(_KERNEL_REACH * sigma)) + 1
    cv2.GaussianBlur(image, (width, width), sigma, dst=into, borderType=cv2.BORDER_REFLECT_101)


def _extrema(differences: Floats, scratch: Floats) -> _Candidates:
    """Samples that none of their 26 neighbours exceeds. `scratch`: `_SCRATCH` images of their size
    and more."""
    nowhere: NDArray[np.int64] = np.empty(0, np.int64)
    found = [(nowhere, nowhere, nowhere)]
    images = scratch[: _SCRATCH * differences[0].size].reshape(_SCRATCH, *differences[0].shape)
    flags = images[-1].view(np.uint8).reshape(4, *differences[0].shape)
    # Of each level and the next: two of them are three levels.
    higher, lower = ([images[start], images[start + 1]] for start in (0, 2))
    for level, (one, other) in enumerate(pairwise(differences)):
        this = level % 2
        cv2.max(one, other, dst=higher[this])
        cv2.min(one, other, dst=lower[this])
        if not level:
            continue
        # No maximum is negative, and no minimum positive; a flat area is neither.
        cv2.dilate(cv2.max(higher[0], higher[1], dst=images[4]), _NEIGHBOURS, dst=images[5])
        cv2.max(images[5], _TINY, dst=images[5])  # type: ignore[call-overload]
        cv2.compare(one, images[5], cv2.CMP_GE, dst=flags[0])
        cv2.erode(cv2.min(lower[0], lower[1], dst=images[4]), _NEIGHBOURS, dst=images[5])
        cv2.min(images[5], -_TINY, dst=images[5])  # type: ignore[call-overload]
        cv2.compare(one, images[5], cv2.CMP_LE, dst=flags[1])
        cv2.bitwise_or(flags[0], flags[1], dst=flags[2])
        places = cv2.findNonZero(flags[2][_INNER, _INNER])
        if places is None:
            continue
        # (M, 1, 2) of OpenCV 4, (M, 2) of OpenCV 5.
        columns, rows = places.reshape(-1, 2).T.astype(np.int64) + _INNER.start
        found.append((np.full(len(rows), level), rows, columns))
    return _Candidates(*(np.concatenate(part) for part in zip(*found, strict=True)))


def _kth_largest(values: Sequence[Floats], count: int) -> float:
    """What `count` of all values exceed, or nearly; 0 where there are no more."""
    together = np.concatenate([np.empty(0, np.float32), *values])
    if len(together) <= count:
        return 0.0
    place = len(together) - count
    return float(np.partition(together, place)[place])


def _those(one: _Candidates, which: NDArray[np.bool_]) -> _Candidates:
    return _Candidates(one.level[which], one.row[which], one.column[which])


def _refined(octave: Octave, found: _Candidates) -> Floats:
    """(M, 4) x, y, sigma, contrast of those that are blobs, by a parabola through the 27 samples
    around each."""
    place = np.stack((found.column, found.row, found.level), axis=1)
    offset, contrast, good = _parabola(octave.differences, place)
    offset, place = offset[good], place[good]
    points = (place[:, :2] + offset[:, :2]) * octave.step
    levels = octave.lowest + place[:, 2] + offset[:, 2]
    sigmas = FINEST_SIGMA * np.exp2(levels / LEVELS_OF_AN_OCTAVE)
    return np.column_stack((points, sigmas, contrast[good])).astype(np.float32)


def _parabola(differences: Floats, place: Numbers) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Offset (N, 3) of the extremum from `place` (N, 3; column, row, level), contrast there (N,),
    and whether it is a blob, not an edge (N,)."""
    _, height, width = differences.shape
    samples = differences.reshape(-1)
    centre = (place[:, 2] * height + place[:, 1]) * width + place[:, 0]
    x, y, level = 1, width, height * width  # to the next column, row and level

    def mixed(one: int, other: int) -> Floats:
        alike = samples[centre + one + other] + samples[centre - one - other]
        against = samples[centre + one - other] + samples[centre - one + other]
        return (alike - against) / 4

    value = samples[centre]
    ahead, behind = zip(
        *((samples[centre + step], samples[centre - step]) for step in (x, y, level)), strict=True
    )
    dx, dy, ds = ((a - b) / 2 for a, b in zip(ahead, behind, strict=True))
    xx, yy, ss = (a + b - 2 * value for a, b in zip(ahead, behind, strict=True))
    xy, xs, ys = mixed(x, y), mixed(x, level), mixed(y, level)
    trace, curvature = xx + yy, xx * yy - xy * xy
    # The symmetric Hessian is inverted by its cofactors: quicker than a call for each.
    cofactors = (
        (yy * ss - ys * ys, xs * ys - xy * ss, xy * ys - xs * yy),
        (xs * ys - xy * ss, xx * ss - xs * xs, xy * xs - xx * ys),
        (xy * ys - xs * yy, xy * xs - xx * ys, curvature),
    )
    determinant = xx * cofactors[0][0] + xy * cofactors[0][1] + xs * cofactors[0][2]
    blob = (curvature > 0) & (trace**2 < (_EDGE_RATIO + 1) ** 2 / _EDGE_RATIO * curvature)
    blob &= np.abs(determinant) > np.finfo(np.float32).tiny
    scale = -1.0 / np.where(blob, determinant, np.inf)
    offset = np.stack([scale * (a * dx + b * dy + c * ds) for a, b, c in cofactors], axis=1)
    gain = offset[:, 0] * dx + offset[:, 1] * dy + offset[:, 2] * ds
    blob &= (np.abs(offset) < _FARTHEST).all(axis=1)
    return offset, np.abs(value + 0.5 * gain), blob
