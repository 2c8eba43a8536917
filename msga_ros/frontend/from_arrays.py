"""`Features` and `Matches` from plain arrays, checked."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msga_ros.frontend.base import EVIDENCE, Descriptors, Features, FrontendError, Matches

# No camera has a pixel so far out. Larger numbers overflow in squares of squares of float32.
MAX_COORDINATE = 1e6
_MAX_DESCRIPTOR = 1e9

_TOLERANCE = 1e-3  # of what other programs rounded
# Smallest and largest value of each column of `EVIDENCE`.
_RANGES = ((0.0, 1.0), (0.0, 1.0), (-math.pi, math.pi), (-64.0, 64.0), (0.0, 1.0))


class ArraysError(FrontendError):
    """Arrays that cannot be used; `kind` is points, descriptors, evidence or confidence."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def features_from_arrays(
    keypoints: ArrayLike,
    descriptors: ArrayLike,
    image_size: tuple[int, int],
    scores: ArrayLike | None = None,
    angles: ArrayLike | None = None,
    sizes: ArrayLike | None = None,
) -> Features:
    """`Features` of N keypoints that another program has detected and described.

    Args:
        keypoints: (N, 2) pixels (u, v), the centre of the top-left pixel at (0, 0). One with NaN
            takes part in the matching, but is in no match that counts.
        descriptors: (N, D); uint8 holds bits and is compared by the Hamming distance, as of ORB;
            everything else becomes float32 and is compared by the Euclidean one, as of SIFT.
        image_size: (width, height) of the image.
        scores: (N,) response of the detector, higher is stronger; left out: all alike.
        angles: (N,) radians from +u towards +v, NaN where unknown.
        sizes: (N,) diameter in pixels, NaN where unknown.

    Raises:
        ArraysError: arrays whose shapes do not belong together, or values that cannot be.
    """
    points = _points("keypoints", keypoints)
    count = len(points)
    given = np.asarray(descriptors)
    binary = given.dtype == np.uint8
    vectors: Descriptors = (
        np.ascontiguousarray(given, np.uint8) if binary else np.ascontiguousarray(given, np.float32)
    )
    if vectors.ndim != 2 or len(vectors) != count or (count and not vectors.shape[1]):
        raise ArraysError("descriptors", f"descriptors must be ({count}, D), not {vectors.shape}")
    if not binary and not (np.abs(vectors) <= _MAX_DESCRIPTOR).all():
        raise ArraysError("descriptors", "the descriptors hold NaN, infinity or absurd values")
    return Features(
        points,
        np.ones(count, np.float32) if scores is None else _column("scores", scores, count),
        vectors,
        image_size,
        None if angles is None else _column("angles", angles, count),
        None if sizes is None else _column("sizes", sizes, count),
    )


def matches_from_arrays(
    keypoints0: ArrayLike,
    keypoints1: ArrayLike,
    evidence: ArrayLike | None = None,
    confidence: ArrayLike | None = None,
) -> Matches:
    """`Matches` that another program has found.

    Args:
        keypoints0, keypoints1: (M, 2) pixels of the two images. A match with NaN is none.
        evidence: (M, 1 to 5) the first columns of `EVIDENCE`; NaN: unknown.
        confidence: (M,) in [0, 1].

    Raises:
        ArraysError: arrays whose shapes do not belong together, or values that cannot be.
    """
    points0, points1 = (_points("keypoints", one) for one in (keypoints0, keypoints1))
    count = len(points0)
    if len(points1) != count:
        raise ArraysError(
            "points", f"keypoints must be (M, 2) twice, not {points0.shape}, {points1.shape}"
        )
    known: dict[str, NDArray[np.float32]] = {}
    if evidence is not None:
        table = np.asarray(evidence, np.float32)
        if table.ndim != 2 or len(table) != count or not 1 <= table.shape[1] <= len(EVIDENCE):
            raise ArraysError(
                "evidence", f"evidence must be ({count}, 1 to {len(EVIDENCE)}), not {table.shape}"
            )
        for name, column, (low, high) in zip(EVIDENCE, table.T, _RANGES, strict=False):
            _check_range("evidence", name, column[~np.isnan(column)], low, high)
            known[name] = column
    if confidence is not None:
        known["confidence"] = np.asarray(confidence, np.float32)
        if known["confidence"].shape != (count,):
            raise ArraysError(
                "confidence", f"confidence must be ({count},), not {known['confidence'].shape}"
            )
        _check_range("confidence", "confidence", known["confidence"], 0.0, 1.0)
    return Matches(points0, points1, **known)  # type: ignore[arg-type]


def _points(name: str, values: ArrayLike) -> NDArray[np.float32]:
    points = np.asarray(values, np.float32)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ArraysError("points", f"{name} must be (N, 2), not {points.shape}")
    if (np.abs(points) > MAX_COORDINATE).any():  # NaN is not
        raise ArraysError("points", f"{name} lie more than {MAX_COORDINATE:.0f} pixels off")
    return points


def _column(name: str, values: ArrayLike, count: int) -> NDArray[np.float32]:
    column = np.asarray(values, np.float32)
    if column.shape != (count,):
        raise ArraysError("points", f"{name} must be ({count},), not {column.shape}")
    if np.isinf(column).any():
        raise ArraysError("points", f"{name} hold infinity")
    return column


def _check_range(
    kind: str, name: str, values: NDArray[np.float32], low: float, high: float
) -> None:
    if not ((values >= low - _TOLERANCE) & (values <= high + _TOLERANCE)).all():
        raise ArraysError(kind, f"{name} must lie in {low:.4g} to {high:.4g}")
