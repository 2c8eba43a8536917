"""Our stand-in for `cv_bridge.CvBridge`: the two calls that the node uses, same names.

`cv_bridge` has no wheel; where a distribution brings it, `image_bridge()` returns the original.
Only its `passthrough` decoding is used: colour conversion is ours (`conversions.py`), so that both
give the same pixels.
"""

from __future__ import annotations

import array
import sys
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

# encoding -> (bytes per channel, channels)
LAYOUTS: dict[str, tuple[int, int]] = {
    "mono8": (1, 1),
    "mono16": (2, 1),
    "8UC1": (1, 1),
    "16UC1": (2, 1),
    "8UC3": (1, 3),
    "bgr8": (1, 3),
    "rgb8": (1, 3),
    "bgra8": (1, 4),
    "rgba8": (1, 4),
    **{f"bayer_{order}8": (1, 1) for order in ("rggb", "bggr", "gbrg", "grbg")},
    **{f"bayer_{order}16": (2, 1) for order in ("rggb", "bggr", "gbrg", "grbg")},
}


class ImageBridge(Protocol):
    """What the node needs of a bridge."""

    def imgmsg_to_cv2(self, img_msg: Any, desired_encoding: str = "passthrough") -> Any:
        """The pixels of a `sensor_msgs/Image`."""


class CvBridge:
    """`sensor_msgs/Image` to numpy and back, without conversion of the colours."""

    def imgmsg_to_cv2(
        self, img_msg: Any, desired_encoding: str = "passthrough"
    ) -> NDArray[np.generic]:
        """(H, W) or (H, W, C) uint8 or uint16 in this machine's byte order; a view where possible.

        Honours `step` and `is_bigendian`. `ValueError` for an encoding that is not in `LAYOUTS`, a
        `step` shorter than a row or a buffer shorter than `height` rows.
        """
        if desired_encoding not in ("passthrough", img_msg.encoding):
            raise ValueError(f"conversion to {desired_encoding!r} is not offered, only passthrough")
        if img_msg.encoding not in LAYOUTS:
            raise ValueError(f"unknown encoding {img_msg.encoding!r}")
        depth, channels = LAYOUTS[img_msg.encoding]
        row = img_msg.width * depth * channels
        if img_msg.step < row or len(img_msg.data) < img_msg.height * img_msg.step:
            raise ValueError("step or data too short for the size")
        buffer = np.frombuffer(img_msg.data, dtype=np.uint8, count=img_msg.height * img_msg.step)
        rows = buffer.reshape(img_msg.height, img_msg.step)[:, :row]
        if depth == 2:
            order = ">u2" if img_msg.is_bigendian else "<u2"
            rows = np.ascontiguousarray(rows).view(order).astype(np.uint16)
        if channels == 1:
            return rows
        return rows.reshape(img_msg.height, img_msg.width, channels)

    def cv2_to_imgmsg(
        self,
        cvim: NDArray[np.generic],
        encoding: str = "passthrough",
        header: Any = None,
    ) -> Any:
        """A `sensor_msgs/Image` with the pixels of `cvim`, uint8 or uint16, (H, W) or (H, W, C)."""
        from sensor_msgs.msg import Image

        pixels = np.ascontiguousarray(cvim)
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        if encoding == "passthrough":
            encoding = f"{8 * pixels.itemsize}UC{channels}"
        elif LAYOUTS.get(encoding) != (pixels.itemsize, channels):
            raise ValueError(f"{encoding} does not fit {pixels.dtype} with {channels} channels")
        message = Image()
        if header is not None:
            message.header = header
        message.height, message.width = pixels.shape[:2]
        message.encoding = encoding
        message.is_bigendian = int(sys.byteorder == "big")
        message.step = message.width * channels * pixels.itemsize
        # Assigning bytes or an ndarray to the field checks every element: 350 ms for 2.8 MB.
        data = array.array("B")
        data.frombytes(pixels.data.cast("B"))
        message.data = data
        return message


def image_bridge() -> ImageBridge:
    """The original `CvBridge` where it works, otherwise ours."""
    pixel = SimpleNamespace(
        height=1, width=1, encoding="mono8", is_bigendian=0, step=1, data=b"\x07"
    )
    try:
        from cv_bridge import CvBridge as Original

        original: ImageBridge = Original()
        # One that was built for another numpy or OpenCV imports, and fails at the first image.
        works = int(original.imgmsg_to_cv2(pixel, "passthrough")[0, 0]) == 7
    except Exception:
        return CvBridge()
    return original if works else CvBridge()
