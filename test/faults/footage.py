"""Small stereo frames with known poses: a real sequence where there is one, else rendered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from node.scenes import StereoSequence
from shared_data import SHARED

from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence

REAL = SHARED / "data" / "scenes" / "kitti_stereo_seq1"


@dataclass(frozen=True)
class View:
    """(H, W) uint8, its (3, 3) calibration, and its pose, world to camera."""

    pixels: np.ndarray
    k: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray

    def resized(self, factor: float) -> View:
        """The same view in a smaller image."""
        height, width = self.pixels.shape
        size = (round(width * factor), round(height * factor))
        pixels = cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA)
        k = np.diag([size[0] / width, size[1] / height, 1.0]) @ self.k
        return View(pixels, k, self.rotation, self.translation)

    def zoomed(self, factor: float) -> View:
        """An image of the same size through a longer lens."""
        height, width = self.pixels.shape
        centre = (width - 1) / 2, (height - 1) / 2
        zoom = np.array(
            [
                [factor, 0, centre[0] * (1 - factor)],
                [0, factor, centre[1] * (1 - factor)],
                [0, 0, 1],
            ]
        )
        pixels = cv2.warpPerspective(self.pixels, zoom, (width, height))
        return View(pixels, zoom @ self.k, self.rotation, self.translation)

    def turned(self, degrees: float) -> View:
        """What the camera sees after it has turned about its y axis where it stands."""
        height, width = self.pixels.shape
        turn = cv2.Rodrigues(np.radians([0.0, degrees, 0.0]))[0]
        homography = self.k @ turn @ np.linalg.inv(self.k)
        pixels = cv2.warpPerspective(self.pixels, homography, (width, height))
        return View(pixels, self.k, turn @ self.rotation, turn @ self.translation)


class Footage:
    """`view(frame, side)`, with the frames that there are repeated for ever, to and fro."""

    def __init__(self, factor: float = 0.5, frames: int = 12) -> None:
        self._factor = factor
        self.frames = frames
        self.real = REAL.is_dir()
        self.name = REAL.name if self.real else "synthetic"
        self._sequence = StereoSequence(REAL) if self.real else None
        self._rendered = SyntheticSequence(SyntheticOptions(frames=frames))
        self.baseline = self._sequence.baseline if self._sequence else 0.25
        self.view = lru_cache(maxsize=None)(self._view)

    def number(self, count: int) -> int:
        """The frame of the `count`-th picture: 0, 1, ..., n - 1, n - 2, ..., 1, 0, 1, ..."""
        place = count % (2 * self.frames - 2)
        return min(place, 2 * self.frames - 2 - place)

    def _view(self, frame: int, side: str) -> View:
        if self._sequence is not None:
            rotation, translation = self._sequence.pose(frame, side)
            k = self._sequence.k(frame, side)
            view = View(self._sequence.pixels(frame, side), k, rotation, translation)
        else:
            shown = self._rendered[frame]
            pixels = cv2.cvtColor(shown.images[side], cv2.COLOR_BGR2GRAY)
            pose = self._rendered.poses(frame)[side]
            k = self._rendered.camera.k
            view = View(pixels, k, pose.rotation, pose.translation)
        return view.resized(self._factor)


def current_in_reference(reference: View, current: View) -> tuple[np.ndarray, np.ndarray]:
    """The true pose of the current camera in the reference camera's frame."""
    rotation = reference.rotation @ current.rotation.T
    return rotation, reference.translation - rotation @ current.translation
