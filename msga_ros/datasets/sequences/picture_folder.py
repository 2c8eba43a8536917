"""A folder of pictures of one camera as footage, in the order of their names; truth unknown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.sequences.base import LEFT, Frame, SequenceError
from msga_ros.datasets.sequences.video import guess_camera
from msga_ros.frontend.pictures import PictureError, read_picture
from msga_ros.geometry.camera import Camera

_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"))
_RATE = 10.0  # Hz, of the stamps: pictures have no time


class PictureFolder:
    """The pictures of a folder; `camera` None guesses 60 degrees across.

    Raises `SequenceError` for a folder without pictures, and while it is iterated over for a
    picture that cannot be read or is of another size than the first.
    """

    def __init__(self, folder: str | Path, camera: Camera | None = None) -> None:
        self._folder = Path(folder)
        self._files = sorted(
            path for path in self._folder.iterdir() if path.suffix.lower() in _SUFFIXES
        )
        if not self._files:
            raise SequenceError(f"{self._folder}: no picture in it")
        height, width = self._read(self._files[0]).shape[:2]
        self._size = (width, height)
        self._camera = camera or guess_camera(width, height)
        if (self._camera.width, self._camera.height) not in ((0, 0), self._size):
            raise SequenceError(
                f"{self._folder}: pictures of {width}x{height}, the camera is for "
                f"{self._camera.width}x{self._camera.height}"
            )

    @property
    def name(self) -> str:
        """That of the folder."""
        return self._folder.resolve().name

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[Frame]:
        for index, path in enumerate(self._files):
            image = self._read(path)
            size = (image.shape[1], image.shape[0])
            if size != self._size:
                raise SequenceError(f"{path}: is {size}, the first picture is {self._size}")
            yield Frame(index / _RATE, {LEFT: image}, {LEFT: self._camera})

    @staticmethod
    def _read(path: Path) -> NDArray[np.uint8]:
        try:
            return read_picture(path)
        except (OSError, PictureError) as error:
            raise SequenceError(f"{path}: not a readable picture ({error})") from None
