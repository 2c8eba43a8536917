"""Linear layers with what stands before and after them: norms, shortcuts, ReLU, statistics."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from msga_ros.network.fused.kernels.statistics import scale_and_shift, write_statistics
from msga_ros.network.fused.values import (
    WIDE,
    Linear,
    Normed,
    Statistics,
    Tiles,
    empty_statistics,
)


@triton.jit(do_not_specialize=["rows", "blocks", "parts"])
def linear_kernel(
    x,
    shortcut,
    means,
    squares,
    counts,
    scale,
    shift,
    weight,
    bias,
    y,
    features,
    y_means,
    y_squares,
    y_counts,
    mask,
    rows,
    blocks,
    parts,
    EPS: tl.constexpr,
    K: tl.constexpr,
    O: tl.constexpr,  # noqa: E741
    NORM: tl.constexpr,
    SHORTCUT: tl.constexpr,
    KEEP: tl.constexpr,
    RELU: tl.constexpr,
    STATISTICS: tl.constexpr,
    BM: tl.constexpr,
    BK: tl.constexpr,
    BO: tl.constexpr,
    PARTS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """`y = act(before(x) W^T + b)`, x `(B, N, K)`, W `(O, K)`, y `(B, N, O)`.

    `before`: nothing, or `relu(norm(x))`, or `relu(norm(x) + shortcut)`, which is kept as
    `features` where KEEP; `act`: nothing or ReLU. STATISTICS: those of y for the next norm.
    """
    sample, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    row = block * BM + tl.arange(0, BM)
    there = row < rows
    at = sample * rows + row
    column = tl.program_id(1) * BO + tl.arange(0, BO)
    present = column < O
    sums = tl.zeros((BM, BO), dtype=tl.float32)
    for start in range(0, K, BK):
        channel = start + tl.arange(0, BK)
        inside = channel < K
        both = there[:, None] & inside[None, :]
        place = at[:, None] * K + channel[None, :]
        # All loads first: each waits as long as all together.
        values = tl.load(x + place, mask=both, other=0.0)
        if SHORTCUT:
            beside = tl.load(shortcut + place, mask=both, other=0.0)
        w = tl.load(
            weight + column[None, :] * K + channel[:, None],
            mask=inside[:, None] & present[None, :],
            other=0.0,
        )
        if NORM:
            factor, mean, offset = scale_and_shift(
                means, squares, counts, scale, shift, sample, parts, channel, K, inside, EPS, PARTS
            )
            values = (values - mean[None, :]) * factor[None, :] + offset[None, :]
            if SHORTCUT:
                values += beside
            values = tl.where(both, tl.maximum(values, 0.0), 0.0)
            if KEEP:
                tl.store(features + place, values, mask=both & (tl.program_id(1) == 0))
        sums = tl.dot(values, w, sums, input_precision=PRECISION)
    sums += tl.load(bias + column, mask=present, other=0.0)[None, :]
    if RELU:
        sums = tl.maximum(sums, 0.0)
    tl.store(y + at[:, None] * O + column[None, :], sums, mask=there[:, None] & present[None, :])
    if STATISTICS:
        seen = tl.load(mask + at, mask=there, other=0) != 0
        place = sample * blocks + block
        write_statistics(sums, seen, y_means, y_squares, y_counts, place, column, O, present)


@triton.jit(do_not_specialize=["rows", "blocks", "parts"])
def finish_kernel(
    x,
    shortcut,
    means,
    squares,
    counts,
    scale,
    shift,
    heads,
    head_bias,
    features,
    scores,
    rows,
    blocks,
    parts,
    EPS: tl.constexpr,
    C: tl.constexpr,
    CB: tl.constexpr,
    HEADS: tl.constexpr,
    KEEP: tl.constexpr,
    BM: tl.constexpr,
    PARTS: tl.constexpr,
):
    """`f = relu(norm(x) + shortcut)`, x `(B, N, C)`, and `scores = f H^T + b` `(B, N, HEADS)`."""
    sample, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    row = block * BM + tl.arange(0, BM)
    there = row < rows
    at = sample * rows + row
    channel = tl.arange(0, CB)
    inside = channel < C
    both = there[:, None] & inside[None, :]
    place = at[:, None] * C + channel[None, :]
    factor, mean, offset = scale_and_shift(
        means, squares, counts, scale, shift, sample, parts, channel, C, inside, EPS, PARTS
    )
    values = tl.load(x + place, mask=both, other=0.0)
    values = (values - mean[None, :]) * factor[None, :] + offset[None, :]
    values += tl.load(shortcut + place, mask=both, other=0.0)
    values = tl.where(both, tl.maximum(values, 0.0), 0.0)
    if KEEP:
        tl.store(features + place, values, mask=both)
    for head in tl.static_range(HEADS):
        w = tl.load(heads + head * C + channel, mask=inside, other=0.0)
        score = tl.sum(values * w[None, :], 1) + tl.load(head_bias + head)
        tl.store(scores + at * HEADS + head, score, mask=there)


def linear(
    x: Normed,
    layer: Linear,
    mask: Tensor,
    tiles: Tiles,
    *,
    relu: bool = False,
    statistics: bool = False,
    keep: bool = False,
) -> tuple[Tensor, Statistics | None, Tensor | None]:
    """`layer` of `x` `(B, N, K)`: `(B, N, O)`, its statistics where asked for, and what `x` was
    after its norm where that is to be kept."""
    batch, rows, width = x.values.shape
    outputs = layer.weight.shape[0]
    block_rows, block_columns, depth = (
        (tiles.wide_rows, tiles.wide_columns, tiles.wide_depth)
        if outputs >= WIDE
        else (tiles.rows, tiles.columns, tiles.depth)
    )
    blocks = triton.cdiv(rows, block_rows)
    y = x.values.new_empty(batch, rows, outputs)
    found = empty_statistics(y, blocks) if statistics else None
    features = torch.empty_like(x.values) if keep else None
    norm, before = x.norm, x.statistics
    linear_kernel[(batch * blocks, triton.cdiv(outputs, block_columns))](
        x.values,
        x.shortcut,
        *(before.tensors if before else (None, None, None)),
        *(norm.tensors if norm else (None, None)),
        layer.weight,
        layer.bias,
        y,
        features,
        *(found.tensors if found else (None, None, None)),
        mask,
        rows,
        blocks,
        before.blocks if before else 0,
        EPS=norm.eps if norm else 0.0,
        K=width,
        O=outputs,
        NORM=norm is not None,
        SHORTCUT=x.shortcut is not None,
        KEEP=keep,
        RELU=relu,
        STATISTICS=statistics,
        BM=block_rows,
        BK=min(depth, max(16, triton.next_power_of_2(width))),
        BO=block_columns,
        PARTS=tiles.parts,
        PRECISION=tiles.precision,
        num_warps=tiles.warps,
    )
    return y, found, features


def settle(x: Normed, tiles: Tiles) -> Tensor:
    """`x` `(B, N, C)` after its norm and shortcut."""
    if x.norm is None:
        return x.values
    features = _finished(x, None, tiles, keep=True)[1]
    assert features is not None
    return features


def finish(x: Normed, heads: Linear, tiles: Tiles, keep: bool) -> tuple[Tensor, Tensor | None]:
    """Scores `(B, N, heads)` of `x` `(B, N, C)` after norm and shortcut, and that, if kept."""
    scores, features = _finished(x, heads, tiles, keep)
    assert scores is not None
    return scores, features


def _finished(
    x: Normed, heads: Linear | None, tiles: Tiles, keep: bool
) -> tuple[Tensor | None, Tensor | None]:
    batch, rows, width = x.values.shape
    assert x.norm is not None and x.statistics is not None
    blocks = triton.cdiv(rows, 16)
    scores = x.values.new_empty(batch, rows, len(heads.weight)) if heads else None
    features = torch.empty_like(x.values) if keep else None
    finish_kernel[(batch * blocks,)](
        x.values,
        x.shortcut,
        *x.statistics.tensors,
        *x.norm.tensors,
        *((heads.weight, heads.bias) if heads else (None, None)),
        features,
        scores,
        rows,
        blocks,
        x.statistics.blocks,
        EPS=x.norm.eps,
        C=width,
        CB=max(16, triton.next_power_of_2(width)),
        HEADS=len(heads.weight) if heads else 0,
        KEEP=keep,
        BM=16,
        PARTS=tiles.parts,
        num_warps=4,
    )
    return scores, features
