"""The better half of the matches, by rank instead of a sort, and what comes with it."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from msga_ros.network.fused.kernels.judgement import distance
from msga_ros.network.fused.values import Chosen, Counts
from msga_ros.network.result import INLIER_THRESHOLD


@triton.jit
def _rank(score, mask, sample, row, rows, BM: tl.constexpr, BN: tl.constexpr):
    """How many of the sample's scores stand before that of each row: the higher, of equals the
    earlier, valid ones before the others."""
    there = row < rows
    first = sample * rows
    seen = tl.load(mask + first + row, mask=there, other=0) != 0
    own = tl.load(score + first + row, mask=there, other=0.0)
    own = tl.where(seen, own, -float("inf"))
    rank = tl.zeros((BM,), dtype=tl.int32)
    for start in range(0, rows, BN):
        other = start + tl.arange(0, BN)
        known = other < rows
        valid = tl.load(mask + first + other, mask=known, other=0) != 0
        theirs = tl.load(score + first + other, mask=known, other=0.0)
        theirs = tl.where(valid, theirs, -float("inf"))
        before = (theirs[None, :] > own[:, None]) | (
            (theirs[None, :] == own[:, None]) & (other[None, :] < row[:, None])
        )
        rank += tl.sum((before & known[None, :]).to(tl.int32), 1)
    return rank


@triton.jit
def _positive_tanh(values):
    return tl.maximum(2.0 / (1.0 + tl.exp(-2.0 * values)) - 1.0, 0.0)


@triton.jit(do_not_specialize=["rows", "kept"])
def choose_first_kernel(
    inputs,
    score0,
    score1,
    mask,
    counts,
    essential,
    origin,
    kept_mask,
    seen,
    rows,
    kept,
    WIDTH: tl.constexpr,
    AGREEMENT: tl.constexpr,
    THRESHOLD: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
):
    """The `kept` matches of the highest `score1`, best first: `origin` `(B, kept)` where each was,
    `kept_mask` which are no padding, `seen` `(B, kept, WIDTH + 2 or 3)`, what the second module
    sees of them."""
    sample = tl.program_id(1)
    row = tl.program_id(0) * BM + tl.arange(0, BM)
    rank = _rank(score1, mask, sample, row, rows, BM, BN)
    count = tl.load(counts + sample * 3 + 1)
    there = row < rows
    chosen = there & (rank < kept)
    slot = sample * kept + rank
    tl.store(origin + slot, row, mask=chosen)
    tl.store(kept_mask + slot, (rank < count).to(tl.int8), mask=chosen)
    at = sample * rows + row
    point = inputs + at * WIDTH
    out = seen + slot * (WIDTH + 2 + AGREEMENT)
    for c in tl.static_range(4):
        tl.store(out + c, tl.load(point + c, mask=chosen, other=0.0), mask=chosen)
    for c in tl.static_range(4, WIDTH):
        tl.store(out + c + 2, tl.load(point + c, mask=chosen, other=0.0), mask=chosen)
    before = tl.load(score0 + at, mask=chosen, other=0.0)
    after = tl.load(score1 + at, mask=chosen, other=0.0)
    tl.store(out + 4, _positive_tanh(before), mask=chosen)
    tl.store(out + 5, _positive_tanh(after), mask=chosen)
    if AGREEMENT:
        residual = distance(point, chosen, essential + sample * 9)
        decades = tl.log(residual / THRESHOLD + 1e-9) * 0.4342944819032518
        agreement = tl.minimum(tl.maximum(decades / -3.0, -1.0), 1.0)
        agreement = tl.where(decades == decades, agreement, 0.0)
        tl.store(out + WIDTH + 2, agreement, mask=chosen)


@triton.jit(do_not_specialize=["rows", "kept"])
def choose_second_kernel(
    inputs,
    score1,
    mask,
    counts,
    features,
    before,
    origin,
    kept_mask,
    kept_matches,
    kept_features,
    rows,
    kept,
    WIDTH: tl.constexpr,
    C: tl.constexpr,
    CB: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
):
    """The `kept` matches of the highest `score1`: `origin` in the input of the network (by way of
    `before` `(B, N)`), `kept_mask`, `kept_matches` `(B, kept, 4)`, `kept_features`
    `(B, kept, C)`."""
    sample = tl.program_id(1)
    row = tl.program_id(0) * BM + tl.arange(0, BM)
    rank = _rank(score1, mask, sample, row, rows, BM, BN)
    count = tl.load(counts + sample * 3 + 2)
    chosen = (row < rows) & (rank < kept)
    slot = sample * kept + rank
    at = sample * rows + row
    tl.store(origin + slot, tl.load(before + at, mask=chosen, other=0), mask=chosen)
    tl.store(kept_mask + slot, (rank < count).to(tl.int8), mask=chosen)
    for c in tl.static_range(4):
        value = tl.load(inputs + at * WIDTH + c, mask=chosen, other=0.0)
        tl.store(kept_matches + slot * 4 + c, value, mask=chosen)
    channel = tl.arange(0, CB)
    both = chosen[:, None] & (channel < C)[None, :]
    values = tl.load(features + at[:, None] * C + channel[None, :], mask=both, other=0.0)
    tl.store(kept_features + slot[:, None] * C + channel[None, :], values, mask=both)


def choose_first(
    inputs: Tensor,
    score0: Tensor,
    score1: Tensor,
    counts: Counts,
    essential: Tensor | None,
    kept: int,
) -> tuple[Chosen, Tensor]:
    """The `kept` best of the first module, and what the second sees of them."""
    batch, rows, width = inputs.shape
    chosen = Chosen(
        torch.empty(batch, kept, dtype=torch.int32, device=inputs.device),
        torch.empty(batch, kept, dtype=torch.int8, device=inputs.device),
    )
    agreement = essential is not None
    seen = inputs.new_empty(batch, kept, width + 2 + agreement)
    choose_first_kernel[(triton.cdiv(rows, 16), batch)](
        inputs,
        score0,
        score1,
        counts.mask,
        counts.counts,
        essential,
        chosen.origin,
        chosen.mask,
        seen,
        rows,
        kept,
        WIDTH=width,
        AGREEMENT=int(agreement),
        THRESHOLD=INLIER_THRESHOLD,
        BM=16,
        BN=256,
        num_warps=4,
    )
    return chosen, seen


def choose_second(
    inputs: Tensor, score1: Tensor, features: Tensor, before: Chosen, counts: Counts, kept: int
) -> tuple[Chosen, Tensor, Tensor]:
    """The `kept` best of the second module, their coordinates `(B, kept, 4)` and features."""
    batch, rows, width = inputs.shape
    channels = features.shape[-1]
    chosen = Chosen(
        torch.empty(batch, kept, dtype=torch.int32, device=inputs.device),
        torch.empty(batch, kept, dtype=torch.int8, device=inputs.device),
    )
    matches = inputs.new_empty(batch, kept, 4)
    kept_features = inputs.new_empty(batch, kept, channels)
    choose_second_kernel[(triton.cdiv(rows, 16), batch)](
        inputs,
        score1,
        before.mask,
        counts.counts,
        features,
        before.origin,
        chosen.origin,
        chosen.mask,
        matches,
        kept_features,
        rows,
        kept,
        WIDTH=width,
        C=channels,
        CB=max(16, triton.next_power_of_2(channels)),
        BM=16,
        BN=256,
        num_warps=4,
    )
    return chosen, matches, kept_features
