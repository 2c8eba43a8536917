"""Entries of a document as numbers; every error names the entry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from msga_ros.calibration.base import CalibrationError, Document, shortened
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.rotations import checked_rotation

_MOST_NUMBERS = 100  # in an entry; no matrix of a camera has more


def numbers(value: Any, name: str, count: int | None = None) -> tuple[float, ...]:
    """The finite numbers of a list, of rows of them, or of `{rows, cols, data}`."""
    found = tuple(_number(one, name) for one in _flat(value, name))
    if count is not None and len(found) != count:
        raise CalibrationError(f"{name} has {len(found)} entries, not {count}")
    return found


def number(value: Any, name: str) -> float:
    """A single finite number."""
    return _number(value, name)


def size(value: Any, name: str) -> int:
    """A length in pixels; 0 where there is none."""
    if value is None:
        return 0
    found = _number(value, name)
    if not 0 <= found <= 1e6 or found != round(found):
        raise CalibrationError(f"{name}: {shortened(value)} is no size in pixels")
    return int(found)


def required(document: Document, name: str) -> Any:
    """The entry, which must be there."""
    if document.get(name) is None:
        raise CalibrationError(f"{name} is missing")
    return document[name]


def mapping(value: Any, name: str) -> Document:
    """An entry that has entries of its own."""
    if not isinstance(value, dict):
        raise CalibrationError(f"{name} has no entries of its own")
    return {str(key): one for key, one in value.items()}


def pinhole(intrinsics: Sequence[float]) -> tuple[float, ...]:
    """`k` (9,) of fx, fy, cx, cy."""
    fx, fy, cx, cy = intrinsics
    return (fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0)


def model_of(coefficients: Sequence[float]) -> str:
    """What OpenCV makes of so many coefficients where a file does not say the model."""
    return "plumb_bob" if len(coefficients) <= 5 else "rational_polynomial"


def transform(value: Any, name: str) -> Pose:
    """A rigid motion `x -> R x + t`, of 12 (3x4) or 16 (4x4) numbers."""
    found = numbers(value, name)
    if len(found) not in (12, 16):
        raise CalibrationError(f"{name} has {len(found)} numbers, not 12 or 16")
    if len(found) == 16 and found[12:] != (0.0, 0.0, 0.0, 1.0):
        raise CalibrationError(f"{name}: the last row is not 0 0 0 1")
    matrix = np.array(found[:12]).reshape(3, 4)
    return motion(matrix[:, :3], matrix[:, 3], name)


def motion(rotation: Any, translation: Any, name: str) -> Pose:
    """A rigid motion whose rotation is one."""
    try:
        return Pose(checked_rotation(rotation), np.asarray(translation, dtype=np.float64).ravel())
    except ValueError as error:
        raise CalibrationError(f"{name}: the rotation {error}") from None


def _flat(value: Any, name: str) -> list[Any]:
    data = value.get("data") if isinstance(value, dict) else value
    if not isinstance(data, list):
        raise CalibrationError(f"{name} is no list of numbers")
    if data and all(isinstance(row, list) for row in data):
        data = [one for row in data for one in row]
    if len(data) > _MOST_NUMBERS:
        raise CalibrationError(f"{name} has {len(data)} numbers")
    return data


def _number(value: Any, name: str) -> float:
    """OpenCV writes `1.e-05`, which YAML reads as text."""
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError
        found = float(value)
    except (ValueError, OverflowError):
        raise CalibrationError(f"{name}: {shortened(value)!r} is no number") from None
    if not math.isfinite(found):
        raise CalibrationError(f"{name} holds NaN or infinity")
    return found
