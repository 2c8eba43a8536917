"""A stand-in for `cv_bridge.CvBridge`: the one call that a stream uses, by the same name.

`cv_bridge` has no wheel; where a distribution brings it, the node uses the original.
Only its `passthrough` decoding is used: colour conversion is ours (`image_conversion.py`), so that
both give the same pixels.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from msga_ros.stream.image_encodings import LAYOUTS
from msga_ros.stream.message_types import Image


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
        """(H, W) or (H, W, C) in this machine's byte order; a view where possible.

        Honours `step` and `is_bigendian`; the last row needs no padding. `ValueError` for an
        encoding that is not in `LAYOUTS`, a `step` shorter than a row or a buffer that is shorter
        than its rows.
        """
        if desired_encoding not in ("passthrough", img_msg.encoding):
            raise ValueError(f"conversion to {desired_encoding!r} is not offered, only passthrough")
        if img_msg.encoding not in LAYOUTS:
            raise ValueError(f"unknown encoding {img_msg.encoding!r}")
        layout, height = LAYOUTS[img_msg.encoding], img_msg.height
        row = img_msg.width * layout.pixel_bytes
        if img_msg.step < row or len(img_msg.data) < bytes_of_rows(height, img_msg.step, row):
            raise ValueError("step or data too short for the size")
        rows: NDArray[np.generic] = np.ndarray(
            (height, row), np.uint8, img_msg.data, strides=(img_msg.step, 1)
        )
        kind = np.dtype(layout.kind)
        if kind.itemsize > 1:
            order = kind.newbyteorder(">" if img_msg.is_bigendian else "<")
            rows = np.ascontiguousarray(rows).view(order).astype(kind)
        if layout.channels == 1:
            return rows
        return rows.reshape(height, img_msg.width, layout.channels)


def bytes_of_rows(height: int, step: int, row: int) -> int:
    """Bytes of `height` rows of `row` bytes, `step` apart: what pads the last may be absent."""
    return step * (height - 1) + row
