"""Losses of the network: weighted classification of the matches, geometry of the solution."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from msga_ros.geometry.epipolar import (
    essential_from_pose,
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

    def __post_init__(self) -> None:
        if self.geometry_kind not in ("log", "clamped"):
            raise ValueError(f"geometry_kind must be log or clamped, not {self.geometry_kind!r}")


@dataclass(frozen=True)
class Loss:
    """`total` is `classification` plus the weighted `geometry`; scalars."""

    total: Tensor
    classification: Tensor
    geometry: Tensor


def loss(result: MSGANetResult, batch: Batch, config: LossConfig, iteration: int) -> Loss:
    """Loss of the network's result on an unpadded batch."""
    labels = [batch.residual, batch.residual]
    for kept in result.kept:
        labels += [batch.residual.gather(1, kept)] * (2 if kept is result.kept[0] else 1)
    classification = torch.stack(
        [
            classification_loss(logits, residual)
            for logits, residual in zip(result.logits, labels, strict=True)
        ]
    ).sum()
    virtual, seen = virtual_correspondences(batch.rotation, batch.translation)
    distance = symmetric_epipolar_distance_squared(virtual, result.essential)[seen]
    if config.geometry_kind == "clamped":
        geometry = distance.clamp(max=0.1).mean()
    else:
        geometry = torch.log1p((distance + 1e-12).sqrt() / config.geometry_scale).mean()
    weight = config.geometry if iteration >= config.geometry_from else 0.0
    return Loss(classification + weight * geometry, classification, geometry)


def classification_loss(logits: Tensor, residual: Tensor) -> Tensor:
    """Class-balanced binary cross entropy with the published adaptive temperature.

    Args:
        logits: `(B, N)`.
        residual: `(B, N)` squared symmetric epipolar distance to the true matrix; a match is an
            inlier below 1e-4.

    Returns:
        Scalar: per sample `mean(loss)` with positives weighted by `max(negatives / positives, 1)`,
        averaged over the batch.

    Source: Zhao et al., CLNet, ICCV 2021, section 3.4; as MSGA-Net trains.
    """
    positive = residual < INLIER_THRESHOLD
    temperature = torch.where(
        positive, torch.exp(-(residual - INLIER_THRESHOLD).abs() / INLIER_THRESHOLD), 1.0
    )
    positives = positive.sum(1, keepdim=True)
    negatives = residual.shape[1] - positives
    balance = (negatives / positives.clamp_min(1)).clamp_min(1.0)
    return F.binary_cross_entropy_with_logits(
        logits * temperature, positive.to(logits.dtype), pos_weight=balance
    )


def virtual_correspondences(
    rotation: Tensor, translation: Tensor, side: int = 8
) -> tuple[Tensor, Tensor]:
    """Noiseless matches of the true motion, `(B, 4 side^2, 4)`, spread over image and depth.

    A grid over a field of view of 60 degrees, at four depths from twice the baseline up. The second
    result, `(B, 4 side^2)` bool, says which of them lie in front of the second camera.
    """
    steps = torch.linspace(-0.577, 0.577, side, device=rotation.device, dtype=rotation.dtype)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    rays = torch.stack((x, y, torch.ones_like(x)), -1).reshape(1, -1, 3)
    far = rays @ rotation.transpose(1, 2)
    moved = torch.cat([far + translation.unsqueeze(1) / depth for depth in (2, 4, 10, 30)], 1)
    first = rays[..., :2].repeat(len(rotation), 4, 1)
    seen = moved[..., 2] > 0.1
    second = moved[..., :2] / moved[..., 2:].clamp_min(0.1)
    return torch.cat((first, second), -1), seen


def true_essential(batch: Batch) -> Tensor:
    """`(B, 3, 3)`, Frobenius norm 1."""
    essential = essential_from_pose(batch.rotation, batch.translation)
    return essential / essential.flatten(1).norm(dim=1)[:, None, None]
