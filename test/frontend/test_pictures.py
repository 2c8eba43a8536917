"""Pictures as files and streams hold them: all formats, bytes behind the end, breaks, 16 bits."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from msga_ros.frontend.image_header import image_size, is_complete
from msga_ros.frontend.images import to_8bit, to_grey
from msga_ros.frontend.pictures import PictureError, decode_picture, read_picture

NOISE = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
FORMATS = [".png", ".jpg", ".webp", ".tiff"]


def encoded(suffix: str, pixels: np.ndarray = NOISE, *options: int) -> bytes:
    return bytes(cv2.imencode(suffix, pixels, list(options))[1].tobytes())


@pytest.mark.parametrize("behind", [b"", bytes(4096), b"\xff" * 500, encoded(".jpg")[:300]])
@pytest.mark.parametrize("suffix", FORMATS)
def test_bytes_behind_the_end_do_no_harm(suffix: str, behind: bytes) -> None:
    data = encoded(suffix)
    assert image_size(data + behind) == (53, 37)
    np.testing.assert_array_equal(decode_picture(data + behind, 10_000), decode_picture(data))


# WebP and TIFF say their length in front: zeros behind a break cannot be told from their pixels.
@pytest.mark.parametrize(
    ("suffix", "behind"),
    [*((suffix, b"") for suffix in FORMATS), (".png", bytes(4096)), (".jpg", bytes(4096))],
)
@pytest.mark.parametrize("share", [0.4, 0.7, 0.98])
def test_a_stream_that_breaks_off_is_refused(suffix: str, share: float, behind: bytes) -> None:
    data = encoded(suffix)
    cut = data[: int(share * len(data))]
    with pytest.raises(PictureError) as caught:
        decode_picture(cut + behind, 10_000)
    assert caught.value.kind == "truncated" or suffix == ".tiff"


def test_the_end_of_a_thumbnail_is_not_that_of_the_picture() -> None:
    data, small = encoded(".jpg"), encoded(".jpg", NOISE[:8, :8])
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(small)) + small
    whole = data[:2] + segment + data[2:]
    assert is_complete(whole) and image_size(whole) == (53, 37)
    assert not is_complete(whole[:-100])


@pytest.mark.parametrize(
    "options",
    [
        (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        (cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
        (cv2.IMWRITE_JPEG_QUALITY, 100),
    ],
)
def test_every_kind_of_jpeg_has_its_end(options: tuple[int, int]) -> None:
    data = encoded(".jpg", NOISE, *options)
    assert is_complete(data) and is_complete(data + bytes(99))
    assert not is_complete(data[:-2]) and not is_complete(data[:-2] + bytes(99))


@pytest.mark.parametrize("quality", [50, 101])  # lossy; above 100 without loss
def test_webp(quality: int) -> None:
    data = encoded(".webp", NOISE, cv2.IMWRITE_WEBP_QUALITY, quality)
    assert image_size(data) == (53, 37)
    assert decode_picture(data).shape == NOISE.shape
    alpha = encoded(".webp", np.dstack([NOISE, NOISE[..., :1]]), cv2.IMWRITE_WEBP_QUALITY, quality)
    assert image_size(alpha) == (53, 37)
    assert decode_picture(alpha).shape == NOISE.shape


def test_tiff_of_the_other_byte_order_and_of_one_strip() -> None:
    pixels = np.arange(6, dtype=np.uint8)
    entries = ((256, 3, 1, 3), (257, 3, 1, 2), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1))
    entries += ((273, 4, 1, 8), (278, 3, 1, 2), (279, 4, 1, 6))
    rows = b"".join(
        struct.pack(">HHI", *one[:3]) + struct.pack(">I" if one[1] == 4 else ">Hxx", one[3])
        for one in entries
    )
    data = b"MM\0*" + struct.pack(">I", 14) + pixels.tobytes() + struct.pack(">H", len(entries))
    data += rows + bytes(4)
    assert image_size(data) == (3, 2)
    np.testing.assert_array_equal(decode_picture(data), pixels.reshape(2, 3))


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_converted_as_the_library_does(
    tmp_path: Path, suffix: str, channels: int
) -> None:
    thermal = 7500 + NOISE.astype(np.uint16) // 2
    thermal = thermal if channels == 3 else thermal[..., 0]
    path = tmp_path / f"thermal{suffix}"
    path.write_bytes(encoded(suffix, thermal))
    np.testing.assert_array_equal(read_picture(path), to_8bit(thermal))
    np.testing.assert_array_equal(to_grey(read_picture(path)), to_grey(thermal))


@pytest.mark.parametrize("suffix", [".bmp", ".pgm"])
def test_other_formats_are_for_files_alone(suffix: str) -> None:
    data = encoded(suffix, NOISE[..., 0])
    np.testing.assert_array_equal(decode_picture(data), NOISE[..., 0])
    with pytest.raises(PictureError, match="neither a JPEG nor a PNG, WebP or TIFF"):
        decode_picture(data, 10_000)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_announced_size_is_checked(suffix: str) -> None:
    with pytest.raises(PictureError, match="53x37") as caught:
        decode_picture(encoded(suffix), 37 * 53 - 1)
    assert caught.value.kind == "oversized"


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    for content in (b"", b"text", encoded(".png")[:500]):
        path.write_bytes(content)
        with pytest.raises(PictureError, match=r"text\.png: not a readable image"):
            read_picture(path)


def test_a_picture_that_claims_more_than_can_be_decoded_is_refused_by_its_size() -> None:
    content = bytearray(cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1].tobytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    with pytest.raises(PictureError, match="60000x60000") as caught:
        decode_picture(bytes(content))
    assert caught.value.kind == "oversized"
