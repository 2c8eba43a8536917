"""The operations between the layers by torch, see `plain_rows`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from msga_ros.geometry.eight_point import weighted_eight_point
from msga_ros.geometry.epipolar import symmetric_epipolar_distance_squared
from msga_ros.network.evidence import EVIDENCE, evidence_inputs
from msga_ros.network.fused.values import Chosen, Counts, Sieving
from msga_ros.network.result import INLIER_THRESHOLD
from msga_ros.network.sieving import take


def count(valid: Tensor, sieving: Sieving) -> Counts:
    """As in `kernels.matches`."""
    counts = valid.sum(1)
    sufficient = counts >= sieving.least
    counts = torch.where(sufficient, counts, valid.shape[1])
    kept0 = counts * sieving.keep.numerator // sieving.keep.denominator
    kept1 = kept0 * sieving.keep.numerator // sieving.keep.denominator
    mask = valid | ~sufficient.unsqueeze(1)
    return Counts(
        mask.to(torch.int8), torch.stack((counts, kept0, kept1), 1).int(), sufficient.to(torch.int8)
    )


def encode(
    correspondences: Tensor, evidence: Tensor | None, valid: Tensor, sieving: Sieving
) -> Tensor:
    """As in `kernels.matches`."""
    parts = [correspondences]
    if sieving.evidence:
        if evidence is None:
            evidence = correspondences.new_full((1, 1, len(EVIDENCE)), torch.nan)
            evidence = evidence.expand(*correspondences.shape[:2], -1)
        parts.append(evidence_inputs(sieving.evidence, evidence))
    return torch.where(valid.unsqueeze(-1), torch.cat(parts, -1), 0.0)


def eight_point(
    matches: Tensor,
    weights: Tensor,
    mask: Tensor,
    sufficient: Tensor,
    *,
    sigmoid: bool,
    hartley: bool,
) -> Tensor:
    """As in `kernels.eight_point`."""
    weights = (torch.sigmoid(weights) if sigmoid else weights) * mask
    weights = weights / weights.sum(1, keepdim=True).clamp_min(1e-6)
    essential = weighted_eight_point(matches[..., :4], weights, hartley)
    return essential.masked_fill(~sufficient.bool()[:, None, None], torch.nan)


def choose_first(
    inputs: Tensor,
    score0: Tensor,
    score1: Tensor,
    counts: Counts,
    essential: Tensor | None,
    kept: int,
) -> tuple[Chosen, Tensor]:
    """As in `kernels.matches`."""
    order = _order(score1, counts.mask, kept)
    matches = take(inputs, order)
    scores = F.relu(torch.tanh(torch.stack((take(score0, order), take(score1, order)), -1)))
    seen = [matches[..., :4], scores, matches[..., 4:]]
    if essential is not None:
        residual = symmetric_epipolar_distance_squared(matches[..., :4], essential)
        decades = torch.log10(residual / INLIER_THRESHOLD + 1e-9)
        seen.append((decades / -3).clamp(-1, 1).nan_to_num(0.0).unsqueeze(-1))
    return _chosen(order, order, counts.counts[:, 1]), torch.cat(seen, -1)


def choose_second(
    inputs: Tensor, score1: Tensor, features: Tensor, before: Chosen, counts: Counts, kept: int
) -> tuple[Chosen, Tensor, Tensor]:
    """As in `kernels.matches`."""
    order = _order(score1, before.mask, kept)
    chosen = _chosen(order, take(before.origin, order), counts.counts[:, 2])
    return chosen, take(inputs[..., :4], order), take(features, order)


def _order(score: Tensor, mask: Tensor, kept: int) -> Tensor:
    score = score.masked_fill(mask == 0, -torch.inf)
    return score.argsort(dim=1, descending=True, stable=True)[:, :kept]


def _chosen(order: Tensor, origin: Tensor, counts: Tensor) -> Chosen:
    mask = torch.arange(order.shape[1], device=order.device) < counts.unsqueeze(1)
    return Chosen(origin.int(), mask.to(torch.int8))


def weigh(raw: Tensor, mask: Tensor) -> Tensor:
    """As in `kernels.matches`."""
    last, log_scale = raw.unbind(-1)
    log_weight = (log_scale + F.logsigmoid(last)).masked_fill(mask == 0, -1e9)
    return torch.softmax(log_weight, 1) * mask


def judge(
    inputs: Tensor, essential: Tensor, score1: Tensor, counts: Counts
) -> tuple[Tensor, Tensor]:
    """As in `kernels.matches`."""
    residual = symmetric_epipolar_distance_squared(inputs[..., :4], essential)
    hidden = ~(counts.mask.bool() & counts.sufficient.bool().unsqueeze(1))
    return residual.masked_fill(hidden, torch.inf), score1.masked_fill(hidden, -torch.inf)
