"""The size of an image from its header: what OpenCV wrote, padding, damage, and the end."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from msga_ros.frontend.image_header import (
    ImageHeaderError,
    image_file_size,
    image_size,
    is_complete,
)


def encoded(suffix: str, width: int = 53, height: int = 37) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return bytes(cv2.imencode(suffix, noise)[1].tobytes())


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_width_and_height_in_this_order(suffix: str) -> None:
    data = encoded(suffix)
    assert image_size(data) == (53, 37)
    assert is_complete(data) and not is_complete(data[: len(data) // 2])
    assert image_size(data[: len(data) // 2]) == (53, 37)


def test_segments_and_fill_bytes_before_the_frame_are_skipped() -> None:
    data = encoded(".jpg")
    comment = b"\xff\xfe\x00\x06\xff\xc0\x01\x01"  # a comment that looks like a frame header
    assert image_size(data[:2] + comment + b"\xff" + data[2:]) == (53, 37)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "nothing"),
        (b"GIF89a", "neither a JPEG nor a PNG"),
        (encoded(".png")[:20], "a PNG without a header"),
        (encoded(".jpg")[:10], "a JPEG without a frame header"),
    ],
)
def test_damage_is_named(data: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ImageHeaderError, match=reason):
        image_size(data)
    (tmp_path / "file").write_bytes(data)
    assert image_file_size(tmp_path / "file") is None


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="absent"):
        image_file_size(tmp_path / "absent.jpg")
