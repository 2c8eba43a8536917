"""Attention between the channels of the grid of clusters: cells `(B, L L, C)`, row by row."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from msga_ros.network.fused.values import Attention, Tiles

_CELLS, _COLUMNS = 16, 64  # of a program of the depthwise convolution


@triton.jit
def depthwise_kernel(
    qkv,
    weight,
    bias,
    y,
    L: tl.constexpr,
    WIDTH: tl.constexpr,
    BM: tl.constexpr,
    BO: tl.constexpr,
):
    """3 x 3 convolution of each of the columns alone, zeros around the grid: qkv, y
    `(B, L L, WIDTH)`, weight `(9, WIDTH)`."""
    blocks: tl.constexpr = (L * L + BM - 1) // BM
    sample, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    cell = block * BM + tl.arange(0, BM)
    column = tl.program_id(1) * BO + tl.arange(0, BO)
    inside = column < WIDTH
    r, c = cell // L, cell % L
    sums = tl.zeros((BM, BO), dtype=tl.float32)
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
    both = (cell < L * L)[:, None] & inside[None, :]
    tl.store(y + (sample * L * L + cell)[:, None] * WIDTH + column[None, :], sums, mask=both)


@triton.jit
def _part(qkv, sample, cell, column, inside, L: tl.constexpr, WIDTH: tl.constexpr):
    """Some columns of some cells; zero in columns that are not inside and cells that are none."""
    both = (cell < L * L)[:, None] & inside[None, :]
    at = (sample * L * L + cell)[:, None] * WIDTH + column[None, :]
    return tl.load(qkv + at, mask=both, other=0.0)


@triton.jit
def channel_attention_kernel(
    qkv,
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
    """Attention between the channels of one head, see `SparseChannelAttention`.

    qkv `(B, L L, 3 C)` behind its depthwise convolution, attended `(B, L L, C)`.
    """
    sample, head = tl.program_id(0), tl.program_id(1)
    width: tl.constexpr = C // HEADS
    lane = tl.arange(0, WB)
    inside = lane < width
    column = head * width + lane
    similarity = tl.zeros((WB, WB), dtype=tl.float32)
    q_square = tl.zeros((WB,), dtype=tl.float32)
    k_square = tl.zeros((WB,), dtype=tl.float32)
    for start in range(0, L * L, BM):
        cell = start + tl.arange(0, BM)
        q = _part(qkv, sample, cell, column, inside, L, 3 * C)
        k = _part(qkv, sample, cell, C + column, inside, L, 3 * C)
        q_square += tl.sum(q * q, 0)
        k_square += tl.sum(k * k, 0)
        similarity = tl.dot(tl.trans(q), k, similarity, input_precision=PRECISION)
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
    for start in range(0, L * L, BM):
        cell = start + tl.arange(0, BM)
        v = _part(qkv, sample, cell, 2 * C + column, inside, L, 3 * C)
        values = tl.dot(v, tl.trans(share), input_precision=PRECISION)
        tl.store(
            attended + (sample * L * L + cell)[:, None] * C + column[None, :],
            values,
            mask=(cell < L * L)[:, None] & inside[None, :],
        )


def channel_attention(qkv: Tensor, attention: Attention, side: int, tiles: Tiles) -> Tensor:
    """`(B, L L, C)` from `qkv` `(B, L L, 3 C)` before its depthwise convolution, see
    `channel_attention_kernel`."""
    batch, _, width = qkv.shape
    channels = width // 3
    heads = attention.temperature.numel()
    convolved, attended = torch.empty_like(qkv), qkv.new_empty(batch, side * side, channels)
    kept = attention.kept
    depthwise_kernel[(batch * triton.cdiv(side * side, _CELLS), triton.cdiv(width, _COLUMNS))](
        qkv,
        attention.depthwise_weight,
        attention.depthwise_bias,
        convolved,
        L=side,
        WIDTH=width,
        BM=_CELLS,
        BO=_COLUMNS,
        num_warps=4,
    )
    channel_attention_kernel[(batch, heads)](
        convolved,
        attention.temperature,
        attention.mixture,
        attended,
        L=side,
        C=channels,
        HEADS=heads,
        WB=max(16, triton.next_power_of_2(channels // heads)),
        KEPT0=kept[0],
        KEPT1=kept[1],
        KEPT2=kept[2],
        KEPT3=kept[3],
        BM=64,
        PRECISION=tiles.precision,
        num_warps=8,
        num_stages=2,
    )
    return attended
