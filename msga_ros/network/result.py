"""What the network says of a batch, and how results of single samples become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

INLIER_THRESHOLD = 1e-4  # squared symmetric epipolar distance, normalised coordinates


@dataclass(frozen=True)
class MSGANetResult:
    """What the network says of a batch of `(B, N, 4)` correspondences.

    Attributes:
        logits: five tensors, the published order: two `(B, N)` of the first module, two `(B, K0)`
            of the second and one `(B, K1)` of the last, in the order of `kept`; -inf where padded.
        kept: `(B, K0)` and `(B, K1)` indices into the input of the matches that the first and the
            second module kept, best first; -1 where padded.
        essential: `(B, 3, 3)`, Frobenius norm 1; NaN for a sample of too few matches.
        residual: `(B, N)` squared symmetric epipolar distance of every match to `essential`; inf
            where masked, and for a sample of too few matches.
        inlier_probability: `(B, N)`, `1 / (1 + residual / 1e-4)`: 0.5 at the published threshold.
        sufficient: `(B,)` bool, whether the sample had enough matches (`MSGANet.min_matches`).
        weights: `(B, K1)` of the matches in the eight-point solution, sum 1; 0 where padded.
    """

    logits: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
    kept: tuple[Tensor, Tensor]
    essential: Tensor
    residual: Tensor
    inlier_probability: Tensor
    sufficient: Tensor
    weights: Tensor


def inlier_probability(residual: Tensor) -> Tensor:
    """`1 / (1 + residual / INLIER_THRESHOLD)`: 0.5 at the threshold, 0 for an infinite residual."""
    return 1 / (1 + residual / INLIER_THRESHOLD)


def empty_result(correspondences: Tensor, kept_counts: tuple[int, int] = (0, 0)) -> MSGANetResult:
    """The stated result of `(B, N, 4)` correspondences of which no sample has enough matches."""
    batch, count, _ = correspondences.shape
    first, second = kept_counts

    def full(*shape: int, value: float) -> Tensor:
        return correspondences.new_full((batch, *shape), value)

    def no_index(width: int) -> Tensor:
        return torch.full((batch, width), -1, dtype=torch.long, device=correspondences.device)

    widths = (count, count, first, first, second)
    logits = [full(width, value=-torch.inf) for width in widths]
    return MSGANetResult(
        logits=(logits[0], logits[1], logits[2], logits[3], logits[4]),
        kept=(no_index(first), no_index(second)),
        essential=full(3, 3, value=torch.nan),
        residual=full(count, value=torch.inf),
        inlier_probability=full(count, value=0.0),
        sufficient=torch.zeros(batch, dtype=torch.bool, device=correspondences.device),
        weights=full(second, value=0.0),
    )


def merge_samples(
    correspondences: Tensor, parts: Sequence[tuple[int, Tensor, MSGANetResult]]
) -> MSGANetResult:
    """One result for `(B, N, 4)` correspondences from results of single samples.

    Args:
        correspondences: the whole batch.
        parts: per sample of enough matches its place in the batch, the `(n,)` rows that were
            looked at, and what was found, a result of batch size 1.
    """
    counts = [[part.kept[i].shape[1] for _, _, part in parts] for i in (0, 1)]
    merged = empty_result(correspondences, (max(counts[0]), max(counts[1])))
    for sample, rows, part in parts:
        for target, source in zip(merged.logits[:2], part.logits[:2], strict=True):
            target[sample, rows] = source[0]
        for target, source in zip(merged.logits[2:], part.logits[2:], strict=True):
            target[sample, : source.shape[1]] = source[0]
        for target, source in zip(merged.kept, part.kept, strict=True):
            target[sample, : source.shape[1]] = rows[source[0]]
        merged.essential[sample] = part.essential[0]
        merged.residual[sample, rows] = part.residual[0]
        merged.inlier_probability[sample, rows] = part.inlier_probability[0]
        merged.weights[sample, : part.weights.shape[1]] = part.weights[0]
        merged.sufficient[sample] = True
    return merged


def without(result: MSGANetResult, sufficient: Tensor) -> MSGANetResult:
    """`result` with the stated result in place of the samples that have too few matches."""
    missing = ~sufficient
    rows = missing.unsqueeze(1)

    def filled(values: Tensor, value: float) -> Tensor:
        return values.masked_fill(rows, value)

    logits = [filled(values, -torch.inf) for values in result.logits]
    residual = filled(result.residual, torch.inf)
    return MSGANetResult(
        logits=(logits[0], logits[1], logits[2], logits[3], logits[4]),
        kept=(filled(result.kept[0], -1), filled(result.kept[1], -1)),
        essential=result.essential.masked_fill(missing[:, None, None], torch.nan),
        residual=residual,
        inlier_probability=inlier_probability(residual),
        sufficient=sufficient,
        weights=filled(result.weights, 0.0),
    )
