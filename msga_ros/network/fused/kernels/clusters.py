"""Matches pooled to clusters and back: attention of clusters to matches, and of matches to
clusters, without a matrix of memberships."""

import triton
import triton.language as tl
from torch import Tensor

from msga_ros.network.fused.kernels.statistics import scale_and_shift
from msga_ros.network.fused.values import Linear, Normed, Tiles

_NEVER = tl.constexpr(-1e30)


@triton.jit(do_not_specialize=["rows", "splits", "parts", "span"])
def pool_kernel(
    x,
    means,
    squares,
    counts,
    scale,
    shift,
    weight,
    bias,
    mask,
    largest_out,
    total_out,
    sums_out,
    rows,
    splits,
    span,
    parts,
    EPS: tl.constexpr,
    C: tl.constexpr,
    CB: tl.constexpr,
    G: tl.constexpr,
    BG: tl.constexpr,
    BM: tl.constexpr,
    PARTS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Of `span` rows of x `(B, N, C)`: for each of G clusters the largest logit m, the sum of
    `exp(logit - m)` and of `exp(logit - m) x`; logits are `relu(norm(x)) W^T + b`.

    Outputs `(B, splits, G)`, the same, and `(B, splits, G, C)`.
    """
    sample, split = tl.program_id(0) // splits, tl.program_id(0) % splits
    cell = tl.program_id(1) * BG + tl.arange(0, BG)
    real = cell < G
    channel = tl.arange(0, CB)
    inside = channel < C
    factor, mean, offset = scale_and_shift(
        means, squares, counts, scale, shift, sample, parts, channel, C, inside, EPS, PARTS
    )
    w = tl.load(
        weight + cell[:, None] * C + channel[None, :],
        mask=real[:, None] & inside[None, :],
        other=0.0,
    )
    b = tl.load(bias + cell, mask=real, other=0.0)
    largest = tl.full((BG,), _NEVER, dtype=tl.float32)
    total = tl.zeros((BG,), dtype=tl.float32)
    sums = tl.zeros((BG, CB), dtype=tl.float32)
    for start in range(split * span, tl.minimum((split + 1) * span, rows), BM):
        row = start + tl.arange(0, BM)
        there = row < rows
        at = sample * rows + row
        values = tl.load(
            x + at[:, None] * C + channel[None, :],
            mask=there[:, None] & inside[None, :],
            other=0.0,
        )
        normed = tl.maximum((values - mean[None, :]) * factor[None, :] + offset[None, :], 0.0)
        logits = tl.dot(w, tl.trans(normed), input_precision=PRECISION) + b[:, None]
        seen = tl.load(mask + at, mask=there, other=0) != 0
        logits = tl.where(seen[None, :], logits, _NEVER)
        now = tl.maximum(largest, tl.max(logits, 1))
        share = tl.where(seen[None, :], tl.exp(logits - now[:, None]), 0.0)
        less = tl.exp(largest - now)
        total = total * less + tl.sum(share, 1)
        sums = tl.dot(share, values, sums * less[:, None], input_precision=PRECISION)
        largest = now
    place = (sample * splits + split) * G + cell
    tl.store(largest_out + place, largest, mask=real)
    tl.store(total_out + place, total, mask=real)
    tl.store(
        sums_out + place[:, None] * C + channel[None, :],
        sums,
        mask=real[:, None] & inside[None, :],
    )


@triton.jit(do_not_specialize=["splits"])
def merge_kernel(
    largest_in,
    total_in,
    sums_in,
    cells,
    splits,
    C: tl.constexpr,
    CB: tl.constexpr,
    G: tl.constexpr,
    BG: tl.constexpr,
    PARTS: tl.constexpr,
):
    """`cells` `(B, G, C)` from what `pool_kernel` says of each split."""
    sample = tl.program_id(0)
    cell = tl.program_id(1) * BG + tl.arange(0, BG)
    real = cell < G
    channel = tl.arange(0, CB)
    both = real[:, None] & (channel < C)[None, :]
    largest = tl.full((BG,), _NEVER, dtype=tl.float32)
    total = tl.zeros((BG,), dtype=tl.float32)
    sums = tl.zeros((BG, CB), dtype=tl.float32)
    for start in range(0, splits, PARTS):
        split = start + tl.arange(0, PARTS)
        place = (sample * splits + split)[:, None] * G + cell[None, :]
        known = (split < splits)[:, None] & real[None, :]
        here = tl.load(largest_in + place, mask=known, other=_NEVER)
        now = tl.maximum(largest, tl.max(here, 0))
        less = tl.exp(largest - now)
        share = tl.where(known, tl.exp(here - now[None, :]), 0.0)
        totals = tl.load(total_in + place, mask=known, other=0.0)
        total = total * less + tl.sum(share * totals, 0)
        part = tl.load(
            sums_in + place[:, :, None] * C + channel[None, None, :],
            mask=known[:, :, None] & (channel < C)[None, None, :],
            other=0.0,
        )
        sums = sums * less[:, None] + tl.sum(share[:, :, None] * part, 0)
        largest = now
    tl.store(
        cells + (sample * G + cell)[:, None] * C + channel[None, :],
        sums / tl.maximum(total, 1e-30)[:, None],
        mask=both,
    )


@triton.jit(do_not_specialize=["rows", "blocks", "parts"])
def unpool_kernel(
    x,
    means,
    squares,
    counts,
    scale,
    shift,
    weight,
    bias,
    cells,
    y,
    rows,
    blocks,
    parts,
    EPS: tl.constexpr,
    C: tl.constexpr,
    CB: tl.constexpr,
    G: tl.constexpr,
    BG: tl.constexpr,
    BM: tl.constexpr,
    PARTS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """`y = x + softmax over clusters of (relu(norm(x)) W^T + b) cells`, x, y `(B, N, C)`, cells
    `(B, G, C)`."""
    sample, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    row = block * BM + tl.arange(0, BM)
    there = row < rows
    channel = tl.arange(0, CB)
    inside = channel < C
    factor, mean, offset = scale_and_shift(
        means, squares, counts, scale, shift, sample, parts, channel, C, inside, EPS, PARTS
    )
    both = there[:, None] & inside[None, :]
    place = (sample * rows + row)[:, None] * C + channel[None, :]
    values = tl.load(x + place, mask=both, other=0.0)
    normed = tl.maximum((values - mean[None, :]) * factor[None, :] + offset[None, :], 0.0)
    largest = tl.full((BM,), _NEVER, dtype=tl.float32)
    total = tl.zeros((BM,), dtype=tl.float32)
    sums = tl.zeros((BM, CB), dtype=tl.float32)
    for start in range(0, G, BG):
        cell = start + tl.arange(0, BG)
        real = cell < G
        w = tl.load(
            weight + cell[None, :] * C + channel[:, None],
            mask=real[None, :] & inside[:, None],
            other=0.0,
        )
        logits = tl.dot(normed, w, input_precision=PRECISION)
        logits += tl.load(bias + cell, mask=real, other=0.0)[None, :]
        logits = tl.where(real[None, :], logits, _NEVER)
        now = tl.maximum(largest, tl.max(logits, 1))
        share = tl.where(real[None, :], tl.exp(logits - now[:, None]), 0.0)
        less = tl.exp(largest - now)
        total = total * less + tl.sum(share, 1)
        content = tl.load(
            cells + (sample * G + cell)[:, None] * C + channel[None, :],
            mask=real[:, None] & inside[None, :],
            other=0.0,
        )
        sums = tl.dot(share, content, sums * less[:, None], input_precision=PRECISION)
        largest = now
    tl.store(y + place, values + sums / total[:, None], mask=both)


def pool(x: Normed, layer: Linear, mask: Tensor, tiles: Tiles) -> Tensor:
    """Cells `(B, G, C)`: means of `x` `(B, N, C)` by the softmax over the matches of `layer`."""
    batch, rows, channels = x.values.shape
    clusters = len(layer.weight)
    assert x.norm is not None and x.statistics is not None
    span = 128 if batch * rows <= 16384 else 512
    splits = triton.cdiv(rows, span)
    padded = max(16, triton.next_power_of_2(channels))
    largest = x.values.new_empty(batch, splits, clusters)
    total = x.values.new_empty(batch, splits, clusters)
    sums = x.values.new_empty(batch, splits, clusters, channels)
    cell_block = 32 if clusters >= 32 else 16
    pool_kernel[(batch * splits, triton.cdiv(clusters, cell_block))](
        x.values,
        *x.statistics.tensors,
        *x.norm.tensors,
        layer.weight,
        layer.bias,
        mask,
        largest,
        total,
        sums,
        rows,
        splits,
        span,
        x.statistics.blocks,
        EPS=x.norm.eps,
        C=channels,
        CB=padded,
        G=clusters,
        BG=cell_block,
        BM=32,
        PARTS=tiles.parts,
        PRECISION=tiles.precision,
        num_warps=tiles.warps,
    )
    cells = x.values.new_empty(batch, clusters, channels)
    merge_kernel[(batch, triton.cdiv(clusters, 4))](
        largest,
        total,
        sums,
        cells,
        splits,
        C=channels,
        CB=padded,
        G=clusters,
        BG=4,
        PARTS=16,
        num_warps=4,
    )
    return cells


def unpool(x: Normed, layer: Linear, cells: Tensor, tiles: Tiles) -> Tensor:
    """`(B, N, C)`: `x` and what its clusters hold, see `unpool_kernel`."""
    batch, rows, channels = x.values.shape
    assert x.norm is not None and x.statistics is not None
    blocks = triton.cdiv(rows, tiles.query_rows)
    y = x.values.new_empty(batch, rows, channels)
    clusters = len(layer.weight)
    unpool_kernel[(batch * blocks,)](
        x.values,
        *x.statistics.tensors,
        *x.norm.tensors,
        layer.weight,
        layer.bias,
        cells,
        y,
        rows,
        blocks,
        x.statistics.blocks,
        EPS=x.norm.eps,
        C=channels,
        CB=max(16, triton.next_power_of_2(channels)),
        G=clusters,
        BG=32 if clusters >= 32 else 16,
        BM=tiles.query_rows,
        PARTS=tiles.parts,
        PRECISION=tiles.precision,
        num_warps=tiles.warps,
    )
    return y
