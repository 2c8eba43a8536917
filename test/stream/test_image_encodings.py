"""What cameras send beside grey and RGB: YUV of all packings, floats, four channels, 16 bits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from msga_ros.frontend.images import to_8bit, to_grey
from msga_ros.stream.cv_bridge_fallback import CvBridge
from msga_ros.stream.errors import BadInput
from msga_ros.stream.image_conversion import decode_compressed, image_from_message

LIMIT = 10_000_000
PAD = 7
Array = np.ndarray


def smooth(height: int, width: int) -> Array:
    """(H, W, 3) BGR without sharp edges, so that shared chroma is nearly that of each pixel."""
    y, x = np.mgrid[:height, :width] / 40.0
    picture = 128 + 60 * np.dstack([np.sin(x), np.cos(y), np.sin(x + y)])
    return picture.astype(np.uint8)


def yuv(picture: Array) -> Array:
    """(H, W, 3) float Y, U, V by ITU-R BT.601, luma from 16 to 235."""
    blue, green, red = (picture[..., i] / 255.0 for i in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.dstack(
        [16 + 219 * luma, 128 + 112 * (blue - luma) / 0.886, 128 + 112 * (red - luma) / 0.701]
    )


def made(rows: Array, width: int, height: int, encoding: str, step: int) -> SimpleNamespace:
    return SimpleNamespace(
        width=width,
        height=height,
        encoding=encoding,
        is_bigendian=0,
        step=step,
        data=rows.tobytes(),
    )


def padded(rows: Array, step: int) -> Array:
    return np.pad(rows, ((0, 0), (0, step - rows.shape[1])), constant_values=PAD)


def packed(picture: Array, encoding: str, padding: int) -> SimpleNamespace:
    height, width = picture.shape[:2]
    values = np.rint(yuv(picture)).astype(np.uint8)
    luma_at = 0 if encoding in ("yuyv", "yuv422_yuy2") else 1
    pixels = np.empty((height, width, 2), np.uint8)
    pixels[..., luma_at] = values[..., 0]
    pixels[:, 0::2, 1 - luma_at] = values[:, 0::2, 1]
    pixels[:, 1::2, 1 - luma_at] = values[:, 0::2, 2][:, : width // 2]
    step = 2 * width + padding
    return made(padded(pixels.reshape(height, -1), step), width, height, encoding, step)


@pytest.mark.parametrize("padding", [0, 2, 5])
@pytest.mark.parametrize("size", [(24, 32), (23, 31), (1, 1), (3, 2)])
@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_packed_yuv(encoding: str, size: tuple[int, int], padding: int) -> None:
    picture = smooth(*size)
    converted = image_from_message(packed(picture, encoding, padding), CvBridge(), LIMIT)
    assert converted.shape == picture.shape and converted.dtype == np.uint8
    tolerance = 8 if min(size) > 1 else 90  # a single pixel has no V
    assert np.abs(converted.astype(int) - picture).max() <= tolerance


def planar(picture: Array, encoding: str, padding: int) -> SimpleNamespace:
    height, width = picture.shape[:2]
    values = np.rint(yuv(picture)).astype(np.uint8)
    order = [2, 1] if encoding == "nv21" else [1, 2]
    share = 1 if encoding == "nv24" else 2
    chroma = values[::share, ::share, order]
    rows = chroma.reshape(len(chroma), -1)
    step = width + padding
    stride = max(step * 2 // share, rows.shape[1])
    planes = [padded(values[..., 0], step).ravel(), padded(rows, stride).ravel()]
    return made(np.concatenate(planes), width, height, encoding, step)


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("size", [(24, 32), (23, 31)])
@pytest.mark.parametrize("encoding", ["nv12", "nv21", "nv24"])
def test_semi_planar_yuv(encoding: str, size: tuple[int, int], padding: int) -> None:
    picture = smooth(*size)
    message = planar(picture, encoding, padding)
    converted = image_from_message(message, CvBridge(), LIMIT)
    assert converted.shape == picture.shape and converted.dtype == np.uint8
    assert np.abs(converted.astype(int) - picture).max() <= 8
    pads = len(message.data) - len(message.data.rstrip(bytes([PAD])))
    assert pads == 0 or padding
    message.data = message.data[: len(message.data) - pads]  # the last row without its padding
    np.testing.assert_array_equal(image_from_message(message, CvBridge(), LIMIT), converted)
    message.data = message.data[:-1]
    with pytest.raises(BadInput, match="bytes of data") as caught:
        image_from_message(message, CvBridge(), LIMIT)
    assert caught.value.kind == "truncated"


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("encoding", ["nv12", "nv21"])
def test_drivers_that_count_two_channels_a_pixel(encoding: str, filled: bool) -> None:
    """As `image_encodings.hpp` had it: the step is twice the stride."""
    picture = smooth(24, 32)
    message = planar(picture, encoding, 0)
    message.step = 64
    if filled:
        message.data += bytes(24 * 64 - len(message.data))
    converted = image_from_message(message, CvBridge(), LIMIT)
    assert np.abs(converted.astype(int) - picture).max() <= 8


@pytest.mark.parametrize("encoding", ["nv12", "yuyv"])
def test_yuv_agrees_with_opencv(encoding: str) -> None:
    rng = np.random.default_rng(2)
    if encoding == "nv12":
        planes = rng.integers(0, 256, (36, 32)).astype(np.uint8)
        expected = cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_NV12)
        message = made(planes, 32, 24, encoding, 32)
    else:
        pixels = rng.integers(0, 256, (24, 32, 2)).astype(np.uint8)
        expected = cv2.cvtColor(pixels, cv2.COLOR_YUV2BGR_YUY2)
        message = made(pixels, 32, 24, encoding, 64)
    converted = image_from_message(message, CvBridge(), LIMIT)
    np.testing.assert_array_equal(converted, expected)


def raw(pixels: Array, encoding: str, bigendian: bool = False) -> SimpleNamespace:
    ordered = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("<>"[bigendian])))
    height, width = pixels.shape[:2]
    message = made(ordered, width, height, encoding, ordered.nbytes // height)
    message.is_bigendian = int(bigendian)
    return message


@pytest.mark.parametrize("bigendian", [False, True])
@pytest.mark.parametrize(
    ("encoding", "order"),
    [
        ("bgr16", [0, 1, 2]),
        ("rgb16", [2, 1, 0]),
        ("bgra16", [0, 1, 2, 0]),
        ("rgba16", [2, 1, 0, 0]),
        ("16UC3", [0, 1, 2]),
        ("16UC4", [0, 1, 2, 0]),
    ],
)
def test_deep_colour_is_that_of_the_library(
    encoding: str, order: list[int], bigendian: bool
) -> None:
    deep = smooth(24, 32).astype(np.uint16) + 3000
    converted = image_from_message(raw(deep[..., order], encoding, bigendian), CvBridge(), LIMIT)
    np.testing.assert_array_equal(converted, to_8bit(deep))
    np.testing.assert_array_equal(to_grey(converted), to_grey(deep))


def test_four_nameless_channels_are_blue_green_red_and_one_more() -> None:
    picture = smooth(24, 32)
    converted = image_from_message(raw(picture[..., [0, 1, 2, 0]], "8UC4"), CvBridge(), LIMIT)
    np.testing.assert_array_equal(converted, picture)


@pytest.mark.parametrize("bigendian", [False, True])
@pytest.mark.parametrize(
    ("encoding", "kind"), [("32FC1", "f4"), ("16SC1", "i2"), ("32SC1", "i4"), ("16UC1", "u2")]
)
def test_grey_of_other_numbers_uses_the_whole_range(
    encoding: str, kind: str, bigendian: bool
) -> None:
    numbers = (smooth(24, 32)[..., 2] + 300.0).astype(kind)
    converted = image_from_message(raw(numbers, encoding, bigendian), CvBridge(), LIMIT)
    assert converted.shape == (24, 32) and converted.dtype == np.uint8
    assert converted.min() == 0 and converted.max() == 255
    assert np.corrcoef(converted.ravel(), numbers.ravel())[0, 1] > 0.999


def test_numbers_that_are_none_are_dark() -> None:
    numbers = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)
    numbers[3, 4], numbers[5, 6], numbers[7, 8] = np.nan, np.inf, -np.inf
    converted = image_from_message(raw(numbers, "32FC1"), CvBridge(), LIMIT)
    assert (converted[3, 4], converted[5, 6], converted[7, 8]) == (0, 255, 0)
    assert converted.max() == 255 and converted[10, 15] in range(120, 140)
    nothing = raw(np.full((20, 30), np.nan, np.float32), "32FC1")
    assert image_from_message(nothing, CvBridge(), LIMIT).max() == 0


@pytest.mark.parametrize("encoding", ["nv12", "yuyv", "32FC1", "rgb16"])
def test_the_size_is_checked_for_all(encoding: str) -> None:
    message = made(np.zeros(24 * 32 * 12, np.uint8), 32, 24, encoding, 32 * 12)
    with pytest.raises(BadInput, match="max_image_pixels") as caught:
        image_from_message(message, CvBridge(), 24 * 32 - 1)
    assert caught.value.kind == "oversized"
    message.step = 31
    with pytest.raises(BadInput, match="step 31 is shorter"):
        image_from_message(message, CvBridge(), LIMIT)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_a_compressed_thermal_image_keeps_its_contrast(suffix: str) -> None:
    thermal = 7500 + smooth(48, 64)[..., 2].astype(np.uint16) // 2
    data = cv2.imencode(suffix, thermal)[1].tobytes()
    np.testing.assert_array_equal(decode_compressed(data, LIMIT), to_grey(thermal))


def test_a_compressed_mosaic_gives_its_colours() -> None:
    mosaic = np.random.default_rng(0).integers(0, 256, (24, 32)).astype(np.uint8)
    message: Any = SimpleNamespace(
        format="bayer_rggb8; png compressed ", data=cv2.imencode(".png", mosaic)[1].tobytes()
    )
    converted = image_from_message(message, CvBridge(), LIMIT)
    np.testing.assert_array_equal(converted, cv2.cvtColor(mosaic, cv2.COLOR_BayerBG2BGR))


def test_compressed_depth_is_refused_by_its_name() -> None:
    png = cv2.imencode(".png", np.ones((8, 8), np.uint16))[1].tobytes()
    named = SimpleNamespace(format="16UC1; compressedDepth png", data=bytes(12) + png)
    unnamed = SimpleNamespace(format="", data=bytes(12) + png)
    for message in (named, unnamed):
        with pytest.raises(BadInput, match="compressedDepth") as caught:
            image_from_message(message, CvBridge(), LIMIT)
        assert caught.value.kind == "compressed"


def test_a_video_stream_is_refused_with_its_format() -> None:
    message = SimpleNamespace(format="h264", data=b"\0\0\0\1\x67" * 9)
    with pytest.raises(BadInput, match="h264"):
        image_from_message(message, CvBridge(), LIMIT)
