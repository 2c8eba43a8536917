"""What a structured-light depth sensor makes of a rendered depth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class DepthSensor:
    """A sensor that triangulates: its noise is that of a disparity, the same in inverse depth.

    `sigma`: standard deviation of an inverse depth, 1/m, so that the error of a depth grows as its
    square. `correlation_px`: over how many pixels (standard deviation) errors are alike. `nearest`,
    `farthest`: range, metres. `jump`, `shadow_px`: around pixels whose inverse depth differs by
    that share, nothing is seen that near, in pixels. `holes`: share of the image in spots without
    a depth.
    """

    sigma: float = 0.002
    correlation_px: float = 1.0
    nearest: float = 0.4
    farthest: float = 8.0
    jump: float = 0.05
    shadow_px: int = 2
    holes: float = 0.05

    def measure(
        self, inverse_depth: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.uint16]:
        """Depth image (H, W) in whole millimetres, 0 for none, of a true inverse depth, 1/m."""
        height, width = inverse_depth.shape
        noise = rng.standard_normal((height, width), np.float32)
        if self.correlation_px > 0:
            noise = cv2.GaussianBlur(noise, (0, 0), self.correlation_px).astype(np.float32)
            noise /= noise.std()
        measured = inverse_depth + self.sigma * noise
        seen = (measured > 1 / self.farthest) & (measured < 1 / self.nearest)
        seen &= ~self._beside_jumps(inverse_depth)
        if self.holes > 0:
            spots = rng.standard_normal((height, width), np.float32)
            spots = cv2.GaussianBlur(spots, (0, 0), 4.0).astype(np.float32)
            seen &= spots > np.quantile(spots, self.holes)
        metres = np.divide(1.0, measured, out=np.zeros_like(measured), where=seen)
        return np.asarray(np.round(1000 * metres), dtype=np.uint16)

    def _beside_jumps(self, inverse_depth: NDArray[np.float32]) -> NDArray[np.bool_]:
        kernel = np.ones((3, 3), np.uint8)
        near = cv2.dilate(inverse_depth, kernel).astype(np.float32)
        far = cv2.erode(inverse_depth, kernel).astype(np.float32)
        edge = (near - far > self.jump * near).astype(np.uint8)
        size = 2 * self.shadow_px + 1
        wide = cv2.dilate(edge, np.ones((size, size), np.uint8)).astype(np.uint8)
        return wide.astype(np.bool_)
