"""Putative matches of random scenes, and how alike two verdicts of them are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from msga_ros.network.match_scores import MatchScores
from msga_ros.training.synthetic_scenes import SyntheticConfig, synthetic_batch

# Scenes whose motion the right matches determine well: a depth of their own for each, a baseline.
DETERMINED = SyntheticConfig(
    motions=(1, 1, 0, 0, 0), structures=(1, 0, 0), inlier_share=(0.3, 0.9), noise=(0.1, 0.3)
)


@dataclass(frozen=True)
class Matches:
    """`correspondences` (N, 4), `evidence` (N, 2) of one pair, float32."""

    correspondences: NDArray[np.float32]
    evidence: NDArray[np.float32]

    @property
    def everyone(self) -> NDArray[np.bool_]:
        return np.ones(len(self.correspondences), dtype=bool)


def matches_of_a_scene(
    count: int, seed: int = 0, config: SyntheticConfig | None = DETERMINED
) -> Matches:
    """`count` matches, of them wrong ones in the ways that real ones are; None: any scene."""
    if not count:
        return Matches(np.zeros((0, 4), np.float32), np.zeros((0, 2), np.float32))
    made = synthetic_batch(1, count, torch.Generator().manual_seed(seed), config)
    return Matches(made.correspondences[0].numpy(), made.evidence[0].numpy())


def assert_alike(one: MatchScores, other: MatchScores, valid: NDArray[np.bool_]) -> None:
    """Equal but for what another order of sums changes.

    Neighbours at nearly the same distance can change places by it, and with them the scores of a
    few matches.
    """
    for verdict in (one, other):
        assert (verdict.score[~valid] == -np.inf).all()
        assert (verdict.residual[~valid] == np.inf).all()
    assert np.isfinite(one.essential).all() == np.isfinite(other.essential).all()
    if not np.isfinite(one.essential).all():
        for verdict in (one, other):
            assert np.isnan(verdict.essential).all()
            assert (verdict.score == -np.inf).all() and (verdict.residual == np.inf).all()
        return
    apart = min(np.abs(one.essential - s * other.essential).max() for s in (1, -1))
    assert apart < 1e-2, f"essential matrices {apart:.1e} apart"
    score0, score1 = one.score[valid], other.score[valid]
    close = np.mean(np.abs(score0 - score1) <= 1e-2 * np.maximum(1, np.abs(score1)))
    assert close >= 0.98, f"{close:.1%} of the scores agree"
    different = int(((score0 > 0) != (score1 > 0)).sum())
    assert different <= 1 + 0.002 * len(score0), f"{different} decisions differ"
    residual0, residual1 = one.residual[valid], other.residual[valid]
    close = np.mean(np.abs(np.sqrt(residual0) - np.sqrt(residual1)) < 3e-3)
    assert close >= 0.98, f"{close:.1%} of the residuals agree"
