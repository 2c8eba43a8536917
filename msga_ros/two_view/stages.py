"""The stages of the pipeline: what a front end, a matcher, a sieve and a solver must be.

What flows between them: `Features`, `Matches`, `NormalisedMatches`, `MatchScores`,
`RobustEstimate`. `chosen_stages` makes those that a configuration names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msga_ros.frontend.base import Features, Matches, normalised_evidence
from msga_ros.frontend.config import FrontendConfig
from msga_ros.geometry.camera import Camera

if TYPE_CHECKING:
    from msga_ros.geometry.robust.base import RobustEstimate
    from msga_ros.network.match_scores import MatchScores
    from msga_ros.two_view.config import PipelineConfig


class Extractor(Protocol):
    """The half of a front end that sees images. One thread at a time uses an instance."""

    @property
    def name(self) -> str:
        """The name that the configuration chooses it by."""

    def extract(self, image: NDArray[np.generic]) -> Features:
        """Features of `image`: (H, W) uint8 or uint16, or (H, W, 3) BGR of the same types.

        An image without texture has zero keypoints. `FrontendError` if it is no image at all.
        """

    def reconfigured(self, config: FrontendConfig) -> Extractor:
        """The same with other settings: no weights are loaded, features made before stay valid."""


class Matcher(Protocol):
    """The other half, which relates features. One thread at a time uses an instance."""

    def match(self, features0: Features, features1: Features) -> Matches:
        """Putative matches; `FrontendError` where the features are not of the same kind."""

    def reconfigured(self, config: FrontendConfig) -> Matcher:
        """The same with other settings: no weights are loaded."""


class Frontend(Protocol):
    """From images to putative matches. One thread at a time uses an instance."""

    @property
    def name(self) -> str:
        """The name that the configuration chooses it by."""

    def extract(self, image: NDArray[np.generic]) -> Features:
        """As `Extractor.extract`."""

    def match(self, features0: Features, features1: Features) -> Matches:
        """As `Matcher.match`."""

    def reconfigured(self, config: FrontendConfig) -> Frontend:
        """The same with other settings: no weights are loaded, features made before stay valid."""


@runtime_checkable
class TrackingFrontend(Protocol):
    """A front end that finds the points of one view again in the next, which keep their `ids`."""

    def follow(self, previous: Features, image: NDArray[np.generic]) -> Features:
        """Features of the next image of the camera that `previous` is from.

        Points that were found again have the ids that they had, others new ones. An image of
        another size is extracted afresh.
        """

    def beside(self, left: Features, image: NDArray[np.generic]) -> Features:
        """The points of `left` in the image of the other camera, of the same instant."""

    def end(self, features: Features, indices: NDArray[np.int64]) -> None:
        """Follow these points (indices of `features`) no further: they are false."""


@dataclass(frozen=True)
class NormalisedMatches:
    """What a sieve sees of N putative matches.

    `correspondences` (N, 4) float64: `(x0, y0, x1, y1)`, normalised coordinates. `valid` (N,) bool:
    the others are none, their rows hold anything. `evidence` (N, 5) float32: columns `EVIDENCE`,
    sizes in focal lengths, NaN where unknown; None: nothing is known. `confidence` (N,) in [0, 1]:
    the matcher's own, or None. `followed`: these
    are points followed from view to view, few of which are wrong.
    """

    correspondences: NDArray[np.float64]
    valid: NDArray[np.bool_]
    evidence: NDArray[np.float32] | None = None
    confidence: NDArray[np.float32] | None = None
    followed: bool = False

    @classmethod
    def of(cls, matches: Matches, camera0: Camera, camera1: Camera) -> NormalisedMatches:
        """`matches` as the cameras see them; what a camera model cannot explain is not valid."""
        return cls.without_evidence(matches, camera0, camera1).described(matches, camera0, camera1)

    @classmethod
    def without_evidence(
        cls, matches: Matches, camera0: Camera, camera1: Camera
    ) -> NormalisedMatches:
        """Where the cameras see `matches`, and nothing of what descriptors say of them."""
        points = (camera0.normalize(matches.keypoints0), camera1.normalize(matches.keypoints1))
        correspondences = np.hstack(points)
        return cls(
            correspondences,
            np.isfinite(correspondences.sum(axis=1)),
            None,
            matches.confidence,
            matches.followed is not None,
        )

    def described(self, matches: Matches, camera0: Camera, camera1: Camera) -> NormalisedMatches:
        """The same with the evidence of `matches`, of which these are."""
        focals = camera0.mean_focal, camera1.mean_focal
        return replace(self, evidence=normalised_evidence(matches.evidence, *focals))


class Sieve(Protocol):
    """Tells true matches from false ones."""

    @property
    def source(self) -> str:
        """Where its knowledge is from (a checkpoint's name), for messages; may be empty."""

    @property
    def verifies(self) -> bool:
        """Whether a match that it would drop may still be called an inlier of the final motion."""

    def __call__(self, matches: NormalisedMatches) -> MatchScores:
        """A score for each match, and the sieve's own solution where it has one."""

    def reconfigured(self, config: PipelineConfig) -> Sieve:
        """The same with other settings: no weights are loaded."""


class Solver(Protocol):
    """Finds the motion that most of the matches agree with. A function will do."""

    def __call__(
        self,
        points0: ArrayLike,
        points1: ArrayLike,
        threshold: float,
        *,
        score: ArrayLike | None = None,
        essential: ArrayLike | None = None,
        seed: int = 0,
        confidence: float = 0.9999,
        max_iterations: int = 10_000,
    ) -> RobustEstimate:
        """The motion of matches `points0`, `points1` (N, 2), normalised; NaN rows are no inliers.

        `threshold`: largest epipolar distance of an inlier, normalised. `score` (N,) and
        `essential` (3, 3): the sieve's; `seed`, `confidence`, `max_iterations`: of random samples.
        Each solver takes what it can use. No motion found: `success` is False, no exception.

        A solver that does not use `score` (it samples) has the attribute `uses_scores = False`: it
        is asked twice, about more matches and about fewer, and the scores decide between the
        answers.
        """


@runtime_checkable
class OnDevice(Protocol):
    """A stage that computes on a device, and says so."""

    @property
    def device(self) -> str:
        """Where it computes now."""

    @property
    def device_problem(self) -> str:
        """Why that is the CPU though CUDA was meant; "" where all is well."""


def follow(frontend: Frontend, previous: Features | None, image: NDArray[np.generic]) -> Features:
    """Features of `image`, which comes after `previous` of the same camera (None: the first)."""
    if previous is not None and isinstance(frontend, TrackingFrontend):
        return frontend.follow(previous, image)
    return frontend.extract(image)


def beside(frontend: Frontend, left: Features, image: NDArray[np.generic]) -> Features:
    """Features of the right image of a stereo pair, whose left one has the features `left`."""
    if isinstance(frontend, TrackingFrontend):
        return frontend.beside(left, image)
    return frontend.extract(image)
