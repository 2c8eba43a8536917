"""What every front end takes and gives: `Features` of one image, `Matches` of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class FrontendError(ValueError):
    """An unknown front end, an image it cannot read, or features of two different front ends."""


@dataclass(frozen=True)
class Features:
    """Keypoints of one image, strongest first, and a descriptor of each.

    `keypoints` (N, 2) float32: pixels (u, v) of the image as received, the centre of its top-left
    pixel at (0, 0). `scores` (N,) float32: the detector's response, higher is stronger.
    `descriptors` (N, D): float32 to be compared by their Euclidean distance, or uint8 holding bits
    to be compared by their Hamming distance. `image_size`: (width, height) as received.
    """

    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    descriptors: NDArray[np.generic]
    image_size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.keypoints)


@dataclass(frozen=True)
class Matches:
    """Nearest neighbours from view 0 to view 1, ordered by their index in view 0.

    `indices0`, `indices1` (M,) int64: into the features of each view. `ratio` (M,) float32:
    distance to the nearest neighbour over distance to the second nearest, in [0, 1]; 1.0 where
    there is no second one, because nothing then says that the match is distinctive. `mutual` (M,)
    bool: the neighbour's nearest neighbour in view 0 is this match.
    """

    indices0: NDArray[np.int64]
    indices1: NDArray[np.int64]
    ratio: NDArray[np.float32]
    mutual: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.indices0)

    @property
    def evidence(self) -> NDArray[np.float32]:
        """(M, 2), ratio and mutual of each match, as the network takes them."""
        return np.column_stack((self.ratio, self.mutual)).astype(np.float32)


class Frontend(Protocol):
    """A way from images to putative matches. One thread at a time uses an instance."""

    @property
    def name(self) -> str:
        """The name that the configuration chooses it by."""

    def extract(self, image: NDArray[np.generic]) -> Features:
        """Features of `image`: (H, W) uint8 or uint16, or (H, W, 3) BGR of the same types.

        An image without texture has zero keypoints. `FrontendError` if it is no image at all.
        """

    def match(self, features0: Features, features1: Features) -> Matches:
        """Nearest neighbours that pass the ratio test and the mutual check, where those are on."""
