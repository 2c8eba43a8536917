"""What the header of a JPEG or PNG says, without decoding the image."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8"
# Start-of-frame markers of JPEG (ITU T.81, table B.1): C0..CF without DHT, JPG and DAC.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


class ImageHeaderError(ValueError):
    """Bytes that are no JPEG and no PNG, or whose header is damaged; the message says which."""


def image_size(data: bytes | memoryview) -> tuple[int, int]:
    """Width and height in pixels that the header of a JPEG or PNG announces.

    Those of the pixels as stored: an EXIF orientation is not looked at. `data` may be the first
    part of a file. Raises `ImageHeaderError`.
    """
    view = memoryview(data)
    if bytes(view[:8]) == _PNG_SIGNATURE:
        return _png_size(view)
    if bytes(view[:2]) == _JPEG_SIGNATURE:
        return _jpeg_size(view)
    start = bytes(view[:4]).hex(" ") or "nothing"
    raise ImageHeaderError(f"neither a JPEG nor a PNG (it begins with {start})")


def image_file_size(path: Path) -> tuple[int, int] | None:
    """As `image_size`, of a file; None where that is neither a JPEG nor a PNG, or is damaged.

    Raises `OSError` if the file cannot be read. Only the pages of the header are read.
    """
    try:
        return image_size(np.memmap(path, mode="r").data)
    except ValueError:  # an empty file as well
        return None


def is_complete(data: bytes | memoryview) -> bool:
    """Whether the end of a JPEG or PNG is there: decoders fill up the rest with grey."""
    view = memoryview(data)
    end = b"IEND" if bytes(view[:8]) == _PNG_SIGNATURE else b"\xff\xd9"
    return end in bytes(view[-64:])


def _png_size(view: memoryview) -> tuple[int, int]:
    if len(view) < 24 or bytes(view[12:16]) != b"IHDR":
        raise ImageHeaderError("a PNG without a header")
    width, height = struct.unpack(">II", view[16:24])
    return int(width), int(height)


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
