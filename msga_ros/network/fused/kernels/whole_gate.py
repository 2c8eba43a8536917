"""What the mean of the grid of clusters says of each channel."""

import triton
import triton.language as tl
from torch import Tensor

from msga_ros.network.fused.values import Gate


@triton.jit
def whole_kernel(
    x,
    scale,
    shift,
    weight0,
    bias0,
    weight1,
    bias1,
    whole,
    CELLS: tl.constexpr,
    C: tl.constexpr,
    CB: tl.constexpr,
    H: tl.constexpr,
    HB: tl.constexpr,
    BM: tl.constexpr,
):
    """`whole` `(B, C)`: `W1 relu(W0 m + b0) + b1`, `m` the mean over the cells of `x scale +
    shift`."""
    sample = tl.program_id(0)
    channel, hidden = tl.arange(0, CB), tl.arange(0, HB)
    inside, present = channel < C, hidden < H
    mean = tl.zeros((CB,), dtype=tl.float32)
    for start in range(0, CELLS, BM):
        cell = start + tl.arange(0, BM)
        values = tl.load(
            x + (sample * CELLS + cell)[:, None] * C + channel[None, :],
            mask=(cell < CELLS)[:, None] & inside[None, :],
            other=0.0,
        )
        mean += tl.sum(values, 0)
    factor = tl.load(scale + channel, mask=inside, other=0.0)
    mean = mean / CELLS * factor + tl.load(shift + channel, mask=inside, other=0.0)
    both = present[:, None] & inside[None, :]
    w0 = tl.load(weight0 + hidden[:, None] * C + channel[None, :], mask=both, other=0.0)
    h = tl.sum(w0 * mean[None, :], 1) + tl.load(bias0 + hidden, mask=present, other=0.0)
    h = tl.maximum(h, 0.0)
    w1 = tl.load(weight1 + channel[None, :] * H + hidden[:, None], mask=both, other=0.0)
    result = tl.sum(w1 * h[:, None], 0) + tl.load(bias1 + channel, mask=inside, other=0.0)
    tl.store(whole + sample * C + channel, result, mask=inside)


def whole_gate(cells: Tensor, gate: Gate) -> Tensor:
    """`(B, C)`: what the mean of the cells says, see `whole_kernel`."""
    batch, count, channels = cells.shape
    whole = cells.new_empty(batch, channels)
    narrow = len(gate.whole0.weight)
    whole_kernel[(batch,)](
        cells,
        gate.scale,
        gate.shift,
        gate.whole0.weight,
        gate.whole0.bias,
        gate.whole1.weight,
        gate.whole1.bias,
        whole,
        CELLS=count,
        C=channels,
        CB=triton.next_power_of_2(channels),
        H=narrow,
        HB=triton.next_power_of_2(narrow),
        BM=32,
        num_warps=8,
    )
    return whole
