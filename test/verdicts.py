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
    if not assert_both_solved_or_none(one, other, valid):
        return
    apart = disagreement(one, other, valid)
    assert apart.essential < 1e-2, f"essential matrices {apart.essential:.1e} apart"
    assert apart.scores <= 0.02, f"{1 - apart.scores:.1%} of the scores agree"
    different = round(apart.decisions * int(valid.sum()))
    assert different <= 1 + 0.002 * int(valid.sum()), f"{different} decisions differ"
    assert apart.residuals <= 0.02, f"{1 - apart.residuals:.1%} of the residuals agree"


def assert_both_solved_or_none(
    one: MatchScores, other: MatchScores, valid: NDArray[np.bool_]
) -> bool:
    """What is no match, or has no solution, is marked so in both; whether there are solutions."""
    for verdict in (one, other):
        assert (verdict.score[~valid] == -np.inf).all()
        assert (verdict.residual[~valid] == np.inf).all()
    solved = bool(np.isfinite(one.essential).all())
    assert solved == np.isfinite(other.essential).all()
    for verdict in () if solved else (one, other):
        assert np.isnan(verdict.essential).all()
        assert (verdict.score == -np.inf).all() and (verdict.residual == np.inf).all()
    return solved


@dataclass(frozen=True)
class Disagreement:
    """`essential`: largest difference of the entries, up to sign; shares of the valid matches whose
    scores are more than 1 % apart, that are decided otherwise, whose distances differ by 3e-3."""

    essential: float
    scores: float
    decisions: float
    residuals: float


def disagreement(one: MatchScores, other: MatchScores, valid: NDArray[np.bool_]) -> Disagreement:
    """Of two verdicts that both have a solution."""
    score0, score1 = one.score[valid], other.score[valid]
    distance0, distance1 = np.sqrt(one.residual[valid]), np.sqrt(other.residual[valid])
    return Disagreement(
        min(float(np.abs(one.essential - s * other.essential).max()) for s in (1, -1)),
        float(np.mean(np.abs(score0 - score1) > 1e-2 * np.maximum(1, np.abs(score1)))),
        float(np.mean((score0 > 0) != (score1 > 0))),
        float(np.mean(np.abs(distance0 - distance1) >= 3e-3)),
    )
