"""No sieve: all matches pass, and the solver alone decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from msga_ros.network.match_scores import MatchScores
from msga_ros.two_view.stages import NormalisedMatches

if TYPE_CHECKING:
    from msga_ros.two_view.config import PipelineConfig


_PASSES = 1e3  # a logit above every threshold


class NoSieve:
    """A passing score for all valid matches, the higher the surer the matcher is; no solution."""

    source = ""
    verifies = True

    def __call__(self, matches: NormalisedMatches) -> MatchScores:
        count = len(matches.correspondences)
        sure = np.zeros(count) if matches.confidence is None else matches.confidence
        score = np.where(matches.valid, _PASSES + sure, -np.inf)
        return MatchScores(np.full((3, 3), np.nan), np.full(count, np.inf), score)

    def reconfigured(self, config: PipelineConfig) -> NoSieve:
        return self


def create(config: PipelineConfig) -> NoSieve:
    """The sieve `none`."""
    return NoSieve()
