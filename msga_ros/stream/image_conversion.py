"""Images of ROS messages as arrays that the pipeline takes: grey or BGR, 8 bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.foreign_text import shown
from msga_ros.frontend.images import to_8bit
from msga_ros.frontend.pictures import PictureError, decode_picture
from msga_ros.stream.cv_bridge_fallback import CvBridge, ImageBridge, bytes_of_rows
from msga_ros.stream.errors import BadInput
from msga_ros.stream.image_encodings import LAYOUTS, SEMI_PLANAR, is_bayer, is_packed_yuv
from msga_ros.stream.message_types import CompressedImage, Image
from msga_ros.stream.yuv import luma_stride, packed_to_bgr, semi_planar_to_bgr

if TYPE_CHECKING:
    from msga_ros.stream.message_types import Bytes

Image8 = NDArray[np.uint8]

_OURS = CvBridge()
_DEPTH_TRANSPORT = "compressedDepth"
_DEPTH_HEADER = 12  # bytes of that transport before its PNG
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def image_from_message(
    message: Image | CompressedImage, bridge: ImageBridge, max_pixels: int
) -> Image8:
    """The pixels of a `sensor_msgs/Image` or `CompressedImage`.

    Returns (H, W) uint8 for grey encodings and (H, W, 3) uint8 BGR for colour, Bayer and YUV ones;
    more than 8 bits by `msga_ros.frontend.images.to_8bit`. Raises `BadInput`; the size is checked
    against `max_pixels` before anything is decoded or copied.
    """
    if hasattr(message, "format"):
        return decode_compressed(message.data, max_pixels, message.format)
    check_image(message, max_pixels)
    encoding, width, height = message.encoding, message.width, message.height
    if encoding in SEMI_PLANAR:
        layout = SEMI_PLANAR[encoding]
        stride = luma_stride(layout, width, height, message.step, len(message.data))
        assert stride is not None  # checked above
        return semi_planar_to_bgr(message.data, layout, width, height, stride)
    reader = bridge if _original_reads(message) else _OURS
    return to_grey_or_bgr(np.asarray(reader.imgmsg_to_cv2(message, "passthrough")), encoding)


def _original_reads(message: Image) -> bool:
    """Whether `cv_bridge` gives the pixels of the message, and gives the right ones.

    It swaps bytes through a numpy call that numpy 2 no longer has, reads colour images askew,
    without a word, where `step` is not a whole number of pixels, wants the last row padded, and
    older ones do not know the names of YUV.
    """
    return (
        not message.is_bigendian
        and not is_packed_yuv(message.encoding)
        and message.step % LAYOUTS[message.encoding].pixel_bytes == 0
        and len(message.data) >= message.step * message.height
    )


def check_image(message: Image, max_pixels: int) -> None:
    """Raise `BadInput` unless encoding, size, step and length of a `sensor_msgs/Image` agree."""
    encoding, width, height = message.encoding, message.width, message.height
    if encoding not in LAYOUTS and encoding not in SEMI_PLANAR:
        raise BadInput("encoding", f"unknown encoding {shown(encoding)!r}")
    if width == 0 or height == 0:
        raise BadInput("image_size", f"an image of {width}x{height} pixels")
    if width * height > max_pixels:
        raise _oversized(f"an image of {width}x{height} pixels", max_pixels)
    row = width * LAYOUTS[encoding].pixel_bytes if encoding in LAYOUTS else width
    if message.step < row:
        raise BadInput(
            "truncated",
            f"step {message.step} is shorter than a row of {width} {encoding} pixels ({row} bytes)",
        )
    length = len(message.data)
    if encoding in SEMI_PLANAR:
        if luma_stride(SEMI_PLANAR[encoding], width, height, message.step, length) is None:
            raise BadInput(
                "truncated",
                f"{length} bytes of data for {width}x{height} pixels in {encoding} with rows of "
                f"{message.step} bytes",
            )
    elif length < bytes_of_rows(height, message.step, row):
        raise BadInput(
            "truncated",
            f"{length} bytes of data for {height} rows of {message.step} bytes "
            f"({message.step * height})",
        )


def decode_compressed(data: Bytes, max_pixels: int, text: str = "") -> Image8:
    """Decode a JPEG, PNG, WebP or TIFF to grey or BGR, 8 bit; the announced size is checked first.

    `text`: the `format` of the message. Where it names a Bayer pattern, a grey picture is a mosaic.
    Raises `BadInput`; also for `compressedDepth`, which holds distances.
    """
    # Before Python 3.12 the type of an array does not say that it is a buffer.
    view = memoryview(cast(bytes, data)).cast("B")
    behind = bytes(view[_DEPTH_HEADER : _DEPTH_HEADER + len(_PNG_SIGNATURE)])
    if _DEPTH_TRANSPORT.lower() in text.lower() or behind == _PNG_SIGNATURE:
        raise BadInput("compressed", f"{_DEPTH_TRANSPORT} holds distances, not a picture")
    try:
        image = decode_picture(view, max_pixels)
    except PictureError as error:
        if error.kind == "oversized":
            raise _oversized(error.text, max_pixels) from None
        named = f" (format {shown(text, 60)!r})" if text and error.kind == "compressed" else ""
        raise BadInput(error.kind, error.text + named) from None
    encoding = text.partition(";")[0].strip()
    return to_grey_or_bgr(image, encoding) if is_bayer(encoding) and image.ndim == 2 else image


def to_grey_or_bgr(pixels: NDArray[Any], encoding: str) -> Image8:
    """Raw pixels of a ROS `encoding` to (H, W) grey or (H, W, 3) BGR, uint8."""
    code = LAYOUTS[encoding].to_bgr
    if code is None:  # grey, BGR, and the nameless 8UC1, 8UC3
        return np.ascontiguousarray(to_8bit(pixels))
    if is_packed_yuv(encoding):
        return packed_to_bgr(pixels, code)
    if is_bayer(encoding) and min(pixels.shape) < 3:
        raise BadInput("image_size", f"a Bayer image of {pixels.shape[1]}x{pixels.shape[0]}")
    return to_8bit(cv2.cvtColor(np.ascontiguousarray(pixels), code))


def _oversized(text: str, max_pixels: int) -> BadInput:
    return BadInput("oversized", f"{text}, more than max_image_pixels ({max_pixels})")
