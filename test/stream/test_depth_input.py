"""Depth images of messages: every form of them in metres, and what cannot be used by name."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from stream.fakes import raw_header
from stream.rvl_encoder import encode_rvl

from msga_ros.stream.depth_input import ColourImage, DepthInput, depth_from_message
from msga_ros.stream.errors import BadInput
from msga_ros.stream.settings import Settings

SETTINGS = Settings.from_values({"mode": "rgbd"})
NAN = float("nan")


def raw(pixels: np.ndarray, encoding: str, frame: str = "camera", **fields: Any) -> Any:
    height, width = pixels.shape
    values = {
        "header": raw_header(5, frame),
        "height": height,
        "width": width,
        "encoding": encoding,
        "is_bigendian": 0,
        "step": width * pixels.itemsize,
        "data": pixels.tobytes(),
    }
    return SimpleNamespace(**{**values, **fields})


def compressed(
    pixels: np.ndarray, text: str, a: float = 0.0, b: float = 0.0, cut: int | None = None
) -> Any:
    png = cv2.imencode(".png", pixels)[1].tobytes()
    data = (struct.pack("<iff", 0, a, b) + png)[:cut]
    return SimpleNamespace(header=raw_header(5, "camera"), format=text, data=data)


def rvl(
    pixels: np.ndarray,
    encoding: str = "16UC1",
    a: float = 0.0,
    b: float = 0.0,
    cut: int | None = None,
    size: tuple[int, int] | None = None,
) -> Any:
    """The same in RVL; `size` (width, height): another than that of the pixels."""
    width, height = size or pixels.shape[::-1]
    data = struct.pack("<iffII", 0, a, b, width, height) + encode_rvl(pixels)
    text = f"{encoding}; compressedDepth rvl"
    return SimpleNamespace(header=raw_header(5, "camera"), format=text, data=data[:cut])


MILLIMETRES = np.array([[0, 500, 1234, 65535]] * 3, np.uint16)
METRES = np.array([[NAN, 0.5, 1.234, 65.535]] * 3, np.float32)


def quantised(depth: np.ndarray, a: float, b: float) -> np.ndarray:
    """q = A / depth + B, 0 for none."""
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(np.round(a / depth + b)).astype(np.uint16)


@pytest.mark.parametrize(
    "message",
    [
        raw(MILLIMETRES, "16UC1"),
        raw(MILLIMETRES, "mono16"),
        raw(MILLIMETRES.astype(">u2"), "16UC1", is_bigendian=1),
        raw(METRES, "32FC1"),
        raw(np.hstack([METRES, METRES]), "32FC1", width=4, step=32),
        compressed(MILLIMETRES, "16UC1; compressedDepth"),
        compressed(MILLIMETRES, "16UC1; compressedDepth png"),
        rvl(MILLIMETRES),
    ],
)
def test_every_form_is_in_metres(message: Any) -> None:
    depth = depth_from_message(message, 0.001, 1000)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, METRES, atol=1e-6)


@pytest.mark.parametrize("picture", ["png", "rvl"])
def test_floats_that_were_quantised_are_as_near_as_their_step(picture: str) -> None:
    """Parameters as the transport has them: 10 m at most, 100 levels of the inverse depth."""
    a = 100.0 * 101.0
    b = 1.0 - a / 10.0
    true = np.linspace(0.3, 9.9, 60, dtype=np.float32).reshape(6, 10)
    true[2, 3] = NAN
    pixels = quantised(true, a, b)
    message = rvl(pixels, "32FC1", a, b)
    if picture == "png":
        message = compressed(pixels, "32FC1; compressedDepth png", a, b)
    depth = depth_from_message(message, 0.001, 1000)
    np.testing.assert_array_equal(np.isnan(depth), np.isnan(true))
    known = np.isfinite(true)
    assert (np.abs(depth - true)[known] <= 0.51 * true[known] ** 2 / a + 1e-6).all()


def test_zeros_infinities_and_negative_depths_are_none() -> None:
    pixels = np.array([[0.0, np.inf, -1.0, NAN, 2.0]], np.float32)
    depth = depth_from_message(raw(pixels, "32FC1"), 0.001, 1000)
    assert np.isnan(depth[0, :4]).all() and depth[0, 4] == 2.0


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        (raw(np.zeros((3, 4), np.uint8), "mono8"), "encoding", "'mono8': a depth image is 16UC1"),
        (raw(MILLIMETRES, "16UC1", data=b"\0" * 9), "truncated", "9 bytes"),
        (raw(MILLIMETRES, "16UC1", step=4), "truncated", "step 4"),
        (raw(MILLIMETRES, "16UC1", width=0), "image_size", "0x3"),
        (raw(MILLIMETRES, "16UC1", width=2000, step=4000), "oversized", "2000x3"),
        (compressed(MILLIMETRES, "16UC1; png compressed"), "encoding", "is compressedDepth, not"),
        (rvl(MILLIMETRES, cut=19), "truncated", "breaks off after 7 bytes"),
        (rvl(MILLIMETRES, cut=24), "compressed", "breaks off after 1 of 12 pixels"),
        (rvl(MILLIMETRES, size=(4, 0)), "image_size", "4x0"),
        (rvl(MILLIMETRES, size=(2**31, 2**31)), "oversized", "2147483648x2147483648"),
        (rvl(MILLIMETRES, size=(3, 2)), "compressed", "6 in all"),
        (rvl(MILLIMETRES, "rgb8"), "encoding", "'rgb8'"),
        (compressed(MILLIMETRES, "rgb8; compressedDepth png"), "encoding", "'rgb8'"),
        (compressed(MILLIMETRES, "16UC1; compressedDepth", cut=30), "compressed", ""),
        (compressed(MILLIMETRES, "16UC1; compressedDepth", cut=70), "truncated", "breaks off"),
        (compressed(MILLIMETRES, "16UC1; compressedDepth", cut=12), "compressed", "12 bytes"),
        (compressed(MILLIMETRES, "16UC1; compressedDepth", cut=3), "compressed", "3 bytes"),
        (compressed(np.zeros((40, 50), np.uint16), "16UC1; compressedDepth"), "oversized", "50x40"),
        (
            compressed(np.zeros((3, 4), np.uint8), "16UC1; compressedDepth"),
            "encoding",
            "no depth image",
        ),
        (compressed(MILLIMETRES, "32FC1; compressedDepth png", NAN, 1.0), "compressed", "nan"),
        (compressed(MILLIMETRES, "32FC1; compressedDepth png", 0.0, 1.0), "compressed", "A = 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(message: Any, kind: str, text: str) -> None:
    with pytest.raises(BadInput) as caught:
        depth_from_message(message, 0.001, 1000)
    assert caught.value.kind == kind and text in caught.value.text


class Reader:
    """A `DepthInput` for a colour image of 4x3 pixels in the frame `camera`."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []
        self._input = DepthInput(lambda *complaint: self.said.append(complaint))

    def read(self, message: Any, settings: Settings = SETTINGS) -> np.ndarray:
        colour = ColourImage("/image", raw_header(5, "camera"), (4, 3))
        return self._input.read(message, "/depth", colour, settings)


def test_the_unit_of_integers_is_a_parameter() -> None:
    settings = Settings.from_values({"mode": "rgbd", "depth.unit": 0.0002})
    depth = Reader().read(raw(MILLIMETRES, "16UC1"), settings)
    np.testing.assert_allclose(depth[0, 1:], 0.2 * METRES[0, 1:], rtol=1e-6)


def test_a_depth_image_of_another_size_is_not_registered() -> None:
    reader = Reader()
    with pytest.raises(BadInput, match=r"2x3, the colour image on /image 4x3: it is not reg"):
        reader.read(raw(MILLIMETRES[:, :2].copy(), "16UC1"))


def test_one_in_another_frame_is_used_and_said_once() -> None:
    reader = Reader()
    for _ in range(2):
        assert np.isfinite(reader.read(raw(MILLIMETRES, "16UC1", "depth_optical"))).any()
    ((kind, topic, text),) = reader.said
    assert (kind, topic) == ("calibration", "/depth")
    assert "'depth_optical'" in text and "registered" in text


def test_an_image_without_any_depth_is_told_each_time() -> None:
    reader = Reader()
    for _ in range(2):
        assert np.isnan(reader.read(raw(0 * MILLIMETRES, "16UC1"))).all()
    assert [kind for kind, *_ in reader.said] == ["no_depth", "no_depth"]


def test_metres_that_are_millimetres_are_doubted() -> None:
    reader = Reader()
    reader.read(raw(1000 * METRES, "32FC1"))
    assert "32FC1 is in metres" in reader.said[0][2]
