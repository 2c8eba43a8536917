"""Matches of random scenes, wrong ones as real ones are wrong."""

from __future__ import annotations

import torch
from torch import Tensor

from msga_ros.network.evidence import EVIDENCE
from msga_ros.training.synthetic_scenes import synthetic_batch


def scenes(batch: int, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Matches `(batch, count, 4)` and evidence `(batch, count, 5)`, on the CPU."""
    made = synthetic_batch(batch, count, torch.Generator().manual_seed(seed))
    evidence = torch.full((batch, count, len(EVIDENCE)), torch.nan)
    evidence[..., : made.evidence.shape[-1]] = made.evidence
    return made.correspondences, evidence
