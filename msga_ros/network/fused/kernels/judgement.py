"""The weights of the solution, and the distance of every match to it."""

import triton
import triton.language as tl
from torch import Tensor

from msga_ros.network.fused.values import Counts

_NEVER = tl.constexpr(-1e9)


@triton.jit
def distance(point, there, essential):
    """Squared symmetric epipolar distance of the matches at `point` (four numbers each) to the
    nine numbers at `essential`."""
    x0, y0 = tl.load(point, mask=there, other=0.0), tl.load(point + 1, mask=there, other=0.0)
    x1, y1 = tl.load(point + 2, mask=there, other=0.0), tl.load(point + 3, mask=there, other=0.0)
    e00, e01, e02 = tl.load(essential), tl.load(essential + 1), tl.load(essential + 2)
    e10, e11, e12 = tl.load(essential + 3), tl.load(essential + 4), tl.load(essential + 5)
    e20, e21, e22 = tl.load(essential + 6), tl.load(essential + 7), tl.load(essential + 8)
    a1, b1 = e00 * x0 + e01 * y0 + e02, e10 * x0 + e11 * y0 + e12
    c1 = e20 * x0 + e21 * y0 + e22
    a0, b0 = e00 * x1 + e10 * y1 + e20, e01 * x1 + e11 * y1 + e21
    error = x1 * a1 + y1 * b1 + c1
    return error * error * (1.0 / (a0 * a0 + b0 * b0 + 1e-15) + 1.0 / (a1 * a1 + b1 * b1 + 1e-15))


@triton.jit(do_not_specialize=["rows"])
def weigh_kernel(raw, mask, weights, rows, BM: tl.constexpr):
    """`weights` `(B, N)`: softmax over the valid rows of `s + log sigmoid(l)`, `raw` `(B, N, 2)` is
    `(l, s)`; 0 elsewhere."""
    sample = tl.program_id(0)
    lane = tl.arange(0, BM)
    largest = tl.zeros((BM,), dtype=tl.float32) + _NEVER
    total = tl.zeros((BM,), dtype=tl.float32)
    for start in range(0, rows, BM):
        row = start + lane
        at = sample * rows + row
        seen = tl.load(mask + at, mask=row < rows, other=0) != 0
        logit = tl.load(raw + at * 2, mask=row < rows, other=0.0)
        scale = tl.load(raw + at * 2 + 1, mask=row < rows, other=0.0)
        value = scale + tl.minimum(logit, 0.0) - tl.log(1.0 + tl.exp(-tl.abs(logit)))
        value = tl.where(seen, value, _NEVER)
        now = tl.maximum(largest, value)
        total = total * tl.exp(largest - now) + tl.where(seen, tl.exp(value - now), 0.0)
        largest = now
    most = tl.max(largest, 0)
    sum_of_all = tl.maximum(tl.sum(total * tl.exp(largest - most), 0), 1e-30)
    for start in range(0, rows, BM):
        row = start + lane
        at = sample * rows + row
        seen = tl.load(mask + at, mask=row < rows, other=0) != 0
        logit = tl.load(raw + at * 2, mask=row < rows, other=0.0)
        scale = tl.load(raw + at * 2 + 1, mask=row < rows, other=0.0)
        value = scale + tl.minimum(logit, 0.0) - tl.log(1.0 + tl.exp(-tl.abs(logit)))
        weight = tl.where(seen, tl.exp(value - most), 0.0) / sum_of_all
        tl.store(weights + at, weight, mask=row < rows)


@triton.jit(do_not_specialize=["rows"])
def judge_kernel(
    inputs,
    essential,
    score1,
    mask,
    sufficient,
    residual,
    logit,
    rows,
    WIDTH: tl.constexpr,
    BM: tl.constexpr,
):
    """`residual`, `logit` `(B, N)`: distance to `essential` and score of each match; inf and -inf
    where masked and in a sample of too few."""
    sample = tl.program_id(1)
    row = tl.program_id(0) * BM + tl.arange(0, BM)
    there = row < rows
    at = sample * rows + row
    seen = (tl.load(mask + at, mask=there, other=0) != 0) & (tl.load(sufficient + sample) != 0)
    apart = distance(inputs + at * WIDTH, there, essential + sample * 9)
    score = tl.load(score1 + at, mask=there, other=0.0)
    tl.store(residual + at, tl.where(seen, apart, float("inf")), mask=there)
    tl.store(logit + at, tl.where(seen, score, -float("inf")), mask=there)


def weigh(raw: Tensor, mask: Tensor) -> Tensor:
    """`(B, N)` weights of the solution, sum 1, from `raw` `(B, N, 2)`."""
    batch, rows, _ = raw.shape
    weights = raw.new_empty(batch, rows)
    weigh_kernel[(batch,)](raw, mask, weights, rows, BM=1024, num_warps=8)
    return weights


def judge(
    inputs: Tensor, essential: Tensor, score1: Tensor, counts: Counts
) -> tuple[Tensor, Tensor]:
    """Residuals and scores `(B, N)` of every match, as `MSGANetResult` has them."""
    batch, rows, width = inputs.shape
    residual, logit = inputs.new_empty(batch, rows), inputs.new_empty(batch, rows)
    judge_kernel[(triton.cdiv(rows, 128), batch)](
        inputs,
        essential,
        score1,
        counts.mask,
        counts.sufficient,
        residual,
        logit,
        rows,
        WIDTH=width,
        BM=128,
        num_warps=4,
    )
    return residual, logit
