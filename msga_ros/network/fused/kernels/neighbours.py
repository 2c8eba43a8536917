"""Nearest neighbours in feature space: a table of closeness, then the best of each row."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from msga_ros.network.fused.values import Tiles

_TABLE = 32 * 2**20  # bytes of the table, if more than one sample makes it: what a cache holds
_A_WARP = 2048  # columns that one warp goes through
_MOST_WARPS = 32  # of a program


@triton.jit(do_not_specialize=["rows", "blocks", "start"])
def closeness_kernel(
    features,
    mask,
    close,
    rows,
    blocks,
    start,
    C: tl.constexpr,
    BK: tl.constexpr,
    BM: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """`close` `(samples, N, stride)`: `f_i f_j - |f_j|^2 / 2`, -inf where j is not valid or none;
    of samples `start` and on.

    A product serves i and j as well as j and i, so a program writes two blocks of the table.
    Features are taken relative to the first row: shorter vectors lose fewer digits.
    """
    stride = blocks * BM
    left, right, slot = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    if left <= right:
        sample = start + slot
        row = left * BM + tl.arange(0, BM)
        other = right * BM + tl.arange(0, BM)
        there, known = row < rows, other < rows
        first = features + sample.to(tl.int64) * rows * C
        product = tl.zeros((BM, BM), dtype=tl.float32)
        own_square = tl.zeros((BM,), dtype=tl.float32)
        square = tl.zeros((BM,), dtype=tl.float32)
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
            own -= origin[None, :]
            theirs -= origin[:, None]
            product = tl.dot(own, theirs, product, input_precision=PRECISION)
            own_square += tl.sum(own * own, 1)
            square += tl.sum(theirs * theirs, 0)
        seen = tl.load(mask + sample * rows + row, mask=there, other=0) != 0
        valid = tl.load(mask + sample * rows + other, mask=known, other=0) != 0
        table = close + slot.to(tl.int64) * rows * stride
        values = tl.where(valid[None, :], product - 0.5 * square[None, :], -float("inf"))
        place = row.to(tl.int64)[:, None] * stride + other[None, :]
        tl.store(table + place, values, mask=there[:, None])
        if left < right:
            values = tl.where(seen[:, None], product - 0.5 * own_square[:, None], -float("inf"))
            place = other.to(tl.int64)[None, :] * stride + row[:, None]
            tl.store(table + place, values, mask=known[None, :])


@triton.jit(do_not_specialize=["rows", "blocks", "start"])
def closest_kernel(
    close,
    neighbours,
    rows,
    blocks,
    start,
    K: tl.constexpr,
    BLOCK: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """`neighbours` `(B, N, K)` int32, of row `start` of all and on: the columns of the K largest
    entries of each row of `close` `(some, stride)`, largest first, of equal ones the first."""
    stride = blocks * BLOCK
    at = tl.program_id(0)
    column = tl.arange(0, WIDTH)
    values = tl.load(
        close + at.to(tl.int64) * stride + column, mask=column < stride, other=-float("inf")
    )
    place = neighbours + (start + at).to(tl.int64) * K
    for rank in range(K):
        _, index = tl.max(values, 0, return_indices=True)
        tl.store(place + rank, tl.minimum(index, rows - 1))
        values = tl.where(column == index, -float("inf"), values)


def nearest(features: Tensor, mask: Tensor, k: int, tiles: Tiles) -> Tensor:
    """`(B, N, k)` int32 neighbours of `features` `(B, N, C)` among the valid, nearest first.

    Takes memory for `N N` numbers, and for more samples at a time as far as they go into
    32 MiB.
    """
    batch, rows, width = features.shape
    block = tiles.near_rows
    blocks = triton.cdiv(rows, block)
    stride = blocks * block  # every column of the table is written
    samples = min(batch, max(1, _TABLE // (4 * rows * stride)))
    close = features.new_empty(samples, rows, stride, dtype=torch.float32)
    neighbours = torch.empty(batch, rows, k, dtype=torch.int32, device=features.device)
    columns = triton.next_power_of_2(stride)
    for start in range(0, batch, samples):
        some = min(samples, batch - start)
        closeness_kernel[(blocks, blocks, some)](
            features,
            mask,
            close,
            rows,
            blocks,
            start,
            C=width,
            BK=min(tiles.near_depth, max(16, triton.next_power_of_2(width))),
            BM=block,
            PRECISION=tiles.precision,
            num_warps=tiles.near_warps,
            num_stages=2,
        )
        closest_kernel[(some * rows,)](
            close,
            neighbours,
            rows,
            blocks,
            start * rows,
            K=k,
            BLOCK=block,
            WIDTH=columns,
            num_warps=min(_MOST_WARPS, max(1, columns // _A_WARP)),
        )
    return neighbours
