"""Images of messages become the right pixels, or a clear refusal."""

from __future__ import annotations

import struct
import zlib
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from msga_ros.frontend.images import to_8bit, to_grey
from msga_ros.node.ros_libraries import image_bridge
from msga_ros.stream.cv_bridge_fallback import CvBridge
from msga_ros.stream.errors import BadInput
from msga_ros.stream.image_conversion import image_from_message
from msga_ros.stream.image_encodings import LAYOUTS

LIMIT = 10_000_000
BRIDGES = [CvBridge(), image_bridge()]  # the second is the original where it imports


def scene(height: int = 24, width: int = 32) -> np.ndarray:
    """A smooth coloured picture (H, W, 3) BGR: a Bayer mosaic of it can be undone."""
    y, x = np.mgrid[:height, :width]
    return np.dstack([4 * x, 200 - 3 * y, 40 + 2 * x + y]).astype(np.uint8)


def message(
    pixels: np.ndarray, encoding: str, padding: int = 0, bigendian: bool = False
) -> SimpleNamespace:
    """A raw image message, rows `padding` bytes longer than needed."""
    if bigendian:
        pixels = pixels.astype(pixels.dtype.newbyteorder(">"))
    rows = np.ascontiguousarray(pixels).reshape(len(pixels), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    return SimpleNamespace(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(bigendian),
        step=rows.shape[1],
        data=rows.tobytes(),
    )


def compressed(data: bytes) -> SimpleNamespace:
    return SimpleNamespace(format="jpeg", data=data)


def convert(made: Any, bridge: Any = BRIDGES[0], limit: int = LIMIT) -> np.ndarray:
    return image_from_message(made, bridge, limit)


def test_what_the_original_bridge_misreads_is_not_given_to_it() -> None:
    """Swapped bytes (it needs an older NumPy), and rows that are no whole number of pixels."""

    class Strict:
        asked = 0

        def imgmsg_to_cv2(self, made: Any, desired_encoding: str = "passthrough") -> Any:
            assert not made.is_bigendian and made.step % 3 == 0
            self.asked += 1
            return CvBridge().imgmsg_to_cv2(made, desired_encoding)

    colour = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    deep = np.arange(12, dtype=np.uint16).reshape(3, 4) << 8
    strict = Strict()
    for padding in (0, 3, 1, 2):
        converted = convert(message(colour, "bgr8", padding), strict)
        np.testing.assert_array_equal(converted, colour)
    assert strict.asked == 2
    swapped = convert(message(deep, "mono16", 0, True), strict)
    np.testing.assert_array_equal(swapped, to_8bit(deep))
    partly = message(colour, "bgr8", 3)
    partly.data = partly.data[:-3]  # what pads the last row is absent
    np.testing.assert_array_equal(convert(partly, strict), colour)
    assert strict.asked == 2


@pytest.mark.parametrize("bridge", BRIDGES)
@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "channels"),
    [
        ("bgr8", [0, 1, 2]),
        ("rgb8", [2, 1, 0]),
        ("bgra8", [0, 1, 2, 0]),
        ("rgba8", [2, 1, 0, 0]),
        ("8UC3", [0, 1, 2]),
    ],
)
def test_colour_comes_out_as_bgr(
    bridge: Any, encoding: str, channels: list[int], padding: int
) -> None:
    picture = scene()
    converted = convert(message(picture[..., channels], encoding, padding), bridge)
    np.testing.assert_array_equal(converted, picture)
    assert converted.dtype == np.uint8 and converted.flags.c_contiguous


@pytest.mark.parametrize("bridge", BRIDGES)
@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_stays_grey(bridge: Any, encoding: str, padding: int) -> None:
    grey = scene()[..., 1]
    np.testing.assert_array_equal(convert(message(grey, encoding, padding), bridge), grey)


@pytest.mark.parametrize("bridge", BRIDGES)
@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("bigendian", [False, True])
@pytest.mark.parametrize("encoding", ["mono16", "16UC1"])
def test_16_bit_in_both_byte_orders(
    bridge: Any, encoding: str, bigendian: bool, padding: int
) -> None:
    thermal = 7500 + scene(48, 64)[..., 1].astype(np.uint16) // 2  # 127 counts of contrast
    converted = convert(message(thermal, encoding, padding, bigendian), bridge)
    np.testing.assert_array_equal(converted, to_grey(thermal))
    assert converted.min() == 0 and converted.max() == 255


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_gives_back_the_colours(order: str, bits: int) -> None:
    picture = scene()
    mosaic = np.empty(picture.shape[:2], np.uint8)
    for i, letter in enumerate(order):
        mosaic[i // 2 :: 2, i % 2 :: 2] = picture[i // 2 :: 2, i % 2 :: 2, "bgr".index(letter)]
    raw = mosaic if bits == 8 else mosaic.astype(np.uint16) * 256
    converted = convert(message(raw, f"bayer_{order}{bits}"))
    inner = (slice(2, -2), slice(2, -2))
    if bits == 16:
        # Stretched over all channels: the colours are there up to one gain and one offset.
        slope, offset = np.polyfit(converted[inner].ravel(), picture[inner].ravel(), 1)
        assert converted.min() == 0 and converted.max() == 255
        converted = slope * converted + offset
    assert np.abs(converted[inner].astype(int) - picture[inner]).max() <= 3


@pytest.mark.parametrize("encoding", sorted(LAYOUTS))
def test_every_encoding_is_there_and_back(encoding: str) -> None:
    pytest.importorskip("sensor_msgs.msg", reason="sensor_msgs is not installed")
    kind, channels, _ = LAYOUTS[encoding]
    shape = (6, 8) if channels == 1 else (6, 8, channels)
    pixels = np.random.default_rng(1).integers(0, 256, shape).astype(kind)
    from msga_ros.node.image_message import image_message

    made = image_message(pixels, encoding=encoding)
    assert (made.height, made.width, made.encoding) == (6, 8, encoding)
    assert len(made.data) == made.step * made.height
    np.testing.assert_array_equal(CvBridge().imgmsg_to_cv2(made), pixels)


def test_output_refuses_an_encoding_that_does_not_fit() -> None:
    pytest.importorskip("sensor_msgs.msg", reason="sensor_msgs is not installed")
    from msga_ros.node.image_message import image_message

    with pytest.raises(ValueError, match="bgr8 does not fit"):
        image_message(np.zeros((4, 4), np.uint8), encoding="bgr8")


def refused(made: Any, limit: int = LIMIT) -> BadInput:
    with pytest.raises(BadInput) as caught:
        convert(made, limit=limit)
    return caught.value


def test_unknown_encoding_is_named() -> None:
    error = refused(message(scene(), "p010"))
    assert error.kind == "encoding"
    assert "p010" in str(error)
    assert len(str(refused(message(scene(), "x" * 100_000)))) < 250


@pytest.mark.parametrize("missing", [1, 500, 24 * 96])
def test_truncated_buffer(missing: int) -> None:
    made = message(scene(), "bgr8")
    made.data = made.data[: len(made.data) - missing]
    assert refused(made).kind == "truncated"


def test_step_shorter_than_a_row() -> None:
    made = message(scene(), "bgr8")
    made.step -= 1
    assert refused(made).kind == "truncated"


def test_image_without_pixels() -> None:
    made = message(scene(), "bgr8")
    made.width = 0
    assert refused(made).kind == "image_size"


def test_more_pixels_than_allowed() -> None:
    made = message(scene(24, 32), "bgr8")
    assert convert(made, limit=24 * 32).shape == (24, 32, 3)
    error = refused(made, limit=24 * 32 - 1)
    assert error.kind == "oversized"
    assert "32x24" in str(error)


@pytest.mark.parametrize("extension", [".png", ".jpg"])
@pytest.mark.parametrize("grey", [False, True])
def test_compressed_pictures(extension: str, grey: bool) -> None:
    picture = scene()[..., 1] if grey else scene()
    options = [cv2.IMWRITE_JPEG_QUALITY, 100]
    data = cv2.imencode(extension, picture, options if extension == ".jpg" else [])[1].tobytes()
    converted = convert(compressed(data))
    assert converted.shape == picture.shape
    assert np.abs(converted.astype(int) - picture).max() <= (0 if extension == ".png" else 4)


@pytest.mark.parametrize("extension", [".png", ".jpg"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_truncated_compressed_picture(extension: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    data = cv2.imencode(extension, noise)[1].tobytes()
    assert refused(compressed(data[: int(len(data) * kept)])).kind == "truncated"


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"hello, world", b"\x89PNG\r\n\x1a\n"])
def test_no_picture_at_all(data: bytes) -> None:
    assert refused(compressed(data)).kind in ("compressed", "truncated")


def png_bomb(width: int, height: int) -> bytes:
    """A complete PNG of zeros: few bytes, many pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width + 1) * height), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def test_bomb_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = png_bomb(6000, 5000)
    assert len(bomb) < 100_000

    def decode(*_: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", decode)
    error = refused(compressed(bomb), limit=20_000_000)
    assert error.kind == "oversized"
    assert "6000x5000" in str(error)


def test_jpeg_size_is_found_behind_other_segments() -> None:
    data = cv2.imencode(".jpg", scene(40, 56))[1].tobytes()
    comment = b"\xff\xfe" + struct.pack(">H", 2 + 300) + b"\xff\xc0" * 150
    padded = data[:2] + comment + b"\xff" + data[2:]  # a comment, then a fill byte
    error = refused(compressed(padded), limit=100)
    assert error.kind == "oversized"
    assert "56x40" in str(error)
