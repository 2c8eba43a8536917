"""YUV images of webcams and embedded cameras to BGR, luma from 16 to 235 (ITU-R BT.601)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.stream.image_encodings import SemiPlanar

Image8 = NDArray[np.uint8]


def packed_to_bgr(pixels: Image8, code: int) -> Image8:
    """(H, W, 2) of luma and of U and V in turn, to (H, W, 3) by an OpenCV conversion.

    Where the width is odd, the last pixel has no second half of its pair: it takes the chroma of
    the pair before.
    """
    width = pixels.shape[1]
    if width % 2:
        second = pixels[:, -2:-1] if width > 1 else np.full_like(pixels, 128)
        pixels = np.concatenate((pixels, second), axis=1)
    bgr = cv2.cvtColor(np.ascontiguousarray(pixels), code)
    return np.ascontiguousarray(bgr[:, :width], np.uint8)


def luma_stride(layout: SemiPlanar, width: int, height: int, step: int, length: int) -> int | None:
    """Bytes from row to row of the luma, of an image of `length` bytes; None: they do not fit.

    `step` is that, or of drivers that count two channels a pixel twice as much.
    """
    if step >= width and planar_bytes(layout, width, height, step) <= length:
        return step
    tight = planar_bytes(layout, width, height, width)
    if step == 2 * width and tight <= length and length in (tight, step * height):
        return width
    return None


def planar_bytes(layout: SemiPlanar, width: int, height: int, stride: int) -> int:
    """Bytes that both planes take, the last row without its padding."""
    columns, rows = -(-width // layout.shared), -(-height // layout.shared)
    return stride * height + _chroma_stride(layout, width, stride) * (rows - 1) + 2 * columns


def semi_planar_to_bgr(
    data: Any, layout: SemiPlanar, width: int, height: int, stride: int
) -> Image8:
    """(H, W, 3) of a buffer whose rows of luma are `stride` bytes apart."""
    columns, rows = -(-width // layout.shared), -(-height // layout.shared)
    luma: Image8 = np.ndarray((height, width), np.uint8, data, 0, (stride, 1))
    chroma: Image8 = np.ndarray(
        (rows, columns, 2),
        np.uint8,
        data,
        stride * height,
        (_chroma_stride(layout, width, stride), 2, 1),
    )
    for axis in (0, 1):
        chroma = chroma.repeat(layout.shared, axis)
    chroma = chroma[:height, :width]
    first, second = (0, 1) if layout.u_first else (1, 0)
    # Each pixel as a pair of its own, which OpenCV knows: Y U Y V.
    pairs = np.stack((luma, chroma[..., first], luma, chroma[..., second]), axis=-1)
    bgr = cv2.cvtColor(pairs.reshape(height, 2 * width, 2), cv2.COLOR_YUV2BGR_YUY2)
    return np.ascontiguousarray(bgr[:, ::2], np.uint8)


def _chroma_stride(layout: SemiPlanar, width: int, stride: int) -> int:
    """That of the luma where a row of pairs fits; a pair for each pixel takes two such rows."""
    columns = -(-width // layout.shared)
    return max(stride * 2 // layout.shared, 2 * columns)
