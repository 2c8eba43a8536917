"""Pixels as `sensor_msgs/Image`."""

from __future__ import annotations

import array
import sys

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from msga_ros.stream.image_encodings import LAYOUTS


def image_message(
    pixels: NDArray[np.generic], header: Header | None = None, encoding: str = ""
) -> Image:
    """A message with `pixels`, (H, W) or (H, W, C).

    `encoding`: as in `LAYOUTS`; "" means mono8 or bgr8. `ValueError` where the pixels do not fit.
    """
    pixels = np.ascontiguousarray(pixels)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    encoding = encoding or ("mono8" if channels == 1 else "bgr8")
    layout = LAYOUTS.get(encoding)
    if layout is None or (np.dtype(layout.kind), layout.channels) != (pixels.dtype, channels):
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
