"""What tells places apart: a vocabulary, and the front end of it where another one verifies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import Features, FrontendError
from msga_ros.frontend.config import FrontendConfig
from msga_ros.loops.vlad import VocabularyError, packaged_vocabulary
from msga_ros.two_view.chosen_stages import create_frontend

SIFT = "sift"  # which has a vocabulary in the package
# Front ends whose descriptors are those of another one, and its vocabulary theirs.
_DESCRIBED_AS = {"fast_sift": SIFT}


class Describes(Protocol):
    """What is used of a `Vocabulary`."""

    @property
    def length(self) -> int:
        """Entries of a global descriptor."""

    @property
    def identity(self) -> str:
        """Which vocabulary it is: global descriptors of another one cannot be compared."""

    def describe(self, descriptors: NDArray[np.generic]) -> NDArray[np.float32]:
        """The global descriptor (E,) of an image, by the descriptors (N, D) of its features."""


class Extracts(Protocol):
    """What is used of a front end."""

    def extract(self, image: NDArray[np.uint8]) -> Features:
        """Features of one image."""


@dataclass(frozen=True)
class Places:
    """`verified_by`: the front end whose features keyframes keep. `extractor`: that of the
    vocabulary, None where it is the same."""

    vocabulary: Describes
    verified_by: str = SIFT
    extractor: Extracts | None = None

    def describe(self, image: NDArray[np.uint8], features: Features) -> NDArray[np.float32]:
        """The global descriptor (E,) of an image with these `features`. Raises `FrontendError`,
        `VocabularyError`."""
        if self.extractor is not None:
            features = self.extractor.extract(image)
        return self.vocabulary.describe(features.descriptors)


def packaged_places(frontend: FrontendConfig) -> Places:
    """With the vocabulary that the package has for `frontend`, or that of SIFT beside it.

    Raises `VocabularyError` for a front end whose features say nothing by themselves.
    """
    try:
        described_as = _DESCRIBED_AS.get(frontend.name, frontend.name)
        return Places(packaged_vocabulary(described_as), frontend.name)
    except VocabularyError:
        extractor = create_frontend(FrontendConfig(SIFT, max_pixels=frontend.max_pixels))
        return Places(packaged_vocabulary(SIFT), frontend.name, extractor)


def check_kept(features: Features, frontend: str) -> None:
    """Whether a keyframe can do with its features, without its image. Raises `FrontendError`."""
    if not features.fixed_keypoints or features.ids is not None:
        raise FrontendError(
            f"{frontend}: points that are found with the other image at hand, or followed from "
            "image to image, cannot be kept in a map: take sift, orb or aliked"
        )
