"""The weighted eight-point solution in double precision: moments in one kernel, the rest in
another."""

import torch
import triton
import triton.language as tl
from torch import Tensor

_SPAN = 64  # matches of a program
_SIDE = 16  # of the padded 9 x 9 matrices


@triton.jit(do_not_specialize=["rows", "splits", "stride"])
def moments_kernel(
    matches,
    weights,
    mask,
    moments,
    rows,
    splits,
    stride,
    SIGMOID: tl.constexpr,
    SPAN: tl.constexpr,
    BM: tl.constexpr,
):
    """`moments` `(B, splits, 16, 16)`: `sum over SPAN rows of w r r^T`, r the nine products
    `(x', y', 1) (x, y, 1)`.

    `matches` `(B, N, stride)`, the first four columns; w is `weights` or, where SIGMOID, their
    sigmoid, and 0 where masked.
    """
    sample, split = tl.program_id(0) // splits, tl.program_id(0) % splits
    entry = tl.arange(0, 16)
    second, first = entry // 3, entry % 3
    sums = tl.zeros((BM, 16, 16), dtype=tl.float64)
    for start in range(0, SPAN, BM):
        row = split * SPAN + start + tl.arange(0, BM)
        there = row < rows
        at = sample * rows + row
        w = tl.load(weights + at, mask=there, other=0.0)
        if SIGMOID:
            w = 1.0 / (1.0 + tl.exp(-w))
        seen = tl.load(mask + at, mask=there, other=0) != 0
        w = tl.where(seen, w, 0.0).to(tl.float64)
        point = matches + at[:, None] * stride
        a = tl.load(
            point + 2 + second[None, :], mask=there[:, None] & (second < 2)[None, :], other=1.0
        )
        b = tl.load(point + first[None, :], mask=there[:, None] & (first < 2)[None, :], other=1.0)
        r = a.to(tl.float64) * b.to(tl.float64)
        r = tl.where(there[:, None] & (entry < 9)[None, :], r, 0.0)
        weighted = r * w[:, None]
        sums += r[:, :, None] * weighted[:, None, :]
    total = tl.sum(sums, 0)
    place = (sample * splits + split) * 256 + entry[:, None] * 16 + entry[None, :]
    tl.store(moments + place, total)


@triton.jit
def _product(a, b):
    """`a^T b`. The axis that is summed over comes first: so a thread holds all of it."""
    return tl.sum(a[:, :, None] * b[:, None, :], 0)


@triton.jit
def _entry(vector, k: tl.constexpr):
    return tl.sum(tl.where(tl.arange(0, 16) == k, vector, 0.0), 0)


@triton.jit
def _similarity(r, c, scale, x, y):
    """Entries (r, c) of `[[s, 0, -s x], [0, s, -s y], [0, 0, 1]]`."""
    value = tl.where(r == c, tl.where(r < 2, scale, 1.0), 0.0)
    value = tl.where((r == 0) & (c == 2), -scale * x, value)
    return tl.where((r == 1) & (c == 2), -scale * y, value)


@triton.jit
def _inverse(matrix, least):
    """Of a symmetric positive 9 x 9 matrix, padded with zeros, by Gauss-Jordan elimination in
    place; a pivot that rounding has left nothing of counts as `least`."""
    at = tl.arange(0, 16)
    i, j = at[:, None], at[None, :]
    for k in range(9):
        row = tl.sum(tl.where(i == k, matrix, 0.0), 0)
        column = tl.where(at < k, -row, row)  # symmetric still, but for the sign of what is done
        factor = 1.0 / tl.maximum(tl.sum(tl.where(at == k, row, 0.0), 0), least)
        reduced = matrix - column[:, None] * (row * factor)[None, :]
        reduced = tl.where(i == k, (row * factor)[None, :], reduced)
        reduced = tl.where(j == k, (-column * factor)[:, None], reduced)
        matrix = tl.where((i == k) & (j == k), factor, reduced)
    return matrix


@triton.jit(do_not_specialize=["splits"])
def solution_kernel(moments, sufficient, essential, splits, HARTLEY: tl.constexpr):
    """`essential` `(B, 9)` float32, Frobenius norm 1: the smallest eigenvector of the moments.

    HARTLEY: of the moments of points that are centred and scaled, which are `K M K^T` with the
    product K of both similarities, and then put back. NaN where `sufficient` `(B,)` is 0.

    The eigenvector is the largest of the inverse, by ten squarings: what belongs to an eigenvalue
    one percent larger is 3e-5 of it by then.
    """
    sample = tl.program_id(0)
    at = tl.arange(0, 16)
    i, j = at[:, None], at[None, :]
    matrix = tl.zeros((16, 16), dtype=tl.float64)
    for start in range(0, splits, 16):
        split = start + at[:, None, None]
        place = (sample * splits + split) * 256 + i[None, :, :] * 16 + j[None, :, :]
        matrix += tl.sum(tl.load(moments + place, mask=split < splits, other=0.0), 0)
    real = (i < 9) & (j < 9)
    one = tl.where(real & (i == j), 1.0, 0.0).to(tl.float64)
    if HARTLEY:
        means = tl.sum(tl.where(i == 8, matrix, 0.0), 0)
        total = tl.maximum(_entry(means, 8), 1e-12)
        means = means / total
        spread = tl.sum(tl.where(i == j, matrix, 0.0), 0) / total - means * means
        x0, y0 = _entry(means, 6), _entry(means, 7)
        x1, y1 = _entry(means, 2), _entry(means, 5)
        spread0 = _entry(spread, 6) + _entry(spread, 7)
        spread1 = _entry(spread, 2) + _entry(spread, 5)
        scale0 = tl.sqrt(2.0 / tl.maximum(spread0, 1e-18))
        scale1 = tl.sqrt(2.0 / tl.maximum(spread1, 1e-18))
        both = _similarity(i // 3, j // 3, scale1, x1, y1)
        both = both * _similarity(i % 3, j % 3, scale0, x0, y0)
        both = tl.where(real, both, 0.0)
        turned = tl.trans(both)
        matrix = _product(tl.trans(_product(turned, matrix)), turned)
    else:
        both = one
    trace = tl.maximum(tl.sum(tl.sum(matrix * one, 0), 0), 1e-30)
    power = _inverse(matrix, 1e-17 * trace)
    for _ in range(2):
        power = power / tl.maximum(tl.max(tl.max(tl.abs(power), 0), 0), 1e-300)
        for _ in range(5):
            power = _product(power, power)  # it is symmetric
    length = tl.sum(power * power, 0)
    longest = tl.max(length, 0)
    chosen = tl.min(tl.where(length == longest, at, 16), 0)
    vector = tl.sum(tl.where(i == chosen, power, 0.0), 0)  # or its column
    if HARTLEY:
        # Of (T1^T E T0): row by row, K^T of the vector.
        vector = vector / tl.sqrt(tl.sum(vector * vector, 0))
        vector = tl.sum(both * vector[:, None], 0)
    norm = tl.sqrt(tl.sum(vector * vector, 0))
    vector = vector / norm
    enough = tl.load(sufficient + sample) != 0
    vector = tl.where(enough, vector, float("nan"))
    tl.store(essential + sample * 9 + at, vector.to(tl.float32), mask=at < 9)


def eight_point(
    matches: Tensor,
    weights: Tensor,
    mask: Tensor,
    sufficient: Tensor,
    *,
    sigmoid: bool,
    hartley: bool,
) -> Tensor:
    """`(B, 3, 3)` essential matrices, sign free, NaN where not `sufficient` `(B,)`.

    Args:
        matches: `(B, N, 4 or more)`, of which the first four columns count.
        weights: `(B, N)`, not negative; `sigmoid`: their sigmoid is meant. Any scale.
        mask: `(B, N)`, 0 where not to count.
    """
    batch, rows, stride = matches.shape
    splits = triton.cdiv(rows, _SPAN)
    moments = torch.empty(batch, splits, _SIDE, _SIDE, dtype=torch.float64, device=matches.device)
    moments_kernel[(batch * splits,)](
        matches,
        weights,
        mask,
        moments,
        rows,
        splits,
        stride,
        SIGMOID=sigmoid,
        SPAN=_SPAN,
        BM=8,
        num_warps=4,
    )
    essential = matches.new_empty(batch, 3, 3)
    solution_kernel[(batch,)](moments, sufficient, essential, splits, HARTLEY=hartley, num_warps=1)
    return essential
