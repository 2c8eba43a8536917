"""A sieve that believes what the matcher says of itself, or else the ratio test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from msga_ros.network.match_scores import MatchScores
from msga_ros.two_view.stages import NormalisedMatches

if TYPE_CHECKING:
    from msga_ros.two_view.config import PipelineConfig


@dataclass(frozen=True)
class Config:
    least: float = 0.3


class TinySieve:
    source = "tiny 1.0"
    verifies = True

    def __init__(self, least: float) -> None:
        self.least = least

    def __call__(self, matches: NormalisedMatches) -> MatchScores:
        sure = matches.confidence
        if sure is None:
            assert matches.evidence is not None
            sure = 1.1 - matches.evidence[:, 0]
        score = np.where(matches.valid & (sure > self.least), 1.0, -1.0)
        return MatchScores(np.full((3, 3), np.nan), np.full(len(score), np.inf), score)

    def reconfigured(self, config: PipelineConfig) -> TinySieve:
        return create(config)


def create(config: PipelineConfig) -> TinySieve:
    own = config.sieve.own
    return TinySieve((own if isinstance(own, Config) else Config()).least)
