"""RVL as its paper describes the encoder, pixel by pixel."""

from __future__ import annotations

import struct
from itertools import groupby

import numpy as np


def numbers_as_groups(numbers: list[int]) -> bytes:
    """Numbers in groups of three bits, eight of them in a word."""
    groups = []
    for number in numbers:
        while number > 7:
            groups.append(8 | number & 7)
            number >>= 3
        groups.append(number)
    groups += [0] * (-len(groups) % 8)
    parts = (groups[i : i + 8] for i in range(0, len(groups), 8))
    words = [int("".join(f"{group:x}" for group in part), 16) for part in parts]
    return struct.pack(f"<{len(words)}I", *words)


def encode_rvl(pixels: np.ndarray) -> bytes:
    """The code of 16-bit `pixels`, without the size."""
    runs = [(some, [int(one) for one in run]) for some, run in groupby(pixels.ravel(), bool)]
    if runs and runs[0][0]:
        runs.insert(0, (False, []))
    if not runs[-1][0]:
        runs.append((True, []))
    numbers, before = [], 0
    for (_, zeros), (_, others) in zip(runs[::2], runs[1::2], strict=True):
        numbers += [len(zeros), len(others)]
        for one in others:
            difference = one - before
            numbers.append(2 * difference if difference >= 0 else -2 * difference - 1)
            before = one
    return numbers_as_groups(numbers)
