"""Depth images registered to a colour image, and the depth of its keypoints."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
DepthImage = npt.NDArray[np.float32]

MILLIMETRE = 0.001  # metres a unit of a depth image of 16 bits has by ROS's convention (REP 118)


class DepthError(ValueError):
    """A depth image that cannot be used; the message says why."""


def to_metres(image: npt.NDArray[np.generic], unit: float = MILLIMETRE) -> DepthImage:
    """Depth along the optical axis (H, W) in metres, NaN where the sensor saw none.

    Args:
        image: (H, W) uint16 in multiples of `unit`, 0 for none, or floats in metres, of which what
            is not finite or not positive counts as none.
        unit: metres, of integers alone.

    Raises:
        DepthError: another shape or type.
    """
    if image.ndim != 2:
        raise DepthError(f"a depth image has the shape (H, W), not {image.shape}")
    if image.dtype.kind == "f":
        metres = image.astype(np.float32)
    elif image.dtype.kind == "u" and image.dtype.itemsize == 2:
        metres = (image.astype(np.float64) * unit).astype(np.float32)
    else:
        raise DepthError(f"a depth image is of uint16 or of floats, not {image.dtype}")
    with np.errstate(invalid="ignore"):
        metres[~(np.isfinite(metres) & (metres > 0))] = np.nan
    return metres


def inverse_depths_at(depth: DepthImage, keypoints: npt.ArrayLike, jump: float) -> Array:
    """Inverse depth (N,) in 1/m at keypoints (N, 2), pixels; NaN where it is not certain.

    The inverse depth of a plane is linear in pixel coordinates, so it is interpolated, between the
    four pixels around a keypoint, all of which must have one. Nothing is interpolated where the 16
    pixels around it differ by more than the share `jump` of the nearest: there an object ends, and
    its edge in the colour image may lie on either side of that in the depth image.
    """
    height, width = depth.shape
    points = np.asarray(keypoints, dtype=np.float64)
    inside = np.isfinite(points).all(axis=1)
    with np.errstate(invalid="ignore"):
        inside &= (points >= 0).all(axis=1) & (points < [width - 1, height - 1]).all(axis=1)
    found = np.full(len(points), np.nan)
    kept = points[inside]
    corner = np.floor(kept).astype(np.int64)
    # One pixel of none all around: the window of a keypoint at the border sticks out.
    padded = np.pad(depth, 1, constant_values=np.nan)
    steps = np.arange(4)
    window = 1.0 / padded[
        corner[:, 1, None, None] + steps[:, None], corner[:, 0, None, None] + steps
    ].astype(np.float64)
    share = kept - corner
    across = np.stack([1 - share[:, 0], share[:, 0]], axis=1)
    down = np.stack([1 - share[:, 1], share[:, 1]], axis=1)
    value = np.einsum("nij,ni,nj->n", window[:, 1:3, 1:3], down, across)
    certain = np.isfinite(value)
    near, far = np.fmax.reduce(window, axis=(1, 2)), np.fmin.reduce(window, axis=(1, 2))
    certain[certain] = (near - far)[certain] <= jump * near[certain]
    found[inside] = np.where(certain, value, np.nan)
    return found
