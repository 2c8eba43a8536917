"""What every front end takes and gives: `Features` of one image, `Matches` of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

# Columns of what the descriptors and keypoints say of a match, see `Matches.evidence`.
EVIDENCE = ("ratio", "mutual", "rotation", "log_scale", "distance")


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
    angles: NDArray[np.float32] | None = None
    sizes: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.keypoints)


@dataclass(frozen=True)
class Matches:
    """Nearest neighbours from view 0 to view 1, ordered by their index in view 0.

    `indices0`, `indices1` (M,) int64: into the features of each view. `ratio` (M,) float32:
    distance to the nearest neighbour over distance to the second nearest, in [0, 1]; 1.0 where
    there is no second one, because nothing then says that the match is distinctive. `mutual` (M,)
    bool: the neighbour's nearest neighbour in view 0 is this match.

    What else is known of a match, each (M,) float32 with NaN where it is unknown, or None:
    `rotation`, by how much the keypoint turns from view 0 to view 1, radians in [-pi, pi);
    `log_scale`, the binary logarithm of its size in view 1, in pixels, over that in view 0;
    `distance` of the descriptors, in [0, 1]: the Euclidean one of unit vectors over sqrt(2) and at
    most 1, the Hamming one over the number of bits.
    """

    indices0: NDArray[np.int64]
    indices1: NDArray[np.int64]
    ratio: NDArray[np.float32]
    mutual: NDArray[np.bool_]
    rotation: NDArray[np.float32] | None = None
    log_scale: NDArray[np.float32] | None = None
    distance: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.indices0)

    @property
    def evidence(self) -> NDArray[np.float32]:
        """(M, 5), the columns `EVIDENCE`; NaN is unknown. `log_scale` is one of pixels."""
        optional = (self.rotation, self.log_scale, self.distance)
        return evidence_columns(self.ratio, self.mutual, *optional)


def evidence_columns(
    ratio: NDArray[np.floating[Any]],
    mutual: NDArray[np.bool_],
    *optional: NDArray[np.floating[Any]] | None,
) -> NDArray[np.float32]:
    """(M, 5) float32, the columns `EVIDENCE`; those that are None become NaN."""
    unknown = np.full(len(ratio), np.nan, np.float32)
    others = (unknown if column is None else column for column in optional)
    return np.column_stack((ratio, mutual, *others)).astype(np.float32)


def normalised_evidence(
    evidence: NDArray[np.float32], focal0: float, focal1: float
) -> NDArray[np.float32]:
    """(M, 5) `evidence` as the network takes it: sizes count in focal lengths, not in pixels.

    `focal0`, `focal1`: mean focal length of each camera in pixels. Where one of them is NaN, the
    cameras count as equal and the sizes stay as they are.
    """
    normalised = np.array(evidence, np.float32)
    change = np.log2(focal0 / focal1)
    if np.isfinite(change):
        normalised[:, EVIDENCE.index("log_scale")] += np.float32(change)
    return normalised


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
