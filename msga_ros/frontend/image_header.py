"""What the header of a JPEG, PNG, WebP or TIFF says, and whether its end is there, undecoded."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np

from msga_ros.frontend.tiff_header import TiffError, TiffHeader

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8"
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*")
# Start-of-frame markers of JPEG (ITU T.81, table B.1): C0..CF without DHT, JPG and DAC.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_END_OF_IMAGE = 0xD9
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
# What ends compressed data: a marker that is no stuffed zero, no restart and no fill byte.
_MARKER_AFTER_DATA = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class ImageHeaderError(ValueError):
    """Bytes that are no picture of a known kind, or with a damaged header; the message says."""


def image_size(data: bytes | memoryview) -> tuple[int, int]:
    """Width and height in pixels that the header of a JPEG, PNG, WebP or TIFF announces.

    Those of the pixels as stored: an EXIF orientation is not looked at. `data` may be the first
    part of a file. Raises `ImageHeaderError`.
    """
    view = memoryview(data)
    kind = _kind(view)
    if kind == "PNG":
        return _png_size(view)
    if kind == "JPEG":
        return _jpeg_size(view)
    if kind == "WebP":
        return _webp_size(view)
    if kind == "TIFF":
        return _tiff(view).size
    start = bytes(view[:4]).hex(" ") or "nothing"
    raise ImageHeaderError(f"neither a JPEG nor a PNG, WebP or TIFF (it begins with {start})")


def image_file_size(path: Path) -> tuple[int, int] | None:
    """As `image_size`, of a file; None where that is of no known kind, or is damaged.

    Raises `OSError` if the file cannot be read. Only the pages of the header are read.
    """
    try:
        return image_size(np.memmap(path, mode="r").data)
    except ValueError:  # an empty file as well
        return None


def is_complete(data: bytes | memoryview) -> bool:
    """Whether a picture that has a size is there to its end: decoders fill up the rest with grey.

    What comes behind the end does not matter: some drivers send their whole buffer. True of bytes
    of an unknown kind, which a decoder has to judge.
    """
    view = memoryview(data)
    kind = _kind(view)
    if kind == "PNG":
        return _png_ends(view)
    if kind == "JPEG":
        return _jpeg_ends(view)
    if kind == "WebP":
        return bool(len(view) >= 8 + struct.unpack("<I", view[4:8])[0])
    return kind != "TIFF" or _tiff(view).pixels_end <= len(view)


def _kind(view: memoryview) -> str:
    start = bytes(view[:12])
    if start[:8] == _PNG_SIGNATURE:
        return "PNG"
    if start[:2] == _JPEG_SIGNATURE:
        return "JPEG"
    if start[:4] == b"RIFF" and start[8:] == b"WEBP":
        return "WebP"
    return "TIFF" if start[:4] in _TIFF_SIGNATURES else ""


def _tiff(view: memoryview) -> TiffHeader:
    try:
        return TiffHeader.read(view)
    except TiffError as error:
        raise ImageHeaderError(str(error)) from None


def _png_size(view: memoryview) -> tuple[int, int]:
    if len(view) < 24 or bytes(view[12:16]) != b"IHDR":
        raise ImageHeaderError("a PNG without a header")
    width, height = struct.unpack(">II", view[16:24])
    return int(width), int(height)


def _png_ends(view: memoryview) -> bool:
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(view):  # length, name and check sum of a chunk
        length, name = struct.unpack(">I4s", view[position : position + 8])
        position += 12 + length
        if name == b"IEND":
            return position <= len(view)
    return False


def _jpeg_size(view: memoryview) -> tuple[int, int]:
    position = 2
    while position + 4 <= len(view):
        if view[position] != 0xFF:
            break
        marker = view[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in _WITHOUT_LENGTH:
            position += 2
            continue
        (length,) = struct.unpack(">H", view[position + 2 : position + 4])
        if marker in _START_OF_FRAME and position + 9 <= len(view):
            height, width = struct.unpack(">HH", view[position + 5 : position + 9])
            return int(width), int(height)
        position += 2 + length
    raise ImageHeaderError("a JPEG without a frame header")


def _jpeg_ends(view: memoryview) -> bool:
    """Walks over segments, whose bytes may look like markers (thumbnails), and over scans."""
    position = 2
    while position + 2 <= len(view):
        found = _MARKER_AFTER_DATA.search(view, position)
        if found is None:
            return False
        marker, position = view[found.start() + 1], found.end()
        if marker == _END_OF_IMAGE:
            return True
        if marker not in _WITHOUT_LENGTH and position + 2 <= len(view):
            position += struct.unpack(">H", view[position : position + 2])[0]
    return False


def _webp_size(view: memoryview) -> tuple[int, int]:
    """Of RFC 9649: the three kinds of a first chunk."""
    if len(view) < 30:
        raise ImageHeaderError("a WebP without a header")
    chunk, body = bytes(view[12:16]), bytes(view[20:30])
    if chunk == b"VP8X":
        return (
            1 + int.from_bytes(body[4:7], "little"),
            1 + int.from_bytes(body[7:10], "little"),
        )
    if chunk == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", body[6:10])
        return int(width) & 0x3FFF, int(height) & 0x3FFF
    raise ImageHeaderError("a WebP without a header")
