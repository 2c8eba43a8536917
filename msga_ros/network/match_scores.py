"""What a network says of matches, and what answers so: with torch or another runtime."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class MatchScores:
    """What the network says of N matches, on the host.

    `essential` (3, 3) float64, Frobenius norm 1, NaN where the matches are too few; `residual` (N,)
    float64, squared symmetric epipolar distance in normalised coordinates, inf for invalid matches;
    `score` (N,) float64, logit of being an inlier before any geometry, -inf for invalid matches.
    """

    essential: NDArray[np.float64]
    residual: NDArray[np.float64]
    score: NDArray[np.float64]

    def candidates(self, score_threshold: float) -> NDArray[np.bool_]:
        """`(N,)` bool: the matches that a robust estimator should look at.

        Chosen by score: it has seen every match, while a residual is only as good as the one
        solution it is measured against.
        """
        return self.score > score_threshold

    def with_verified(self, inlier_threshold: float) -> MatchScores:
        """The same, but what agrees with the network's own solution is a candidate as well.

        For matches that are right unless shown to be false: the solution, not their looks, decides.
        """
        score = np.where(self.inliers(inlier_threshold), np.maximum(self.score, 1.0), self.score)
        return replace(self, score=score)

    def inliers(self, inlier_threshold: float) -> NDArray[np.bool_]:
        """`(N,)` bool: the matches that agree with the network's own solution."""
        return self.residual < inlier_threshold


@runtime_checkable
class Network(Protocol):
    """A network on one device, ready to judge the matches of one pair after another."""

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        ...

    @property
    def verifies(self) -> bool:
        """Whether it judges every match by its solution, or only what it kept."""
        ...

    def __call__(
        self,
        correspondences: NDArray[np.generic],
        valid: NDArray[np.bool_],
        evidence: NDArray[np.generic] | None,
    ) -> MatchScores:
        """Judge `correspondences` (N, 4) and `evidence` (N, 2 or more), see `MSGANet.forward`; rows
        that are not `valid` (N,) influence nothing. `RuntimeError` where the device fails."""
        ...

    def on(self, device: torch.device) -> Network:
        """A copy on another device; raises `RuntimeError` where it cannot be there."""
        ...
