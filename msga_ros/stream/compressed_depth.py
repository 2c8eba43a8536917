"""Depth images of `compressedDepth`, the image transport: a header of 12 bytes, then a picture.

The header is a 32-bit integer that says which quantisation, and two 32-bit floats A and B. Depth in
integers lies in a picture of 16 bits as it is; depth in floats as q = A / depth + B, rounded, 0 for
none, so that its error grows as the square of the distance, as the sensor's does. The picture is a
PNG or, where the format says so, width and height as 32-bit integers and then RVL (`rvl.py`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.foreign_text import shown
from msga_ros.frontend.image_header import ImageHeaderError, image_size, is_complete
from msga_ros.stream.errors import BadInput
from msga_ros.stream.rvl import RvlError, decode_rvl

if TYPE_CHECKING:
    from msga_ros.stream.message_types import Bytes

TRANSPORT = "compressedDepth"

_HEADER = struct.Struct("<iff")
_SIZE = struct.Struct("<II")
_PNG = b"\x89PNG\r\n\x1a\n"
_INTEGERS = ("16UC1", "mono16")
_FLOATS = "32FC1"


@dataclass(frozen=True)
class _Quantisation:
    """q = `a` / depth + `b`, depth in metres."""

    a: float
    b: float

    def metres(self, quantised: NDArray[np.uint16]) -> NDArray[np.float32]:
        """Depths (H, W) of `quantised` (H, W); NaN for a value of 0."""
        with np.errstate(divide="ignore"):
            depth = np.float32(self.a) / (quantised.astype(np.float32) - np.float32(self.b))
        return np.where(quantised > 0, depth, np.float32(np.nan))


def decode_compressed_depth(
    data: Bytes, text: str, max_pixels: int
) -> NDArray[np.uint16] | NDArray[np.float32]:
    """(H, W) uint16 as they were sent, 0 for none, or float32 in metres, NaN for none.

    `text`: the `format` of the message. The size in the picture's header is checked against
    `max_pixels` before it is decoded. Raises `BadInput`.
    """
    # Before Python 3.12 the type of an array does not say that it is a buffer.
    view = memoryview(cast("bytes", data)).cast("B")
    encoding, _, codec = (one.strip() for one in text.partition(";"))
    if TRANSPORT.lower() not in text.lower():
        named = shown(text)
        raise BadInput("encoding", f"a compressed depth image is {TRANSPORT}, not {named!r}")
    if encoding not in (*_INTEGERS, _FLOATS):
        named = shown(encoding)
        raise BadInput("encoding", f"{named!r}: a depth image is {_INTEGERS[0]} or {_FLOATS}")
    picture = view[_HEADER.size :]
    if "rvl" in codec.lower():
        pixels = _from_rvl(picture, max_pixels)
    elif bytes(picture[: len(_PNG)]) == _PNG:
        pixels = _from_png(picture, max_pixels)
    else:
        raise BadInput("compressed", f"{TRANSPORT} without a PNG in it ({len(view)} bytes)")
    if encoding != _FLOATS:
        return pixels
    _, a, b = _HEADER.unpack_from(view)
    if not (np.isfinite([a, b]).all() and a > 0):
        raise BadInput("compressed", f"{TRANSPORT}: no quantisation has A = {a:g}, B = {b:g}")
    return _Quantisation(a, b).metres(pixels)


def _from_rvl(picture: memoryview, max_pixels: int) -> NDArray[np.uint16]:
    if len(picture) < _SIZE.size:
        text = f"the compressed depth image breaks off after {len(picture)} bytes"
        raise BadInput("truncated", text)
    width, height = _SIZE.unpack_from(picture)
    if not width * height:
        raise BadInput("image_size", f"a depth image of {width}x{height} pixels")
    _check_size(width, height, max_pixels)
    try:
        return decode_rvl(picture[_SIZE.size :], width, height)
    except RvlError as error:
        text = f"a depth image of {width}x{height} in RVL that cannot be decoded: {error}"
        raise BadInput("compressed", text) from None


def _from_png(picture: memoryview, max_pixels: int) -> NDArray[np.uint16]:
    try:
        width, height = image_size(picture)
        complete = is_complete(picture)
    except ImageHeaderError as error:
        raise BadInput("compressed", str(error)) from None
    if not complete:
        text = f"the compressed depth image breaks off after {len(picture)} bytes"
        raise BadInput("truncated", text)
    _check_size(width, height, max_pixels)
    try:
        image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        image = None
    if image is None:
        text = f"a depth image of {width}x{height} that cannot be decoded"
        raise BadInput("compressed", text)
    if image.dtype != np.uint16 or image.ndim != 2:
        text = f"a PNG of {image.dtype}, shape {image.shape}, in {TRANSPORT}: no depth image"
        raise BadInput("encoding", text)
    return np.asarray(image, np.uint16)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        text = f"a depth image of {width}x{height} pixels"
        raise BadInput("oversized", f"{text}, more than max_image_pixels ({max_pixels})")
