"""RVL, the lossless code of 16-bit depth images that `compressedDepth` knows beside PNG.

Pixels come in turns as a run of zeros and a run of others; of the latter the differences follow,
each to the one before that is not zero, with the sign in the lowest bit. All numbers are written
three bits at a time, the lowest first, in groups of four whose highest bit says that more follow;
eight groups make a word of 32 bits, the first in its highest bits.

Wilson, "Fast lossless depth image compression", ISS 2017.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_LONGEST = 11  # groups of a number of 32 bits
_BYTES_A_PIXEL = 3  # at most: runs of one, and differences of 17 bits
_SPARE = 64  # bytes: the numbers of the first and the last run


class RvlError(ValueError):
    """Data that no encoder writes, or that break off."""


def decode_rvl(data: memoryview, width: int, height: int) -> NDArray[np.uint16]:
    """Pixels (H, W), 0 for none. What lies behind the last one is not looked at.

    The work is bounded by `width` times `height`, whatever `data` hold. Raises `RvlError`.
    """
    count = width * height
    used = min(len(data), _BYTES_A_PIXEL * count + _SPARE) // 4 * 4
    numbers = _numbers(np.frombuffer(data[:used], "<u4"))
    pixels, rows = _runs(numbers, count)
    decoded = np.zeros(count, np.uint16)
    signed = numbers[rows]
    if signed.min(initial=0) < 0:
        raise RvlError("a difference of more than 32 bits")
    differences = (signed >> 1) ^ -(signed & 1)
    decoded[pixels] = np.cumsum(differences) & 0xFFFF  # of encoders of signed numbers, too
    return decoded.reshape(height, width)


def _numbers(words: NDArray[np.uint32]) -> Integers:
    """All numbers (N,) that end in `words`; too long ones are -1."""
    shifts = np.arange(28, -4, -4, dtype=np.uint32)
    groups = ((words[:, None] >> shifts) & 15).astype(np.uint8).ravel()
    ends = np.flatnonzero(groups < 8)
    lengths = np.diff(ends, prepend=-1)
    bits = groups & 7
    numbers = bits[ends].astype(np.int64)  # the highest first
    rows = np.arange(len(ends))
    for place in range(1, min(int(lengths.max(initial=0)), _LONGEST)):
        rows = rows[lengths[rows] > place]
        numbers[rows] = numbers[rows] << 3 | bits[ends[rows] - place]
    numbers[lengths > _LONGEST] = -1
    return numbers


def _runs(numbers: Integers, count: int) -> tuple[Integers, Integers]:
    """Of the pixels that are not zero: which they are, and which of `numbers` are theirs."""
    pixel, row = 0, 0
    first_pixels: list[int] = []
    first_rows: list[int] = []
    lengths: list[int] = []
    while pixel < count:
        if row + 1 >= len(numbers):
            raise RvlError(f"breaks off after {pixel} of {count} pixels")
        zeros, others = int(numbers[row]), int(numbers[row + 1])
        # Runs are as long as they can be: only the first may be without zeros, the last without
        # others.
        pixel, row = pixel + zeros, row + 2
        empty = (zeros == 0 and first_pixels) or (others == 0 and pixel < count)
        if min(zeros, others) < 0 or empty or pixel + others > count:
            raise RvlError(f"a run of {zeros} and {others} pixels, {count} in all")
        if row + others > len(numbers):
            raise RvlError(f"breaks off after {pixel} of {count} pixels")
        first_pixels.append(pixel)
        first_rows.append(row)
        lengths.append(others)
        pixel, row = pixel + others, row + others
    repeats = np.array(lengths, np.int64)
    within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return (
        np.repeat(np.array(first_pixels, np.int64), repeats) + within,
        np.repeat(np.array(first_rows, np.int64), repeats) + within,
    )
