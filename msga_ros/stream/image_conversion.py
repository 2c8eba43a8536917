"""Images of ROS messages as arrays that the pipeline takes: grey or BGR, 8 bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.stream.message_types import CompressedImage, Image

if TYPE_CHECKING:
    from msga_ros.stream.message_types import Bytes

from msga_ros.frontend.image_header import ImageHeaderError, image_size, is_complete
from msga_ros.stream.cv_bridge_fallback import LAYOUTS, CvBridge, ImageBridge
from msga_ros.stream.errors import BadInput

Image8 = NDArray[np.uint8]

# The order in a ROS name is that of the first two pixels of the first two rows; OpenCV names the
# second pixel of the second row first: bayer_rggb is COLOR_BayerBG.
_TO_BGR: dict[str, int] = {
    "rgb8": cv2.COLOR_RGB2BGR,
    "rgba8": cv2.COLOR_RGBA2BGR,
    "bgra8": cv2.COLOR_BGRA2BGR,
    "bayer_rggb": cv2.COLOR_BayerBG2BGR,
    "bayer_bggr": cv2.COLOR_BayerRG2BGR,
    "bayer_gbrg": cv2.COLOR_BayerGR2BGR,
    "bayer_grbg": cv2.COLOR_BayerGB2BGR,
}

_OURS = CvBridge()


def image_from_message(
    message: Image | CompressedImage, bridge: ImageBridge, max_pixels: int
) -> Image8:
    """The pixels of a `sensor_msgs/Image` or `CompressedImage`.

    Returns (H, W) uint8 for grey encodings and (H, W, 3) uint8 BGR for colour and Bayer ones.
    16-bit values are divided by 256, whatever their real range. Raises `BadInput`; the size is
    checked against `max_pixels` before anything is decoded or copied.
    """
    if hasattr(message, "format"):
        return decode_compressed(message.data, max_pixels)
    check_image(message, max_pixels)
    # cv_bridge swaps bytes through a numpy call that numpy 2 no longer has, and reads colour images
    # askew, without a word, where `step` is not a whole number of pixels.
    depth, channels = LAYOUTS[message.encoding]
    reader = _OURS if message.is_bigendian or message.step % (depth * channels) else bridge
    return to_8bit(np.asarray(reader.imgmsg_to_cv2(message, "passthrough")), message.encoding)


def check_image(message: Image, max_pixels: int) -> None:
    """Raise `BadInput` unless encoding, size, step and length of a `sensor_msgs/Image` agree."""
    if message.encoding not in LAYOUTS:
        raise BadInput("encoding", f"unknown encoding {message.encoding!r}")
    if message.width == 0 or message.height == 0:
        raise BadInput("image_size", f"an image of {message.width}x{message.height} pixels")
    _check_pixels(message.width, message.height, max_pixels)
    depth, channels = LAYOUTS[message.encoding]
    row = message.width * depth * channels
    if message.step < row:
        raise BadInput(
            "truncated",
            f"step {message.step} is shorter than a row of {message.width} {message.encoding} "
            f"pixels ({row} bytes)",
        )
    expected = message.step * message.height
    if len(message.data) < expected:
        raise BadInput(
            "truncated",
            f"{len(message.data)} bytes of data for {message.height} rows of {message.step} bytes "
            f"({expected})",
        )


def decode_compressed(data: Bytes, max_pixels: int) -> Image8:
    """Decode a JPEG or PNG to grey or BGR, 8 bit; the announced size is checked first."""
    # Before Python 3.12 the type of an array does not say that it is a buffer.
    buffer = memoryview(cast(bytes, data))
    try:
        width, height = image_size(buffer)
    except ImageHeaderError as error:
        raise BadInput("compressed", str(error)) from None
    if not is_complete(buffer):
        raise BadInput("truncated", f"the compressed picture breaks off after {len(data)} bytes")
    _check_pixels(width, height, max_pixels)
    # The orientation flag of a JPEG would turn the image away from its calibration.
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error as error:
        raise BadInput("compressed", f"the picture cannot be decoded: {error}") from None
    if image is None:
        raise BadInput("compressed", f"a picture of {width}x{height} that cannot be decoded")
    return image.astype(np.uint8, copy=False)


def to_8bit(pixels: NDArray[np.integer], encoding: str) -> Image8:
    """Raw pixels in a ROS `encoding` to (H, W) grey or (H, W, 3) BGR, uint8."""
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
        encoding = encoding.replace("16", "8")
    code = _TO_BGR.get(encoding.removesuffix("8") if encoding.startswith("bayer") else encoding)
    if code is not None:  # None: mono8, bgr8 and the nameless 8UC1, 8UC3
        if encoding.startswith("bayer") and min(pixels.shape) < 3:
            raise BadInput("image_size", f"a Bayer image of {pixels.shape[1]}x{pixels.shape[0]}")
        pixels = np.asarray(cv2.cvtColor(pixels, code), dtype=np.uint8)
    return np.ascontiguousarray(pixels, dtype=np.uint8)


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise BadInput(
            "oversized",
            f"an image of {width}x{height} pixels, more than max_image_pixels ({max_pixels})",
        )
