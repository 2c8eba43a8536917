"""Nearest neighbours in feature space, without a matrix of all distances."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from msga_ros.network.fused.values import Tiles

_LEAST = tl.constexpr(-(2**63))
_MOST = tl.constexpr(2**63 - 1)


@triton.jit(do_not_specialize=["rows", "blocks"])
def nearest_kernel(
    features,
    mask,
    neighbours,
    rows,
    blocks,
    C: tl.constexpr,
    CB: tl.constexpr,
    K: tl.constexpr,
    KB: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """`neighbours` `(B, N, K)` int32: of each row the K valid rows of largest
    `f_i f_j - |f_j|^2 / 2`, largest first.

    Block by block, the best so far are kept as one number each, closeness above index, and while
    any row of a block has a better one, that takes the place of the weakest. Features are taken
    relative to the first row: shorter vectors lose fewer digits.
    """
    sample, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    row = block * BM + tl.arange(0, BM)
    there = row < rows
    channel = tl.arange(0, CB)
    inside = channel < C
    first = features + sample * rows * C
    origin = tl.load(first + channel, mask=inside, other=0.0)
    own = tl.load(
        first + row[:, None] * C + channel[None, :],
        mask=there[:, None] & inside[None, :],
        other=0.0,
    )
    own = own - origin[None, :]
    slot = tl.arange(0, KB)
    wide = slot.to(tl.int64)
    unused = tl.where(slot < K, wide + (_LEAST + 1), _MOST - wide)
    best = tl.zeros((BM, KB), dtype=tl.int64) + unused[None, :]
    for start in range(0, rows, BN):
        other = start + tl.arange(0, BN)
        known = other < rows
        valid = tl.load(mask + sample * rows + other, mask=known, other=0) != 0
        theirs = tl.load(
            first + other[None, :] * C + channel[:, None],
            mask=known[None, :] & inside[:, None],
            other=0.0,
        )
        theirs = theirs - origin[:, None]
        close = tl.dot(own, theirs, input_precision=PRECISION)
        close = close - 0.5 * tl.sum(theirs * theirs, 0)[None, :]
        bits = close.to(tl.int32, bitcast=True)
        bits = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)  # ordered as the numbers are
        key = (bits.to(tl.int64) << 32) | (0x7FFFFFFF - other[None, :]).to(tl.int64)
        key = tl.where(valid[None, :], key, _LEAST)
        challenger, weakest = tl.max(key, 1), tl.min(best, 1)
        while tl.max((challenger > weakest).to(tl.int32), 0) > 0:
            replaced = (best == weakest[:, None]) & (challenger > weakest)[:, None]
            best = tl.where(replaced, challenger[:, None], best)
            key = tl.where(key == challenger[:, None], _LEAST, key)
            challenger, weakest = tl.max(key, 1), tl.min(best, 1)
    best = tl.where(slot[None, :] < K, best, _LEAST)
    for rank in range(K):
        strongest = tl.max(best, 1)
        index = 0x7FFFFFFF - (strongest & 0x7FFFFFFF).to(tl.int32)
        index = tl.minimum(tl.maximum(index, 0), rows - 1)
        tl.store(neighbours + (sample * rows + row) * K + rank, index, mask=there)
        best = tl.where(best == strongest[:, None], _LEAST, best)


def nearest(features: Tensor, mask: Tensor, k: int, tiles: Tiles) -> Tensor:
    """`(B, N, k)` int32 neighbours of `features` `(B, N, C)` among the valid, nearest first."""
    batch, rows, width = features.shape
    blocks = triton.cdiv(rows, tiles.query_rows)
    neighbours = torch.empty(batch, rows, k, dtype=torch.int32, device=features.device)
    nearest_kernel[(batch * blocks,)](
        features,
        mask,
        neighbours,
        rows,
        blocks,
        C=width,
        CB=max(16, triton.next_power_of_2(width)),
        K=k,
        KB=triton.next_power_of_2(k),
        BM=tiles.query_rows,
        BN=tiles.others,
        PRECISION=tiles.precision,
        num_warps=8,
        num_stages=2,
    )
    return neighbours
