"""RVL: what an encoder writes comes back, and nothing else does harm."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from stream.rvl_encoder import encode_rvl, numbers_as_groups

from msga_ros.stream.rvl import RvlError, decode_rvl


def decoded(data: bytes, width: int, height: int) -> np.ndarray:
    return decode_rvl(memoryview(data), width, height)


def test_an_image_worked_out_by_hand() -> None:
    """2 zeros, 2 others: +5 (as 10: groups 2 and 1), +1 (as 2); 1 zero, 0 others."""
    assert decoded(bytes.fromhex("0021a122"), 5, 1).tolist() == [[0, 0, 5, 6, 0]]


def depths(kind: str) -> np.ndarray:
    generator = np.random.default_rng(3)
    noise = generator.integers(0, 65536, (13, 17)).astype(np.uint16)
    slope = (500 + 7 * np.arange(221).reshape(13, 17)).astype(np.uint16)
    holes = np.where(generator.random((13, 17)) < 0.3, 0, slope).astype(np.uint16)
    ends = np.array([[65535, 1, 65535, 0, 0, 32768, 32767]], np.uint16)
    nothing = np.zeros((5, 400), np.uint16)
    kinds = {"noise": noise, "slope": slope, "holes": holes, "ends": ends, "nothing": nothing}
    return kinds[kind]


@pytest.mark.parametrize("kind", ["noise", "slope", "holes", "ends", "nothing"])
def test_what_was_encoded_comes_back(kind: str) -> None:
    pixels = depths(kind)
    height, width = pixels.shape
    data = encode_rvl(pixels)
    np.testing.assert_array_equal(decoded(data, width, height), pixels)
    behind = data + b"\xff" * 7
    np.testing.assert_array_equal(decoded(behind, width, height), pixels)


def test_every_image_that_breaks_off_is_refused() -> None:
    pixels = depths("holes")
    data = encode_rvl(pixels)
    for length in range(0, len(data) - 4, 5):
        with pytest.raises(RvlError, match="breaks off"):
            decoded(data[:length], 17, 13)


@pytest.mark.parametrize(
    "numbers",
    [
        [0, 0, 0, 0, 0, 0],  # runs of nothing, for ever
        [1, 0, 1, 0, 1, 1],  # a run that could have been longer
        [1, 1, 2, 0, 4, 2, 2, 2, 2],  # the same of the others
        [7, 0],  # beyond the image
        [3, 4, 2, 2, 2, 2],
        [2**32, 0],
        [2**36, 1, 2, 6, 0],  # more bits than a word
        [0, 6, 2**40, 2, 2, 2, 2, 2],
    ],
)
def test_what_no_encoder_writes_is_refused(numbers: list[int]) -> None:
    with pytest.raises(RvlError, match=r"a run of|more than 32 bits"):
        decoded(numbers_as_groups(numbers), 3, 2)


def test_any_bytes_are_an_image_or_refused() -> None:
    generator = np.random.default_rng(5)
    for _ in range(300):
        data = generator.integers(0, 256, generator.integers(0, 80), np.uint8).tobytes()
        try:
            assert decoded(data, 9, 4).shape == (4, 9)
        except RvlError:
            continue


def test_the_work_is_bounded_by_the_size_of_the_image() -> None:
    """Of ten megabytes only those are read that an image of so many pixels can take."""
    data = bytes(encode_rvl(depths("noise"))) + b"\xff" * 10_000_000
    tracemalloc.start()
    try:
        image = decoded(data, 17, 13)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(image, depths("noise"))
    assert most < 1_000_000
