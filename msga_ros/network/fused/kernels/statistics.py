"""Mean and variance over the matches of a sample, by blocks of matches.

Each program writes, of its block, the mean, the sum of squared differences from it, and the number
of valid rows; who needs the statistics merges the blocks (Chan, Golub, LeVeque, "Algorithms for
computing the sample variance", 1983). No digits are lost far from zero, and no order is random.
"""

import triton
import triton.language as tl


@triton.jit
def write_statistics(y, seen, means, squares, counts, place, channel, C: tl.constexpr, inside):
    """Of `y` (rows, channels) where `seen` (rows): block number `place` of `means`, `squares`
    (blocks, C) and `counts` (blocks)."""
    share = seen.to(tl.float32)
    count = tl.sum(share, 0)
    mean = tl.sum(y * share[:, None], 0) / tl.maximum(count, 1.0)
    centred = tl.where(seen[:, None], y - mean[None, :], 0.0)
    tl.store(means + place * C + channel, mean, mask=inside)
    tl.store(squares + place * C + channel, tl.sum(centred * centred, 0), mask=inside)
    tl.store(counts + place, count)


@triton.jit
def merged_statistics(
    means, squares, counts, sample, blocks, channel, C: tl.constexpr, inside, PARTS: tl.constexpr
):
    """Mean and variance (channels) of a sample from its `blocks` blocks."""
    mean = tl.zeros_like(channel).to(tl.float32)
    square = tl.zeros_like(channel).to(tl.float32)
    count = tl.sum(mean, 0)
    for start in range(0, blocks, PARTS):
        part = start + tl.arange(0, PARTS)
        known = part < blocks
        place = sample * blocks + part
        here = tl.load(counts + place, mask=known, other=0.0)
        at = place[:, None] * C + channel[None, :]
        known2 = known[:, None] & inside[None, :]
        block_means = tl.load(means + at, mask=known2, other=0.0)
        block_squares = tl.load(squares + at, mask=known2, other=0.0)
        count_here = tl.sum(here, 0)
        mean_here = tl.sum(block_means * here[:, None], 0) / tl.maximum(count_here, 1.0)
        apart = block_means - mean_here[None, :]
        square_here = tl.sum(block_squares + here[:, None] * apart * apart, 0)
        total = count + count_here
        share = count_here / tl.maximum(total, 1.0)
        step = mean_here - mean
        square += square_here + step * step * count * share
        mean += step * share
        count = total
    return mean, square / tl.maximum(count, 1.0)


@triton.jit
def scale_and_shift(
    means,
    squares,
    counts,
    scale,
    shift,
    sample,
    blocks,
    channel,
    C: tl.constexpr,
    inside,
    EPS: tl.constexpr,
    PARTS: tl.constexpr,
):
    """`a`, `c`, `s` (channels): a context norm and its batch norm are `(x - c) * a + s`."""
    mean, variance = merged_statistics(
        means, squares, counts, sample, blocks, channel, C, inside, PARTS
    )
    factor = tl.load(scale + channel, mask=inside, other=0.0) * tl.rsqrt(variance + EPS)
    return factor, mean, tl.load(shift + channel, mask=inside, other=0.0)
