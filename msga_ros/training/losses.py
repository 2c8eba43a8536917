"""Losses of the network: weighted classification of the matches, geometry of the solution, and
agreement of its results for a pair and for the same pair with its views swapped."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from msga_ros.geometry.epipolar import (
    symmetric_epipolar_distance_squared,
)
from msga_ros.network import INLIER_THRESHOLD, MSGANetResult
from msga_ros.training.batches import Batch


@dataclass(frozen=True)
class LossConfig:
    """Weights of the parts."""

    geometry: float = 0.5  # of the geometry loss
    geometry_kind: str = "log"  # log: log1p(distance / geometry_scale); clamped: the published one
    geometry_scale: float = 2e-3  # normalised units (2 pixels at f = 1000)
    geometry_from: int = 0  # iteration from which it counts
    view_swap: float = 0.0  # of the agreement of both directions; above 0 costs a second pass

    def __post_init__(self) -> None:
        if self.geometry_kind not in ("log", "clamped"):
            raise ValueError(f"geometry_kind must be log or clamped, not {self.geometry_kind!r}")
        if self.view_swap < 0:
            raise ValueError(f"view_swap must not be negative, not {self.view_swap}")

    def geometry_weight(self, iteration: int) -> float:
        """Of the geometry loss at an iteration."""
        return self.geometry if iteration >= self.geometry_from else 0.0


@dataclass(frozen=True)
class Loss:
    """`total` is `classification` plus the weighted `geometry`; scalars."""

    total: Tensor
    classification: Tensor
    geometry: Tensor


def loss(result: MSGANetResult, batch: Batch, config: LossConfig, iteration: int) -> Loss:
    """Loss of the network's result: the mean over the samples that have enough matches.

    What the result marks as padding (index -1, logit -inf) counts for nothing.
    """
    indices = [None, None, result.kept[0], result.kept[0], result.kept[1]]
    classification = torch.stack(
        [
            _classification(logits, batch.residual, kept)
            for logits, kept in zip(result.logits, indices, strict=True)
        ]
    ).sum()
    virtual, seen = virtual_correspondences(batch.rotation, batch.translation)
    seen = seen & result.sufficient.unsqueeze(1)
    # NaN stands for no solution; its gradient would be NaN too, even where it is not used.
    essential = result.essential.masked_fill(~result.sufficient[:, None, None], 1.0)
    geometry = geometry_loss(virtual, essential, config, seen)
    weight = config.geometry_weight(iteration)
    return Loss(classification + weight * geometry, classification, geometry)


def _classification(logits: Tensor, residual: Tensor, kept: Tensor | None) -> Tensor:
    """Loss of `(B, K)` logits of the matches that `kept` names, None: of all."""
    logits = logits.float()
    valid = ~torch.isneginf(logits)
    if kept is not None:
        residual = residual.gather(1, kept.clamp_min(0))
    return classification_loss(logits, residual, valid)


def classification_loss(logits: Tensor, residual: Tensor, valid: Tensor | None = None) -> Tensor:
    """Class-balanced binary cross entropy with the published adaptive temperature.

    Args:
        logits: `(B, N)`.
        residual: `(B, N)` squared symmetric epipolar distance to the true matrix; a match is an
            inlier below 1e-4.
        valid: `(B, N)` bool, None where all are; others may hold anything.

    Returns:
        Scalar: per sample `mean(loss)` with positives weighted by `max(negatives / positives, 1)`,
        averaged over the samples that have any match.

    Source: Zhao et al., CLNet, ICCV 2021, section 3.4; as MSGA-Net trains.
    """
    if valid is None:
        valid = torch.ones_like(logits, dtype=torch.bool)
    positive = (residual < INLIER_THRESHOLD) & valid
    temperature = torch.where(
        positive, torch.exp(-(residual - INLIER_THRESHOLD).abs() / INLIER_THRESHOLD), 1.0
    )
    positives = positive.sum(1, keepdim=True)
    negatives = valid.sum(1, keepdim=True) - positives
    balance = (negatives / positives.clamp_min(1)).clamp_min(1.0)
    every = F.binary_cross_entropy_with_logits(
        logits.masked_fill(~valid, 0.0) * temperature,
        positive.to(logits.dtype),
        pos_weight=balance,
        reduction="none",
    )
    return _mean_of_samples(every, valid)


def geometry_loss(
    virtual: Tensor, essential: Tensor, config: LossConfig, valid: Tensor | None = None
) -> Tensor:
    """How far noiseless matches `(B, N, 4)` of the true motion lie from the solution's `(B, 3, 3)`
    epipolar lines: scalar, the mean over samples; `valid` `(B, N)` as in `classification_loss`."""
    distance = symmetric_epipolar_distance_squared(virtual, essential)
    if valid is None:
        valid = torch.ones_like(distance, dtype=torch.bool)
    if config.geometry_kind == "clamped":
        every = distance.clamp(max=0.1)
    else:
        every = torch.log1p((distance + 1e-12).sqrt() / config.geometry_scale)
    return _mean_of_samples(every, valid)


def view_swap_loss(result: MSGANetResult, swapped: MSGANetResult) -> Tensor:
    """Disagreement of the results on a batch and on the same with its views swapped: scalar.

    Mean squared difference of the probabilities that the first module gives every match, and of
    both solutions, of which one must be the other's transpose up to sign.
    """
    valid = ~torch.isneginf(result.logits[1])
    scores = [
        torch.sigmoid(r.logits[1].masked_fill(~valid, 0.0).float()) for r in (result, swapped)
    ]
    sufficient = result.sufficient & swapped.sufficient
    empty = ~sufficient[:, None, None]
    one = result.essential.masked_fill(empty, 1.0)
    other = swapped.essential.transpose(1, 2).masked_fill(empty, 1.0)
    apart = torch.minimum(
        (one - other).square().sum((1, 2)), (one + other).square().sum((1, 2))
    ).unsqueeze(1)
    return _mean_of_samples((scores[0] - scores[1]).square(), valid) + _mean_of_samples(
        apart, sufficient.unsqueeze(1)
    )


def _mean_of_samples(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the samples that have any valid value, of the mean over those."""
    counts = valid.sum(1)
    means = values.masked_fill(~valid, 0.0).sum(1) / counts.clamp_min(1)
    return means.sum() / (counts > 0).sum().clamp_min(1)


def virtual_correspondences(rotation: Tensor, translation: Tensor) -> tuple[Tensor, Tensor]:
    """Noiseless matches of the true motion, `(B, 256, 4)`, spread over image and depth.

    A grid of 8 x 8 over a field of view of 60 degrees, at four depths from twice the baseline up.
    The second result, `(B, 256)` bool, says which of them lie in front of the second camera.
    """
    steps = torch.linspace(-0.577, 0.577, 8, device=rotation.device, dtype=rotation.dtype)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    rays = torch.stack((x, y, torch.ones_like(x)), -1).reshape(1, -1, 3)
    far = rays @ rotation.transpose(1, 2)
    moved = torch.cat([far + translation.unsqueeze(1) / depth for depth in (2, 4, 10, 30)], 1)
    first = rays[..., :2].repeat(len(rotation), 4, 1)
    seen = moved[..., 2] > 0.1
    second = moved[..., :2] / moved[..., 2:].clamp_min(0.1)
    return torch.cat((first, second), -1), seen
