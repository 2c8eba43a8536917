"""Images as they come to 8-bit images of the size that features are extracted at."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import FrontendError

_LOGGER = logging.getLogger(__name__)

# Of a 16-bit image, the share of pixels that may be cut off at each end of the stretched range.
_CLIPPED_SHARE = 1e-3


@dataclass(frozen=True)
class ScaledImage:
    """An image, and the way back from its pixels to those of the image as received."""

    pixels: NDArray[np.uint8]  # (h, w) grey, or (h, w, 3) RGB
    received_size: tuple[int, int]  # (width, height) of the image as received

    def to_received(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        """Points (N, 2) of `pixels`, in pixels of the image as received.

        Pixel centres are at whole numbers, so it is the *edges* of both images, half a pixel
        further out, that fall together.
        """
        height, width = self.pixels.shape[:2]
        scale = np.array(self.received_size) / np.array([width, height])
        return (points + 0.5) * scale - 0.5

    @property
    def enlargement(self) -> float:
        """Length in the image as received of what is one pixel long in `pixels`, in the mean."""
        return float(np.sqrt(np.prod(self.received_size) / np.prod(self.pixels.shape[:2])))


def prepare(image: NDArray[np.generic], max_size: int, max_pixels: int = 0) -> ScaledImage:
    """`image` as 8-bit grey, its longest side at most `max_size` and at most `max_pixels` in all.

    0: as received. That an image is reduced for `max_pixels` is said once in a process.
    """
    return _scaled(to_grey(image), max_size, max_pixels)


def prepare_colour(image: NDArray[np.generic], max_size: int, max_pixels: int = 0) -> ScaledImage:
    """As `prepare`, but RGB; the three channels of a mono image are equal."""
    plain = _checked(image)
    conversion = cv2.COLOR_BGR2RGB if plain.ndim == 3 else cv2.COLOR_GRAY2RGB
    return _scaled(np.asarray(cv2.cvtColor(plain, conversion), np.uint8), max_size, max_pixels)


def to_grey(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """(H, W) uint8 from mono or BGR of 8 or 16 bits; `FrontendError` from anything else.

    Of 16 bits by `to_8bit`.
    """
    plain = _checked(image)
    return cv2.cvtColor(plain, cv2.COLOR_BGR2GRAY) if plain.ndim == 3 else plain


def extraction_size(size: tuple[int, int], max_size: int, max_pixels: int) -> tuple[int, int]:
    """(width, height) that features of an image of `size` are extracted at; limits of 0: none."""
    width, height = size
    scale = max_size / max(size) if 0 < max_size < max(size) else 1.0
    if max_pixels and width * scale * height * scale > max_pixels:
        scale = math.sqrt(max_pixels / (width * height))
        return max(1, int(width * scale)), max(1, int(height * scale))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _scaled(image: NDArray[np.uint8], max_size: int, max_pixels: int) -> ScaledImage:
    received = (image.shape[1], image.shape[0])
    size = extraction_size(received, max_size, max_pixels)
    if size != received:
        if size != extraction_size(received, max_size, 0):
            _say_reduced(received, size)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return ScaledImage(image, received)


@cache
def _say_reduced(received: tuple[int, int], size: tuple[int, int]) -> None:
    """Once in a process for each size."""
    _LOGGER.warning(reduced_text(received, size))


def reduced_text(received: tuple[int, int], size: tuple[int, int]) -> str:
    """What there is to say of an image that is reduced for `frontend.max_pixels`."""
    return (
        f"images of {received[0]}x{received[1]}: their features are found at {size[0]}x{size[1]} "
        "(frontend.max_pixels), in pixels of the images as received"
    )


def _checked(image: NDArray[np.generic]) -> Any:
    """(H, W) or (H, W, 3) with 8 bits, from 8 or 16; `FrontendError` for anything else."""
    if not isinstance(image, np.ndarray):
        raise FrontendError(f"an image must be a numpy array, not {type(image).__name__}")
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim != 2 and (image.ndim != 3 or image.shape[2] != 3):
        raise FrontendError(f"an image must be (H, W) or (H, W, 3), not {image.shape}")
    if image.size == 0:
        raise FrontendError(f"an image must have pixels, not {image.shape}")
    if image.dtype.kind != "u" or image.dtype.itemsize > 2:
        raise FrontendError(f"an image must be uint8 or uint16, not {image.dtype}")
    return to_8bit(image)


def to_8bit(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Pixels of any numbers, (H, W) or (H, W, C), with 8 bits; the one conversion of the package.

    Images of more than 8 bits seldom use their range (a 10-bit sensor, a thermal camera), so they
    are not shifted but stretched: the 0.1 and 99.9 percentiles of all channels together become 0
    and 255. NaN counts as the darkest, and a constant image is black.
    """
    # OpenCV wants native byte order and its own memory layout.
    plain: Any = np.ascontiguousarray(image, dtype=image.dtype.newbyteorder("="))
    if plain.dtype == np.uint8:
        return np.asarray(plain, np.uint8)
    known = plain[np.isfinite(plain)] if plain.dtype.kind == "f" else plain
    if known.size == 0:
        return np.zeros(plain.shape, np.uint8)
    low, high = np.quantile(known, (_CLIPPED_SHARE, 1 - _CLIPPED_SHARE)).astype(np.float64)
    if not high > low:
        return np.zeros(plain.shape, np.uint8)
    if plain.dtype == np.uint16:  # a table of all levels is quicker than arithmetic on all pixels
        return _stretched(np.arange(1 << 16), low, high)[plain]
    return _stretched(plain, low, high)


def _stretched(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    scaled = (values.astype(np.float64) - low) * (255.0 / (high - low))
    return np.nan_to_num(np.clip(scaled, 0, 255)).round().astype(np.uint8)
