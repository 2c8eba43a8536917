"""Images of every kind that a camera gives, to the grey one that features are extracted from."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from msga_ros.frontend import FrontendError
from msga_ros.frontend.images import prepare, to_grey


def ramp(levels: int, dtype: type) -> NDArray[np.generic]:
    return np.tile(np.linspace(0, levels - 1, 256).astype(dtype), (64, 1))


def test_mono8_is_taken_as_it_is() -> None:
    image = ramp(256, np.uint8)
    np.testing.assert_array_equal(to_grey(image), image)
    np.testing.assert_array_equal(to_grey(image[:, :, None]), image)


def test_bgr_weighs_green_most() -> None:
    blue, green, red = (np.zeros((4, 4, 3), np.uint8) for _ in range(3))
    blue[..., 0], green[..., 1], red[..., 2] = 255, 255, 255
    assert to_grey(blue).max() < to_grey(red).max() < to_grey(green).max()


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_mono16_uses_the_whole_range_whatever_the_sensor_fills(bits: int) -> None:
    grey = to_grey(ramp(1 << bits, np.uint16))
    assert grey.dtype == np.uint8
    assert grey.min() == 0 and grey.max() == 255
    np.testing.assert_allclose(grey[0], np.arange(256), atol=1.5)


def test_mono16_is_not_upset_by_a_few_hot_pixels() -> None:
    image = ramp(1024, np.uint16)
    image[0, :5] = 65535
    np.testing.assert_allclose(to_grey(image)[1], np.arange(256), atol=2)


def test_mono16_of_the_other_byte_order() -> None:
    image = ramp(1 << 12, np.uint16)
    np.testing.assert_array_equal(to_grey(image.astype(">u2")), to_grey(image))


def test_constant_mono16_is_black() -> None:
    assert to_grey(np.full((8, 8), 700, np.uint16)).max() == 0


def test_strided_views_are_accepted() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    turned = image[:, ::-1, ::-1]
    np.testing.assert_array_equal(to_grey(turned), to_grey(turned.copy()))


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (np.zeros((4, 4, 4), np.uint8), r"\(4, 4, 4\)"),
        (np.zeros(4, np.uint8), r"\(4,\)"),
        (np.zeros((0, 4), np.uint8), "pixels"),
        (np.zeros((4, 4), np.float32), "float32"),
        ("image.png", "str"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_image_is_refused(image: object, complaint: str) -> None:
    with pytest.raises(FrontendError, match=complaint):
        to_grey(image)  # type: ignore[arg-type]


def test_corners_of_a_scaled_image_are_those_of_the_received_one() -> None:
    scaled = prepare(np.zeros((480, 640), np.uint8), 100)
    assert scaled.pixels.shape == (75, 100)
    corners = scaled.to_received(np.array([[-0.5, -0.5], [99.5, 74.5]]))
    np.testing.assert_allclose(corners, [[-0.5, -0.5], [639.5, 479.5]])
