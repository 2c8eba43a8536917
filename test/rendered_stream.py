"""Views of the rendered courtyard, and where a point of one is in another: from its true depth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.sequences.base import LEFT, RIGHT
from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence

Array = NDArray[np.float64]
Grey = NDArray[np.uint8]

FRAMES = 12


@dataclass(frozen=True)
class RenderedStream:
    """A stereo camera on its way round the courtyard, six times as slow as by default."""

    sequence: SyntheticSequence

    @classmethod
    def made(cls, width: int = 480, height: int = 360) -> RenderedStream:
        options = SyntheticOptions(
            frames=FRAMES, frames_per_round=600, width=width, height=height, focal=0.75 * width
        )
        return cls(SyntheticSequence(options))

    def images(self, index: int) -> dict[str, Grey]:
        return {
            side: cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            for side, image in self.sequence[index].images.items()
        }

    def true_points(
        self, points: NDArray[np.float32], first: int, last: int, side: str = LEFT
    ) -> Array:
        """Where `points` (N, 2) of the left image `first` are in the image `last` of `side`.

        NaN where something nearer hides them there, where the depth has an edge within a pixel, or
        where there is only sky.
        """
        k = self.sequence.camera.k
        before, after = self.sequence.poses(first)[LEFT], self.sequence.poses(last)[side]
        inverse = self._inverse_depth(first, LEFT)
        depth = 1 / _at(inverse, points)
        rays = np.column_stack([points, np.ones(len(points))]) @ np.linalg.inv(k).T
        world = (rays * depth[:, None] - before.translation) @ before.rotation
        seen = world @ after.rotation.T + after.translation
        with np.errstate(all="ignore"):
            pixels = (seen / seen[:, 2:])[:, :2] @ k[:2, :2].T + k[:2, 2]
        hidden = np.abs(1 / seen[:, 2] - _at(self._inverse_depth(last, side), pixels)) > 0.01
        pixels[hidden | (_spread(inverse, points) > 0.02)] = np.nan
        return pixels

    def _inverse_depth(self, index: int, side: str) -> NDArray[np.float32]:
        return self.sequence.clean_view(self.sequence.poses(index)[side])[1]


def stream_of(stream: RenderedStream) -> list[dict[str, Grey]]:
    """All its images, by side."""
    return [stream.images(index) for index in range(FRAMES)]


def _at(values: NDArray[np.float32], points: Array | NDArray[np.float32]) -> Array:
    """`values` (H, W) at `points` (N, 2); NaN outside."""
    height, width = values.shape
    inside = (points >= 0).all(1) & (points <= [width - 1, height - 1]).all(1)
    x, y = np.where(inside[:, None], points, 0.0).astype(np.float32).T
    found = cv2.remap(values, x[:, None], y[:, None], cv2.INTER_LINEAR)[:, 0]
    return np.where(inside & (found > 0), found, np.nan)


def _spread(values: NDArray[np.float32], points: NDArray[np.float32]) -> Array:
    """How much `values` differ around `points` (N, 2)."""
    window = np.ones((5, 5), np.uint8)
    return _at(cv2.dilate(values, window) - cv2.erode(values, window) + 1e-6, points)


__all__ = ["FRAMES", "LEFT", "RIGHT", "RenderedStream", "stream_of"]
