"""What every front end takes and gives: `Features` of one image, `Matches` of two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Columns of what the descriptors and keypoints say of a match, see `Matches.evidence`.
EVIDENCE = ("ratio", "mutual", "rotation", "log_scale", "distance")


class FrontendError(ValueError):
    """An unknown front end, an image it cannot read, or features of two different front ends."""


# (N, D), to be compared by their Euclidean or, of bits, by their Hamming distance.
Descriptors = NDArray[np.float32] | NDArray[np.uint8]


@dataclass(frozen=True)
class Features:
    """What a front end keeps of one image: keypoints, strongest first, and a descriptor of each.

    `keypoints` (N, 2) float32: pixels (u, v) of the image as received, the centre of its top-left
    pixel at (0, 0). `scores` (N,) float32: the detector's response, higher is stronger.
    `descriptors` (N, D): float32 to be compared by their Euclidean distance, or uint8 holding bits
    to be compared by their Hamming distance. `image_size`: (width, height) as received. `angles`
    (N,) radians and `sizes` (N,) pixels of the keypoints, NaN where unknown.

    `payload`: whatever else the front end needs of the image when it matches (a pyramid,
    descriptors on a device); it is kept as long as the view is. One with a true attribute
    `repeats_descriptors` says nothing new and may be left out. Not `fixed_keypoints`: the points
    are found when both images are seen, N is 0, and nothing can be tracked from view to view.
    `kept`: the image, where another front end may be asked about it.
    `ids` (N,): of the points, from a front end that follows them from view to view
    (`TrackingFrontend`); None from any other. Not `independent`:
    descriptors are read from one map of the image, so neighbours err together.
    """

    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    descriptors: Descriptors
    image_size: tuple[int, int]
    angles: NDArray[np.float32] | None = None
    sizes: NDArray[np.float32] | None = None
    payload: Any = field(default=None, compare=False, repr=False)
    fixed_keypoints: bool = True
    ids: NDArray[np.int64] | None = None
    independent: bool = True
    kept: KeptImage | None = field(default=None, compare=False, repr=False)

    @classmethod
    def without_keypoints(cls, image_size: tuple[int, int], payload: Any) -> Features:
        """Of a front end that finds its points only when it sees both images."""
        none = np.empty((0, 2), np.float32)
        return cls(none, none[:, 0], none, image_size, payload=payload, fixed_keypoints=False)

    def __len__(self) -> int:
        return len(self.keypoints)


class KeptImage:
    """An image that another front end may be asked about and, once it was, its features instead.

    One thread at a time.
    """

    def __init__(self, image: NDArray[np.generic]) -> None:
        self._image: NDArray[np.generic] | None = image
        self._features: Features | None = None

    def features(self, extract: Callable[[NDArray[np.generic]], Features]) -> Features:
        """What `extract` says of the image; it is asked once, and the image given up then."""
        if self._features is None:
            assert self._image is not None
            self._features = extract(self._image)
            self._image = None
        return self._features


@dataclass(frozen=True)
class FollowedPair:
    """Two views whose points were followed from one to the other: numbers of the views.

    They count along a stream; left and right view of one instant have the same.
    """

    reference: int
    current: int


@dataclass(frozen=True)
class Matches:
    """Putative matches of two views.

    `keypoints0`, `keypoints1` (M, 2) float32: pixels of the images as received. `indices0`,
    `indices1` (M,) int64: which features they are; None where keypoints are not fixed.
    `confidence` (M,) in [0, 1]: how sure the matcher itself is, None where it does not say.

    What descriptors and keypoints say of a match, each (M,) float32 with NaN where it is unknown,
    or None: `ratio`, distance to the nearest neighbour over distance to the second nearest, in
    [0, 1], 1.0 where there is no second one, because nothing then says that the match is
    distinctive; `mutual`, bool: the neighbour's nearest neighbour in view 0 is this match;
    `rotation`, by how much the keypoint turns from view 0 to view 1, radians in [-pi, pi);
    `log_scale`, the binary logarithm of its size in view 1, in pixels, over that in view 0;
    `distance` of the descriptors, in [0, 1]: the Euclidean one of unit vectors over sqrt(2) and at
    most 1, the Hamming one over the number of bits. `followed`: of points that were followed from
    view to view, so that few are wrong; None: of nearest neighbours, many of which may be.

    `describe`, of matches that were known before the descriptors were looked at: the same matches
    with what these say, for who asks.

    Not `independent`: the matcher has looked at other matches, too, or the descriptors are not
    independent; neighbours err together.
    """

    keypoints0: NDArray[np.float32]
    keypoints1: NDArray[np.float32]
    indices0: NDArray[np.int64] | None = None
    indices1: NDArray[np.int64] | None = None
    ratio: NDArray[np.float32] | None = None
    mutual: NDArray[np.bool_] | None = None
    rotation: NDArray[np.float32] | None = None
    log_scale: NDArray[np.float32] | None = None
    distance: NDArray[np.float32] | None = None
    confidence: NDArray[np.float32] | None = None
    followed: FollowedPair | None = None
    independent: bool = True
    describe: Callable[[], Matches] | None = field(default=None, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.keypoints0)

    @property
    def feature_indices(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """`indices0`, `indices1`, for what cannot do without; `FrontendError` if there are none."""
        if self.indices0 is None or self.indices1 is None:
            raise FrontendError("matches of a front end without fixed keypoints name no features")
        return self.indices0, self.indices1

    @property
    def evidence(self) -> NDArray[np.float32]:
        """(M, 5), the columns `EVIDENCE`; NaN is unknown. `log_scale` is one of pixels."""
        if self.describe is not None:
            return self.describe().evidence
        known = (self.ratio, self.mutual, self.rotation, self.log_scale, self.distance)
        return evidence_columns(len(self), *known)


def evidence_columns(count: int, *columns: NDArray[np.generic] | None) -> NDArray[np.float32]:
    """(M, 5) float32, the columns `EVIDENCE` of `count` matches; those that are None become NaN."""
    unknown = np.full(count, np.nan, np.float32)
    known = (unknown if column is None else column for column in columns)
    return np.column_stack(tuple(known)).astype(np.float32)


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
