"""What the first directory of a TIFF says (TIFF 6.0, section 2), without decoding the image."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_WIDTH, _HEIGHT = 256, 257
# Where the pixels are, in strips or in tiles: offsets, and how many bytes there.
_PLACES = ((273, 279), (324, 325))
_NUMBER_TYPES = {3: "H", 4: "I"}  # SHORT, LONG
_MOST_NUMBERS = 1 << 20  # strips of one picture


class TiffError(ValueError):
    """A TIFF whose header is damaged."""


@dataclass(frozen=True)
class TiffHeader:
    """`size`: width and height in pixels. `pixels_end`: where the data of its pixels end, bytes."""

    size: tuple[int, int]
    pixels_end: int

    @classmethod
    def read(cls, view: memoryview) -> TiffHeader:
        """That of the first picture; `TiffError` where there is none."""
        order = "<" if bytes(view[:2]) == b"II" else ">"
        try:
            (directory,) = struct.unpack_from(order + "I", view, 4)
            (count,) = struct.unpack_from(order + "H", view, directory)
            entries = {
                tag: (kind, number, directory + 2 + 12 * index + 8)
                for index in range(count)
                for tag, kind, number in [
                    struct.unpack_from(order + "HHI", view, directory + 2 + 12 * index)
                ]
            }
            numbers = {
                tag: _numbers(view, order, *entries[tag])
                for tag in (_WIDTH, _HEIGHT, *_PLACES[0], *_PLACES[1])
                if tag in entries
            }
            ends = [
                offset + length
                for offsets, lengths in _PLACES
                for offset, length in zip(
                    numbers.get(offsets, ()), numbers.get(lengths, ()), strict=True
                )
            ]
            return cls((numbers[_WIDTH][0], numbers[_HEIGHT][0]), max(ends))
        except (struct.error, KeyError, IndexError, ValueError):
            raise TiffError("a TIFF without a header, or cut off before it") from None


def _numbers(view: memoryview, order: str, kind: int, count: int, place: int) -> tuple[int, ...]:
    """The values of an entry: in it where they fit into four bytes, elsewhere otherwise."""
    letter = _NUMBER_TYPES[kind]
    if count > _MOST_NUMBERS:
        raise ValueError
    if count * struct.calcsize(order + letter) > 4:
        (place,) = struct.unpack_from(order + "I", view, place)
    return struct.unpack_from(f"{order}{count}{letter}", view, place)
