"""Size of a compressed picture from its header alone, so that a bomb is refused undecoded."""

from __future__ import annotations

import struct

from msga_ros.stream.errors import BadInput

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Start-of-frame markers of JPEG (ITU T.81, table B.1): C0..CF without DHT, JPG and DAC.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


def picture_size(data: bytes | memoryview) -> tuple[int, int]:
    """(width, height) that the header of a JPEG or PNG announces.

    Raises `BadInput` for any other format, and for a picture whose end is missing: decoders fill
    up the rest of such a picture with grey.
    """
    view = memoryview(data)
    if bytes(view[:8]) == _PNG_SIGNATURE:
        size = _png_size(view)
        complete = b"IEND" in bytes(view[-64:])
    elif bytes(view[:2]) == b"\xff\xd8":
        size = _jpeg_size(view)
        complete = b"\xff\xd9" in bytes(view[-64:])
    else:
        start = bytes(view[:4]).hex(" ") or "nothing"
        raise BadInput("compressed", f"neither a JPEG nor a PNG (it begins with {start})")
    if not complete:
        raise BadInput("truncated", f"the compressed picture breaks off after {len(view)} bytes")
    return size


def _png_size(view: memoryview) -> tuple[int, int]:
    if len(view) < 24 or bytes(view[12:16]) != b"IHDR":
        raise BadInput("compressed", "a PNG without a header")
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
    raise BadInput("compressed", "a JPEG without a frame header")
