"""Compressed pictures, of files and of messages, as the 8-bit arrays that a front end takes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.image_header import ImageHeaderError, image_size, is_complete
from msga_ros.frontend.images import to_8bit

_MOST_PIXELS = 1 << 30  # that OpenCV decodes
# All of a 16-bit picture's range, and no turning by the orientation flag of a JPEG: a calibration
# is one of the pixels as stored.
_FLAGS = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION


class PictureError(ValueError):
    """A picture that cannot be decoded; the message says why, `kind` in a word.

    Kinds: `compressed` (no picture of a known format, or a damaged one), `truncated`, `oversized`.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


def decode_picture(data: bytes | memoryview, max_pixels: int = 0) -> NDArray[np.uint8]:
    """A JPEG, PNG, WebP or TIFF as (H, W) grey or (H, W, 3) BGR, 8 bit as by `to_8bit`.

    The size that the header announces is checked against `max_pixels` (0: what OpenCV decodes at
    most) before anything is decoded; other formats that OpenCV knows are taken where any size is.
    Raises `PictureError`.
    """
    view = memoryview(data).cast("B")
    try:
        width, height = image_size(view)
        complete = is_complete(view)
    except ImageHeaderError as error:
        if max_pixels:
            raise PictureError("compressed", str(error)) from None
        return _decoded(view, str(error))
    if not complete:
        text = f"the compressed picture breaks off after {len(view)} bytes"
        raise PictureError("truncated", text)
    if width * height > (max_pixels or _MOST_PIXELS):
        raise PictureError("oversized", f"an image of {width}x{height} pixels")
    return _decoded(view, f"a picture of {width}x{height} that cannot be decoded")


def read_picture(path: Path) -> NDArray[np.uint8]:
    """The picture of a file, as `decode_picture`; the `PictureError` names the file.

    Raises `OSError` where the file cannot be read.
    """
    try:
        return decode_picture(path.read_bytes())
    except PictureError as error:
        raise PictureError(error.kind, f"{path}: not a readable image: {error.text}") from None


def _decoded(view: memoryview, complaint: str) -> NDArray[np.uint8]:
    try:
        image = cv2.imdecode(np.frombuffer(view, dtype=np.uint8), _FLAGS) if len(view) else None
    except cv2.error as error:
        reason = " ".join(str(error).split())
        raise PictureError("compressed", f"the picture cannot be decoded: {reason}") from None
    if image is None:
        raise PictureError("compressed", complaint)
    return to_8bit(image)
