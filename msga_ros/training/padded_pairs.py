"""Pairs of a dump on one device, and the choice of matches from them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from msga_ros.datasets.dumps import INLIER_THRESHOLD, Pair
from msga_ros.network.evidence import EVIDENCE
from msga_ros.training.synthetic_scenes.draws import Draws

# How often matches are filtered by: nothing, mutual check, ratio < 0.95, both, both with 0.9.
FILTERS = (0.1, 0.25, 0.15, 0.3, 0.2)
FEWEST = 64  # matches that a crop and a filter must leave to be applied
_FEWEST_TRUE = 16  # that thinning leaves, or about as many
_LEAST_KEPT = 0.05  # of the true matches of a thinned sample


@dataclass(frozen=True)
class PaddedPairs:
    """Pairs padded to the longest: `(P, L, ...)`, on one device; `valid` says what is a match,
    `right` which of these lie within the threshold of the pair's motion."""

    correspondences: Tensor
    evidence: Tensor
    valid: Tensor
    right: Tensor
    rotation: Tensor
    translation: Tensor

    @classmethod
    def of(cls, pairs: list[Pair], device: torch.device) -> PaddedPairs:
        """`pairs`, at least one, padded to the longest of them, on `device`."""
        longest = max(len(pair.correspondences) for pair in pairs)
        shape = (len(pairs), longest)
        correspondences = torch.zeros(*shape, 4)
        evidence = torch.full((*shape, len(EVIDENCE)), torch.nan)
        valid = torch.zeros(shape, dtype=torch.bool)
        right = torch.zeros(shape, dtype=torch.bool)
        for place, pair in enumerate(pairs):
            count = len(pair.correspondences)
            correspondences[place, :count] = torch.from_numpy(pair.correspondences)
            known = pair.evidence.shape[1]
            evidence[place, :count, :known] = torch.from_numpy(pair.evidence)
            valid[place, :count] = True
            right[place, :count] = torch.from_numpy(pair.residual < INLIER_THRESHOLD)
        motion = [
            torch.from_numpy(np.stack([getattr(pair, name) for pair in pairs])).double()
            for name in ("rotation", "translation")
        ]
        parts = (correspondences, evidence, valid, right, *motion)
        return cls(*(part.to(device) for part in parts))

    def true_shares(self) -> Tensor:
        """`(P,)`: the share of each pair's matches that lie within the threshold of its motion."""
        return self.right.sum(1) / self.valid.sum(1).clamp_min(1)

    def take(self, index: Tensor) -> PaddedPairs:
        """Those of `index` `(B,)`, in this order."""
        return PaddedPairs(
            *(
                getattr(self, entry.name).index_select(0, index)
                for entry in dataclasses.fields(self)
            )
        )


def thinned(right: Tensor, candidates: Tensor, share: float, draws: Draws) -> Tensor:
    """`candidates` `(B, N)`, in a `share` of the samples without some that are `right` `(B, N)`.

    As if the detector had not found them: what is left is as true. Of such a sample a twentieth of
    them to all stay, few as likely as many (log-uniform), but about 16 where there are as many.
    """
    kept = draws.log_uniform(len(right), 1, low=_LEAST_KEPT, high=1.0)
    least = _FEWEST_TRUE / (candidates & right).sum(1, keepdim=True).clamp_min(1)
    kept = torch.where(draws.chance(share, len(right), 1), kept.maximum(least), 1.0)
    return candidates & ~(right & (draws.uniform(*right.shape) >= kept))


def choose_matches(
    evidence: Tensor,
    candidates: Tensor,
    count: int,
    draws: Draws,
    filters: tuple[float, ...] = FILTERS,
    fill: bool = True,
) -> tuple[Tensor, Tensor]:
    """At most `count` matches of each pair as one of several prefilters would leave them.

    A filter that leaves fewer than 64 is not applied where `fill` is False.

    Args:
        evidence: `(B, N, 2 or more)`, ratio and mutual first.
        candidates: `(B, N)` bool, the matches to choose from.
        filters: how often each is chosen, as `FILTERS`.
        fill: where a filter leaves fewer than `count`, add the best of the other candidates by
            ratio, and repeat matches where even those are too few: always exactly `count`.

    Returns:
        Indices `(B, count)`, and which of them are matches, `(B, count)` bool.
    """
    ratio, mutual = evidence[..., 0].nan_to_num(1.0), evidence[..., 1].nan_to_num(0.0) > 0
    masks = torch.stack(
        (
            torch.ones_like(mutual),
            mutual,
            ratio < 0.95,
            mutual & (ratio < 0.95),
            mutual & (ratio < 0.9),
        ),
        1,
    )
    kind = draws.choice(filters, len(evidence))
    passed = masks[torch.arange(len(kind), device=kind.device), kind] & candidates
    if not fill:
        passed = torch.where((passed.sum(1, keepdim=True) < FEWEST), candidates, passed)
    # In any order those that passed; then, to fill up, the others by their ratio; then no match.
    random = draws.uniform(*ratio.shape)
    rank = torch.where(passed, 2 + random, (1 - ratio) * candidates)
    rank = torch.where(passed | (candidates & fill), rank, -1.0)
    if rank.shape[1] < count:
        rank = F.pad(rank, (0, count - rank.shape[1]), value=-1.0)
    best, chosen = rank.topk(count, dim=1)
    available = (best >= 0).sum(1, keepdim=True)
    place = torch.arange(count, device=chosen.device).expand_as(chosen)
    valid = place < available
    if fill:
        # Again from the start where even all of them are too few.
        chosen = chosen.gather(1, place % available.clamp_min(1))
        return chosen, (available > 0).expand_as(valid)
    return chosen.masked_fill(~valid, 0), valid
