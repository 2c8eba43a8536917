"""Points of one image found again in another: pyramidal Lucas-Kanade, there and back.

Lucas and Kanade, IJCAI 1981; Bouguet, "Pyramidal implementation of the Lucas Kanade feature
tracker", 2001; Kalal, Mikolajczyk and Matas, "Forward-backward error", ICPR 2010. OpenCV does the
iterations. Its Python interface takes no ready pyramids, so there are as few calls as can be.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
Bools = NDArray[np.bool_]
Grey = NDArray[np.uint8]

_WINDOW = (13, 13)
_LEVELS_NEAR, _LEVELS_FAR = 1, 4  # halvings, where the guess is good and where it is none
_LEVELS_BACK = 1  # the way back starts where it should end
_STOP: Any = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.02)
_MOST_ASTRAY = 1.0  # pixels between a point and where the way back ends
_FARTHEST = 6.0  # pixels from a good guess
_PATCH = 13  # pixels along a side of what has to look alike
_GRID_Y, _GRID_X = (
    (one.ravel() - _PATCH // 2).astype(np.float32) for one in np.mgrid[:_PATCH, :_PATCH]
)
_LEAST_ALIKE = 0.8  # correlation of the patches
_NEIGHBOURS = 5
_FEW = 0.02  # share of the points that is not worth two more searches of the image
_LEAST_FOUND = 0.3  # share of the points below which those few agree by chance: another scene
_EXPECTED = 0.5  # share that is found where it was guessed; below, the motion is a sudden one
_LEAST_APART, _MOST_APART = 6.0, 0.25  # pixels, and share of the motion around: what may differ
_AROUND, _ROUNDS = 9, 3  # neighbours then, and how often those that differ are left out
_MARGIN = 2.0  # pixels from the edge of the image
_GAIN = 0.02  # relative change of contrast, and of brightness, that is evened out


def find_again(image0: Grey, image1: Grey, points0: Points, guess1: Points) -> tuple[Points, Bools]:
    """Where `points0` (N, 2) of `image0` are in `image1`, and which were found (N,).

    `guess1` (N, 2): about where. Unless few are missing of those that should be in the image, they
    are looked for where their neighbours went, and from where they were. Found are those that come
    back to where they started, look alike, and are inside. Where most are not where they were
    guessed, their neighbours have to have moved alike as well: what looks alike is found anywhere
    in an image that is searched far.
    """
    if len(points0) == 0:
        return points0.copy(), np.zeros(0, dtype=bool)
    evened = _like(image1, image0)
    points1, found = _there_and_back(image0, evened, points0, guess1, _LEVELS_NEAR)
    expected = float(found.mean())
    missing = _missing_inside(points0, points1, found, evened.shape)
    if missing.sum() > _FEW * len(found):
        for guess, levels in ((_as_neighbours, _LEVELS_NEAR), (_at_rest, _LEVELS_FAR)):
            rows = np.flatnonzero(missing & ~found)
            if len(rows):
                start = guess(points0, points1, found)[missing[~found]]
                points1[rows], found[rows] = _there_and_back(
                    image0, evened, points0[rows], start, levels
                )
    rows = np.flatnonzero(found)
    found[rows] = _alike(image0, evened, points0[rows], points1[rows]) > _LEAST_ALIKE
    if expected < _EXPECTED:
        rows = np.flatnonzero(found)
        found[rows] = _with_neighbours(points0[rows], points1[rows])
    if found.sum() < _LEAST_FOUND * len(found):
        found[:] = False
    return points1, found


def align_from(image0: Grey, image1: Grey, points0: Points, guess1: Points) -> Points:
    """Where `points0` (N, 2) of `image0` are in `image1`, from good guesses; those that do not come
    back to where they started, or move far, stay where they were guessed to be."""
    if len(points0) == 0:
        return guess1.copy()
    size = np.maximum(image0.shape, image1.shape)  # the flow is of two images of one size
    one, other = (_enlarged(image, size) for image in (image0, _like(image1, image0)))
    points1, found = _there_and_back(one, other, points0, guess1, _LEVELS_NEAR)
    found &= np.abs(points1 - guess1).max(axis=1) < _FARTHEST
    return np.where(found[:, None], points1, guess1)


def _enlarged(image: Grey, size: NDArray[np.int64]) -> Grey:
    """`image` with its last row and column repeated, to `size` (height, width)."""
    below, right = (int(missing) for missing in size - image.shape)
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, border), np.uint8)


def _there_and_back(
    image0: Grey, image1: Grey, points0: Points, guess1: Points, levels: int
) -> tuple[Points, Bools]:
    points1, found = _flow(image0, image1, points0, guess1, levels)
    height, width = image1.shape
    limit = np.array([width - 1 - _MARGIN, height - 1 - _MARGIN])
    found &= ((points1 >= _MARGIN) & (points1 <= limit)).all(axis=1)
    rows = np.flatnonzero(found)
    if len(rows):
        back, returned = _flow(image1, image0, points1[rows], points0[rows], _LEVELS_BACK)
        astray = np.abs(back - points0[rows]).max(axis=1)
        found[rows] = returned & (astray < _MOST_ASTRAY)
    return points1, found


def _flow(
    image0: Grey, image1: Grey, points0: Points, guess1: Points, levels: int
) -> tuple[Points, Bools]:
    start = np.ascontiguousarray(guess1, np.float32).reshape(-1, 1, 2).copy()
    points1, status, _ = cv2.calcOpticalFlowPyrLK(
        image0,
        image1,
        np.ascontiguousarray(points0, np.float32).reshape(-1, 1, 2),
        start,
        winSize=_WINDOW,
        maxLevel=levels,
        criteria=_STOP,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    moved = np.asarray(points1, np.float32).reshape(-1, 2)
    found = np.asarray(status).ravel() == 1
    return moved, found & np.isfinite(moved).all(axis=1)


def _like(image: Grey, other: Grey) -> Grey:
    """`image` with the mean and the contrast of `other`: the flow takes brightness as constant."""
    (mean, spread), (mean_other, spread_other) = (
        tuple(float(one[0, 0]) for one in cv2.meanStdDev(each)) for each in (image, other)
    )
    if min(spread, spread_other) < 1.0:  # nothing to see
        return image
    gain = spread_other / spread
    if abs(gain - 1) < _GAIN and abs(mean - mean_other) < _GAIN * max(mean, mean_other):
        return image
    shifted = cv2.addWeighted(image, gain, image, 0.0, mean_other - gain * mean)
    return np.asarray(shifted, np.uint8)


def _alike(image0: Grey, image1: Grey, points0: Points, points1: Points) -> Points:
    """Normalised correlation (N,) of the patches around the points, from -1 to 1."""
    if len(points0) == 0:
        return np.empty(0, np.float32)
    first, second = _centred(image0, points0), _centred(image1, points1)
    product, *squared = (
        np.einsum("np,np->n", one, other)
        for one, other in ((first, second), (first, first), (second, second))
    )
    length = np.sqrt(squared[0] * squared[1])
    return np.asarray(product / np.maximum(length, 1e-6), np.float32)


def _centred(image: Grey, points: Points) -> Points:
    """Grey levels (N, _PATCH^2) around the points less their mean, by bilinear interpolation."""
    found = cv2.remap(
        image,
        points[:, :1] + _GRID_X,
        points[:, 1:] + _GRID_Y,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32)
    found -= found.mean(axis=1, keepdims=True)
    return found


def _with_neighbours(points0: Points, points1: Points) -> Bools:
    """Whether each of the points (N,) moved about as those around it that did so themselves."""
    alike = np.ones(len(points0), dtype=bool)
    for _ in range(_ROUNDS):
        rows = np.flatnonzero(alike)
        known0, known1 = points0[rows], points1[rows]
        around = motion_around(known0, known0, known1, _AROUND)
        apart = np.linalg.norm(known1 - known0 - around, axis=1)
        most = np.maximum(_LEAST_APART, _MOST_APART * np.linalg.norm(around, axis=1))
        alike[rows] = apart <= most
    return alike


def _missing_inside(
    points0: Points, points1: Points, found: Bools, shape: tuple[int, ...]
) -> Bools:
    """Which of the points (N,) were not found, though their neighbours stay in the image."""
    missing = ~found
    there = _as_neighbours(points0, points1, found)
    missing[missing] = ((there >= 0) & (there <= [shape[1] - 1, shape[0] - 1])).all(axis=1)
    return missing


def _at_rest(points0: Points, points1: Points, found: Bools) -> Points:
    """Of the points that were not found: where they were."""
    return points0[~found]


def _as_neighbours(points0: Points, points1: Points, found: Bools) -> Points:
    """The same, moved as those around them that were found."""
    return points0[~found] + motion_around(points0[~found], points0[found], points1[found])


def motion_around(
    points: Points, known0: Points, known1: Points, count: int = _NEIGHBOURS
) -> Points:
    """Motion (N, 2) at `points` (N, 2): the median of the `count` nearest among `known0` to
    `known1`; none where there are fewer."""
    if len(known0) < count:
        return np.zeros_like(points)
    squared = ((points[:, None] - known0[None]) ** 2).sum(axis=2)
    near = np.argpartition(squared, count - 1, axis=1)[:, :count]
    return np.asarray(np.median((known1 - known0)[near], axis=1), np.float32)
