"""Corners spread over a grid: at most one new one in each cell that no point occupies.

Shi and Tomasi, "Good features to track", CVPR 1994: the smaller eigenvalue of the gradients'
second moments, here of the image at half its size, which takes a quarter of the time and finds
corners as large as the windows that are followed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
Strength = NDArray[np.float32]  # (h, w)

_BLOCK = 3  # pixels of the half-size image
_CELLS = 3  # for each corner: not everywhere is texture
_FLOOR = 1e-4  # eigenvalue that sensor noise of a few grey levels stays below
_SHARE = 0.003  # of the best corner's, below which a corner is none
_NEIGHBOURHOOD = np.ones((5, 5), np.uint8)
_BORDER = 4  # pixels of the half-size image at each edge


@dataclass(frozen=True)
class Corners:
    """New corners, strongest first: `points` (N, 2) pixels, `strength` (N,)."""

    points: Points
    strength: Points


def new_corners(grey: NDArray[np.uint8], occupied: Points, most: int) -> Corners:
    """At most `most` - len(`occupied`) corners of `grey` (H, W), away from `occupied` (N, 2).

    The grid has about three cells for each of these; the strongest corners come first.
    """
    height, width = grey.shape
    wanted = most - len(occupied)
    cell = max(4, round(0.5 * float(np.sqrt(height * width / (_CELLS * max(most, 1))))))
    if wanted <= 0 or min(height, width) < 4 * _BORDER + 2 * cell:
        return Corners(np.empty((0, 2), np.float32), np.empty(0, np.float32))
    half = cv2.resize(grey, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    strength: Strength = np.asarray(cv2.cornerMinEigenVal(half, _BLOCK), np.float32)
    scale = np.array([width / half.shape[1], height / half.shape[0]])
    least = max(_FLOOR, _SHARE * float(strength.max()))
    strength[strength < cv2.dilate(strength, _NEIGHBOURHOOD)] = 0.0  # only local maxima are corners
    _clear(strength, ((occupied + 0.5) / scale - 0.5), cell)
    rows, columns, values = _best_of_cells(strength, cell)
    good = np.flatnonzero(values > least)
    order = good[np.argsort(-values[good], kind="stable")][:wanted]
    found = np.column_stack([columns[order], rows[order]])
    points = ((found + 0.5) * scale - 0.5).astype(np.float32)
    return Corners(points, values[order])


def _clear(strength: Strength, points: NDArray[np.floating], cell: int) -> None:
    """No corners at the borders and within half a cell of `points` (N, 2); changes `strength`."""
    strength[:_BORDER] = strength[-_BORDER:] = 0.0
    strength[:, :_BORDER] = strength[:, -_BORDER:] = 0.0
    reach = cell // 2
    for x, y in np.rint(points).astype(int).tolist():
        strength[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = 0.0


def _best_of_cells(
    strength: Strength, cell: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Row, column and value of the largest entry of each whole cell; ties go to the first."""
    rows, columns = (size // cell for size in strength.shape)
    cells = strength[: rows * cell, : columns * cell].reshape(rows, cell, columns, cell)
    flat = cells.transpose(0, 2, 1, 3).reshape(rows * columns, cell * cell)
    inside = flat.argmax(axis=1)
    number = np.arange(rows * columns)
    row = number // columns * cell + inside // cell
    column = number % columns * cell + inside % cell
    return row, column, flat[number, inside]
