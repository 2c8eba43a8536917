"""Pictures of spots, for what looks for blobs."""

from __future__ import annotations

import numpy as np

WIDTH, HEIGHT = 201, 151  # odd, so that the octaves do not halve evenly


def drawn(*spots: tuple[float, float, float, float]) -> np.ndarray:
    """A grey image with `spots` of x, y, standard deviation and contrast."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = np.full((HEIGHT, WIDTH), 120.0)
    for x, y, sigma, contrast in spots:
        image += contrast * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return image.round().astype(np.uint8)
