"""Module 5, losses: the matching distribution against the true one, confidence against truth."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def divergence(target: Tensor, log_predicted: Tensor) -> Tensor:
    """Kullback-Leibler divergence `(M,)` of distributions over the last dimension.

    `target` `(M, K)` sums to 1; `log_predicted` `(M, K)` may be -inf where the target is 0.
    """
    known = target > 0
    logarithm = torch.where(known, log_predicted, 0.0).clamp(min=-50.0)
    entropy = torch.where(known, target * target.clamp(min=1e-12).log(), 0.0)
    return entropy.sum(-1) - (target * logarithm).sum(-1)


def sparse_divergence(indices: Tensor, shares: Tensor, log_predicted: Tensor) -> Tensor:
    """The same `(M,)`, of targets that are spread over a few entries.

    `indices` `(M, k)` of the entries of `log_predicted` `(M, K)`, `shares` `(M, k)` sum to 1.
    """
    return divergence(shares, log_predicted.gather(1, indices))


def band_divergence(inside: Tensor, log_predicted: Tensor, floor: float = 0.0) -> Tensor:
    """Where only a band is known that holds the true partner: `(M,)`.

    The target is the prediction restricted to `inside` `(M, K)` bool and renormalised; the
    divergence from it is minus the logarithm of the band's mass. `floor` is added to the mass: a
    point with less in its band has probably no partner, and should not pull hard.
    """
    mass = torch.logsumexp(log_predicted.masked_fill(~inside, -torch.inf), 1).clamp(min=-50.0)
    return -(mass.exp() + floor).log() if floor else -mass


def confidence_loss(logits: Tensor, correct: Tensor, known: Tensor) -> Tensor:
    """Cross entropy of M matches: scalar, the mean over those whose truth is `known` `(M,)`.

    Proper, so that its minimum is the calibrated probability: no class is weighted.
    """
    every = F.binary_cross_entropy_with_logits(logits, correct.to(logits.dtype), reduction="none")
    return mean_where(every, known)


def offset_loss(found: Tensor, true: Tensor, known: Tensor, scale: float = 0.3) -> Tensor:
    """How far M found points `(M, 2)` are from the true ones: scalar.

    The logarithm of one plus the squared distance over `scale` pixels: what is far off already is
    the affair of coarser levels.
    """
    squared = (found - true).square().sum(1) / scale**2
    return mean_where(torch.log1p(squared), known)


def mean_where(values: Tensor, known: Tensor) -> Tensor:
    """Mean of `values` `(M,)` that are `known`; zero, with a gradient, where none are."""
    kept = torch.where(known, values, torch.zeros_like(values))
    return kept.sum() / known.sum().clamp(min=1)
