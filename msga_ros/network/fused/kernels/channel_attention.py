"""Attention between the channels of the grid of clusters: cells `(B, L L, C)`, row by row.

Few programs must not go through all cells: each takes some, first for the similarity of channels,
which is a sum over cells, then for what comes of it.
"""

import triton
import triton.language as tl
from torch import Tensor

from msga_ros.network.fused.values import Attention, Tiles


@triton.jit
def _depthwise(
    qkv,
    weight,
    bias,
    sample,
    cell,
    column,
    inside,
    L: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """3 x 3 convolution of some columns, each alone, of some cells, zeros around the grid; zero
    where a column is not inside and in cells that are none."""
    both = (cell < L * L)[:, None] & inside[None, :]
    r, c = cell // L, cell % L
    sums = tl.zeros(both.shape, dtype=tl.float32)
    sums += tl.load(bias + column, mask=inside, other=0.0)[None, :]
    for tap in tl.static_range(9):
        near_r, near_c = r + tap // 3 - 1, c + tap % 3 - 1
        there = (near_r >= 0) & (near_r < L) & (near_c >= 0) & (near_c < L)
        at = sample * L * L + near_r * L + near_c
        values = tl.load(
            qkv + at[:, None] * WIDTH + column[None, :],
            mask=there[:, None] & inside[None, :],
            other=0.0,
        )
        w = tl.load(weight + tap * WIDTH + column, mask=inside, other=0.0)
        sums += values * w[None, :]
    return tl.where(both, sums, 0.0)


@triton.jit
def similarity_kernel(
    qkv,
    weight,
    bias,
    similarities,
    squares,
    values,
    L: tl.constexpr,
    C: tl.constexpr,
    HEADS: tl.constexpr,
    WB: tl.constexpr,
    BM: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Of a block of cells and one head: `q^T k` `(B, HEADS, blocks, WB, WB)`, the squares of both
    `(B, HEADS, blocks, 2, WB)`, and values `(B, L L, C)`; q, k, v are qkv `(B, L L, 3 C)` behind
    its depthwise convolution."""
    blocks: tl.constexpr = (L * L + BM - 1) // BM
    sample, block, head = tl.program_id(0) // blocks, tl.program_id(0) % blocks, tl.program_id(1)
    width: tl.constexpr = C // HEADS
    lane = tl.arange(0, WB)
    inside = lane < width
    column = head * width + lane
    cell = block * BM + tl.arange(0, BM)
    q = _depthwise(qkv, weight, bias, sample, cell, column, inside, L, 3 * C)
    k = _depthwise(qkv, weight, bias, sample, cell, C + column, inside, L, 3 * C)
    v = _depthwise(qkv, weight, bias, sample, cell, 2 * C + column, inside, L, 3 * C)
    place = (sample * HEADS + head) * blocks + block
    product = tl.dot(tl.trans(q), k, input_precision=PRECISION)
    tl.store(similarities + place * WB * WB + lane[:, None] * WB + lane[None, :], product)
    tl.store(squares + place * 2 * WB + lane, tl.sum(q * q, 0))
    tl.store(squares + place * 2 * WB + WB + lane, tl.sum(k * k, 0))
    tl.store(
        values + (sample * L * L + cell)[:, None] * C + column[None, :],
        v,
        mask=(cell < L * L)[:, None] & inside[None, :],
    )


@triton.jit
def _whole(parts, blocks: tl.constexpr, stride: tl.constexpr, index):
    """Sum of the entries `index` of so many blocks, `stride` apart."""
    sums = tl.load(parts + index)
    for block in tl.static_range(1, blocks):
        sums += tl.load(parts + block * stride + index)
    return sums


@triton.jit
def channel_attention_kernel(
    similarities,
    squares,
    values,
    temperature,
    mixture,
    attended,
    L: tl.constexpr,
    C: tl.constexpr,
    HEADS: tl.constexpr,
    WB: tl.constexpr,
    KEPT0: tl.constexpr,
    KEPT1: tl.constexpr,
    KEPT2: tl.constexpr,
    KEPT3: tl.constexpr,
    BM: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Attention between the channels of one head, see `SparseChannelAttention`, of a block of
    cells: attended `(B, L L, C)` from what `similarity_kernel` says of all blocks."""
    blocks: tl.constexpr = (L * L + BM - 1) // BM
    sample, block, head = tl.program_id(0) // blocks, tl.program_id(0) % blocks, tl.program_id(1)
    width: tl.constexpr = C // HEADS
    lane = tl.arange(0, WB)
    inside = lane < width
    column = head * width + lane
    cell = block * BM + tl.arange(0, BM)
    both = (cell < L * L)[:, None] & inside[None, :]
    place = (sample * L * L + cell)[:, None] * C + column[None, :]
    v = tl.load(values + place, mask=both, other=0.0)
    first = (sample * HEADS + head) * blocks
    entry = lane[:, None] * WB + lane[None, :]
    similarity = _whole(similarities + first * WB * WB, blocks, WB * WB, entry)
    q_square = _whole(squares + first * 2 * WB, blocks, 2 * WB, lane)
    k_square = _whole(squares + first * 2 * WB + WB, blocks, 2 * WB, lane)
    q_norm = tl.maximum(tl.sqrt(q_square), 1e-12)
    k_norm = tl.maximum(tl.sqrt(k_square), 1e-12)
    similarity = similarity / (q_norm[:, None] * k_norm[None, :]) * tl.load(temperature + head)
    similarity = tl.where(inside[None, :], similarity, -float("inf"))
    power = tl.exp(similarity - tl.max(similarity, 1)[:, None])
    # Rank of each entry in its row, the largest first: how many are before it.
    mine, theirs = power[:, :, None], power[:, None, :]
    earlier = lane[None, None, :] < lane[None, :, None]
    before = (theirs > mine) | ((theirs == mine) & earlier)
    rank = tl.sum((before & inside[None, None, :]).to(tl.int32), 2)
    rank = tl.where(inside[None, :], rank, WB)
    share = tl.zeros((WB, WB), dtype=tl.float32)
    for copy in tl.static_range(4):
        if copy == 0:
            kept = rank < KEPT0
        elif copy == 1:
            kept = rank < KEPT1
        elif copy == 2:
            kept = rank < KEPT2
        else:
            kept = rank < KEPT3
        total = tl.sum(tl.where(kept, power, 0.0), 1)
        share += tl.where(kept, (tl.load(mixture + copy) / total)[:, None], 0.0)
    share = share * power
    tl.store(attended + place, tl.dot(v, tl.trans(share), input_precision=PRECISION), mask=both)


def channel_attention(qkv: Tensor, attention: Attention, side: int, tiles: Tiles) -> Tensor:
    """`(B, L L, C)` from `qkv` `(B, L L, 3 C)` before its depthwise convolution, see
    `channel_attention_kernel`."""
    batch, count, width = qkv.shape
    channels = width // 3
    heads = attention.temperature.numel()
    lanes = max(16, triton.next_power_of_2(channels // heads))
    blocks = triton.cdiv(count, tiles.channel_cells)
    similarities = qkv.new_empty(batch, heads, blocks, lanes, lanes)
    squares = qkv.new_empty(batch, heads, blocks, 2, lanes)
    values, attended = qkv.new_empty(2, batch, count, channels)
    shape = {"L": side, "C": channels, "HEADS": heads, "WB": lanes, "BM": tiles.channel_cells}
    similarity_kernel[(batch * blocks, heads)](
        qkv,
        attention.depthwise_weight,
        attention.depthwise_bias,
        similarities,
        squares,
        values,
        **shape,
        PRECISION=tiles.precision,
        num_warps=4,
    )
    kept = attention.kept
    channel_attention_kernel[(batch * blocks, heads)](
        similarities,
        squares,
        values,
        attention.temperature,
        attention.mixture,
        attended,
        **shape,
        KEPT0=kept[0],
        KEPT1=kept[1],
        KEPT2=kept[2],
        KEPT3=kept[3],
        PRECISION=tiles.precision,
        num_warps=tiles.channel_warps,
    )
    return attended
