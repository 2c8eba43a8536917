"""Video files as a sequence of one camera, truth unknown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from msga_ros.datasets.sequences.base import LEFT, Frame, SequenceError
from msga_ros.geometry.camera import Camera

GUESSED_FIELD_OF_VIEW = 60.0  # degrees, horizontal; of a usual webcam or phone
_USUAL_RATE = 30.0


class VideoSequence:
    """The frames of whatever OpenCV can decode; `camera` None guesses 60 degrees across.

    Raises `SequenceError` for a file that cannot be decoded.
    """

    def __init__(self, path: str | Path, camera: Camera | None = None) -> None:
        self.path = Path(path)
        capture = self._open()
        rate, count = (
            capture.get(cv2.CAP_PROP_FPS),
            capture.get(cv2.CAP_PROP_FRAME_COUNT),
        )
        arrived, first = capture.read()
        capture.release()
        if not arrived:
            raise SequenceError(f"{self.path}: no frame could be decoded")
        height, width = first.shape[:2]
        self.camera = camera or guess_camera(width, height)
        if (self.camera.width, self.camera.height) not in ((0, 0), (width, height)):
            raise SequenceError(
                f"{self.path}: is {width}x{height}, "
                f"the camera {self.camera.width}x{self.camera.height}"
            )
        self._rate = float(rate) if np.isfinite(rate) and rate > 0 else _USUAL_RATE
        self._count = max(int(count), 1) if np.isfinite(count) else 1

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def rate(self) -> float:
        return self._rate

    @property
    def cameras(self) -> tuple[str, ...]:
        return (LEFT,)

    def __len__(self) -> int:
        """As the file's header says; a damaged file may give fewer."""
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        capture = self._open()
        try:
            index = 0
            while True:
                arrived, image = capture.read()
                if not arrived:
                    return
                pixels = image.astype(np.uint8, copy=False)
                yield Frame(index / self._rate, {LEFT: pixels}, {LEFT: self.camera})
                index += 1
        finally:
            capture.release()

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self.path))
        if not capture.isOpened():
            raise SequenceError(f"{self.path}: not a video that OpenCV can read")
        return capture


def guess_camera(width: int, height: int, focal: float = 0.0) -> Camera:
    """A pinhole with its principal point in the middle; `focal` in pixels, 0: a usual lens."""
    if focal <= 0:
        focal = width / 2.0 / np.tan(np.radians(GUESSED_FIELD_OF_VIEW / 2.0))
    middle = ((width - 1) / 2.0, (height - 1) / 2.0)
    k = np.array([[focal, 0.0, middle[0]], [0.0, focal, middle[1]], [0.0, 0.0, 1.0]])
    return Camera(k=k, width=width, height=height)
