"""Our stand-in for `cv_bridge.CvBridge`: the call that a stream uses, same name.

`cv_bridge` has no wheel; where a distribution brings it, the node uses the original.
Only its `passthrough` decoding is used: colour conversion is ours (`image_conversion.py`), so that
both give the same pixels.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from msga_ros.stream.message_types import Image

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

    def imgmsg_to_cv2(
        self, img_msg: Image, desired_encoding: str = "passthrough"
    ) -> NDArray[np.generic]:
        """The pixels of a `sensor_msgs/Image`."""


class CvBridge:
    """`sensor_msgs/Image` to numpy, without conversion of the colours."""

    def imgmsg_to_cv2(
        self, img_msg: Image, desired_encoding: str = "passthrough"
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
