"""Size of an image from the head of its file, without decoding it."""

from __future__ import annotations

import struct
from pathlib import Path

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of JPEG that hold the size
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})


def image_size(path: Path) -> tuple[int, int] | None:
    """Width and height in pixels of a PNG or JPEG file; None for anything else.

    That of the pixels as stored: an EXIF orientation is not looked at. `OSError` if unreadable.
    """
    with path.open("rb") as file:
        head = file.read(24)
        if head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) == 24:
            width, height = struct.unpack(">II", head[16:24])
            return width, height
        if head[:2] != b"\xff\xd8":
            return None
        file.seek(2)
        while len(start := file.read(2)) == 2 and start[0] == 0xFF:
            if start[1] == 0xFF:  # padding
                file.seek(-1, 1)
            elif start[1] not in _WITHOUT_LENGTH:
                segment = file.read(7)
                if len(segment) < 7:
                    return None
                if start[1] in _SOF:
                    height, width = struct.unpack(">HH", segment[3:7])
                    return width, height
                file.seek(struct.unpack(">H", segment[:2])[0] - 7, 1)
    return None
