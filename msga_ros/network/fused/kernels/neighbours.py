"""Nearest neighbours in feature space, without a matrix of all distances."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from msga_ros.network.fused.values import Tiles

_LEAST = tl.constexpr(-(2**63))
_MOST = tl.constexpr(2**63 - 1)


@triton.jit
def _write_nearest(
    best,
    neighbours,
    sample,
    row,
    rows,
    K: tl.constexpr,
):
    """The K largest of `best` (rows, any number) as `neighbours`, largest first; spoils `best`."""
    for rank in range(K):
        strongest = tl.max(best, 1)
        index = 0x7FFFFFFF - (strongest & 0x7FFFFFFF).to(tl.int32)
        index = tl.minimum(tl.maximum(index, 0), rows - 1)
        tl.store(neighbours + (sample * rows + row) * K + rank, index, mask=row < rows)
        best = tl.where(best == strongest[:, None], _LEAST, best)


@triton.jit(do_not_specialize=["rows", "blocks", "splits", "span"])
def nearest_kernel(
    features,
    mask,
    neighbours,
    keys,
    rows,
    blocks,
    splits,
    span,
    C: tl.constexpr,
    BK: tl.constexpr,
    K: tl.constexpr,
    KB: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
    SPLIT: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """`neighbours` `(B, N, K)` int32: of each row the K valid rows of largest
    `f_i f_j - |f_j|^2 / 2`, largest first.

    Where SPLIT, each program goes through `span` rows alone and leaves what it found in `keys`
    `(B, N, splits, KB)` int64, for `merge_kernel`.

    Block by block, the best so far are kept as one number each, closeness above index, and while
    any row of a block has a better one, that takes the place of the weakest. Features are taken
    relative to the first row: shorter vectors lose fewer digits.
    """
    sample, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    row = block * BM + tl.arange(0, BM)
    there = row < rows
    first = features + sample * rows * C
    slot = tl.arange(0, KB)
    wide = slot.to(tl.int64)
    unused = tl.where(slot < K, wide + (_LEAST + 1), _MOST - wide)
    best = tl.zeros((BM, KB), dtype=tl.int64) + unused[None, :]
    split = tl.program_id(1)
    for start in range(split * span, tl.minimum((split + 1) * span, rows), BN):
        other = start + tl.arange(0, BN)
        known = other < rows
        valid = tl.load(mask + sample * rows + other, mask=known, other=0) != 0
        close = tl.zeros((BM, BN), dtype=tl.float32)
        square = tl.zeros((BK, BN), dtype=tl.float32)
        for part in range(0, C, BK):
            channel = part + tl.arange(0, BK)
            inside = channel < C
            origin = tl.load(first + channel, mask=inside, other=0.0)
            own = tl.load(
                first + row[:, None] * C + channel[None, :],
                mask=there[:, None] & inside[None, :],
                other=0.0,
            )
            theirs = tl.load(
                first + other[None, :] * C + channel[:, None],
                mask=known[None, :] & inside[:, None],
                other=0.0,
            )
            theirs = theirs - origin[:, None]
            close = tl.dot(own - origin[None, :], theirs, close, input_precision=PRECISION)
            square += theirs * theirs
        close = close - 0.5 * tl.sum(square, 0)[None, :]
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
    if SPLIT:
        place = ((sample * rows + row) * splits + split) * KB
        tl.store(keys + place[:, None] + slot[None, :], best, mask=there[:, None])
    else:
        _write_nearest(best, neighbours, sample, row, rows, K)


@triton.jit(do_not_specialize=["rows", "blocks", "found"])
def merge_kernel(
    keys,
    neighbours,
    rows,
    blocks,
    found,
    K: tl.constexpr,
    FOUND: tl.constexpr,
    BM: tl.constexpr,
):
    """`neighbours` `(B, N, K)` int32 from `keys` `(B, N, found)`, of which some are none."""
    sample, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    row = block * BM + tl.arange(0, BM)
    one = tl.arange(0, FOUND)
    best = tl.load(
        keys + (sample * rows + row)[:, None] * found + one[None, :],
        mask=(row < rows)[:, None] & (one < found)[None, :],
        other=_LEAST,
    )
    _write_nearest(best, neighbours, sample, row, rows, K)


def nearest(features: Tensor, mask: Tensor, k: int, tiles: Tiles) -> Tensor:
    """`(B, N, k)` int32 neighbours of `features` `(B, N, C)` among the valid, nearest first."""
    batch, rows, width = features.shape
    blocks = triton.cdiv(rows, tiles.near_rows)
    slots = triton.next_power_of_2(k)
    span = triton.cdiv(triton.cdiv(rows, tiles.near_splits), tiles.others) * tiles.others
    splits = triton.cdiv(rows, span)
    neighbours = torch.empty(batch, rows, k, dtype=torch.int32, device=features.device)
    keys = None
    if splits > 1:
        keys = torch.empty(batch, rows, splits, slots, dtype=torch.int64, device=features.device)
    nearest_kernel[(batch * blocks, splits)](
        features,
        mask,
        neighbours,
        keys,
        rows,
        blocks,
        splits,
        span,
        C=width,
        BK=min(tiles.near_depth, max(16, triton.next_power_of_2(width))),
        K=k,
        KB=slots,
        BM=tiles.near_rows,
        BN=tiles.others,
        SPLIT=keys is not None,
        PRECISION=tiles.precision,
        num_warps=tiles.near_warps,
        num_stages=2,
    )
    if keys is not None:
        blocks = triton.cdiv(rows, 16)
        merge_kernel[(batch * blocks,)](
            keys,
            neighbours,
            rows,
            blocks,
            splits * slots,
            K=k,
            FOUND=triton.next_power_of_2(tiles.near_splits) * slots,
            BM=16,
            num_warps=4,
        )
    return neighbours
