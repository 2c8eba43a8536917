"""MSFormer layers on the grid of clusters: cells `(B, L L, C)`, row by row, channels last."""

import triton
import triton.language as tl
from torch import Tensor

from msga_ros.network.fused.values import Convolution, Gate, Linear, Tiles


@triton.jit
def _tap(
    x,
    scale,
    shift,
    weight,
    sample,
    cell,
    column,
    tap,
    part,
    L: tl.constexpr,
    K: tl.constexpr,
    O: tl.constexpr,  # noqa: E741
    TAPS: tl.constexpr,
    NORM: tl.constexpr,
    BK: tl.constexpr,
):
    """What a tap multiplies: BK inputs of its cells (cells, BK), and weights (BK, outputs)."""
    near_r, near_c = cell // L, cell % L
    if TAPS == 9:
        near_r, near_c = near_r + tap // 3 - 1, near_c + tap % 3 - 1
    there = (near_r >= 0) & (near_r < L) & (near_c >= 0) & (near_c < L)
    at = sample * L * L + near_r * L + near_c
    channel = part * BK + tl.arange(0, BK)
    inside = channel < K
    both = there[:, None] & inside[None, :]
    values = tl.load(x + at[:, None] * K + channel[None, :], mask=both, other=0.0)
    w = tl.load(
        weight + (tap * O + column)[None, :] * K + channel[:, None],
        mask=inside[:, None] & (column < O)[None, :],
        other=0.0,
    )
    if NORM:
        factor = tl.load(scale + channel, mask=inside, other=0.0)
        offset = tl.load(shift + channel, mask=inside, other=0.0)
        values = tl.where(both, values * factor[None, :] + offset[None, :], 0.0)
    return values, w


@triton.jit
def _convolved(
    sums,
    x,
    scale,
    shift,
    weight,
    sample,
    cell,
    column,
    L: tl.constexpr,
    K: tl.constexpr,
    O: tl.constexpr,  # noqa: E741
    TAPS: tl.constexpr,
    NORM: tl.constexpr,
    BK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """`sums` and a convolution of 1 or 3 x 3 = TAPS cells, zeros around the grid; weight
    `(TAPS, O, K)`; NORM: of `x scale + shift`."""
    parts: tl.constexpr = (K + BK - 1) // BK
    if TAPS == 9:
        # A row of three taps at a time: each load waits as long as all together.
        for step in range(3 * parts):
            row, part = 3 * (step // parts), step % parts
            near0, w0 = _tap(
                x, scale, shift, weight, sample, cell, column, row, part, L, K, O, 9, NORM, BK
            )
            near1, w1 = _tap(
                x, scale, shift, weight, sample, cell, column, row + 1, part, L, K, O, 9, NORM, BK
            )
            near2, w2 = _tap(
                x, scale, shift, weight, sample, cell, column, row + 2, part, L, K, O, 9, NORM, BK
            )
            sums = tl.dot(near0, w0, sums, input_precision=PRECISION)
            sums = tl.dot(near1, w1, sums, input_precision=PRECISION)
            sums = tl.dot(near2, w2, sums, input_precision=PRECISION)
    else:
        for part in range(parts):
            values, w = _tap(
                x, scale, shift, weight, sample, cell, column, 0, part, L, K, O, 1, NORM, BK
            )
            sums = tl.dot(values, w, sums, input_precision=PRECISION)
    return sums


@triton.jit
def convolution_kernel(
    x,
    scale,
    shift,
    weight,
    bias,
    shortcut,
    y,
    L: tl.constexpr,
    K: tl.constexpr,
    O: tl.constexpr,  # noqa: E741
    TAPS: tl.constexpr,
    NORM: tl.constexpr,
    RELU: tl.constexpr,
    SHORTCUT: tl.constexpr,
    BM: tl.constexpr,
    BK: tl.constexpr,
    BO: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """`y = act(conv(x scale + shift) + b + shortcut)`, x `(B, L L, K)`, y `(B, L L, O)`."""
    blocks: tl.constexpr = (L * L + BM - 1) // BM
    sample, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    cell = block * BM + tl.arange(0, BM)
    column = tl.program_id(1) * BO + tl.arange(0, BO)
    sums = tl.zeros((BM, BO), dtype=tl.float32)
    sums = _convolved(
        sums, x, scale, shift, weight, sample, cell, column, L, K, O, TAPS, NORM, BK, PRECISION
    )
    both = (cell < L * L)[:, None] & (column < O)[None, :]
    place = (sample * L * L + cell)[:, None] * O + column[None, :]
    sums += tl.load(bias + column, mask=column < O, other=0.0)[None, :]
    if SHORTCUT:
        sums += tl.load(shortcut + place, mask=both, other=0.0)
    if RELU:
        sums = tl.maximum(sums, 0.0)
    tl.store(y + place, sums, mask=both)


@triton.jit
def mixing_kernel(
    x,
    scale,
    shift,
    hidden,
    local_weight,
    local_bias,
    whole,
    attended,
    weight,
    bias,
    y,
    L: tl.constexpr,
    C: tl.constexpr,
    H: tl.constexpr,
    BM: tl.constexpr,
    BK: tl.constexpr,
    BH: tl.constexpr,
    BO: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """`y = x + n(x) sigmoid((conv3x3(hidden) + b0) whole) + attended W^T + b1`, `n(x) = x scale +
    shift`.

    x, attended, y `(B, L L, C)`, hidden `(B, L L, H)`, whole `(B, C)`.
    """
    blocks: tl.constexpr = (L * L + BM - 1) // BM
    sample, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    cell = block * BM + tl.arange(0, BM)
    column = tl.program_id(1) * BO + tl.arange(0, BO)
    present = column < C
    gate = tl.zeros((BM, BO), dtype=tl.float32)
    gate = _convolved(
        gate,
        hidden,
        scale,
        shift,
        local_weight,
        sample,
        cell,
        column,
        L,
        H,
        C,
        9,
        False,
        BH,
        PRECISION,
    )
    gate += tl.load(local_bias + column, mask=present, other=0.0)[None, :]
    gate *= tl.load(whole + sample * C + column, mask=present, other=0.0)[None, :]
    both = (cell < L * L)[:, None] & present[None, :]
    place = (sample * L * L + cell)[:, None] * C + column[None, :]
    values = tl.load(x + place, mask=both, other=0.0)
    factor = tl.load(scale + column, mask=present, other=0.0)
    offset = tl.load(shift + column, mask=present, other=0.0)
    normed = values * factor[None, :] + offset[None, :]
    sums = values + normed / (1.0 + tl.exp(-gate))
    sums += tl.load(bias + column, mask=present, other=0.0)[None, :]
    sums = _convolved(
        sums,
        attended,
        scale,
        shift,
        weight,
        sample,
        cell,
        column,
        L,
        C,
        C,
        1,
        False,
        BK,
        PRECISION,
    )
    tl.store(y + place, sums, mask=both)


def _depth(width: int, tiles: Tiles) -> int:
    """Inputs at a time of so many."""
    return min(tiles.grid_depth, max(16, triton.next_power_of_2(width)))


def convolution(
    cells: Tensor, layer: Convolution, side: int, tiles: Tiles, shortcut: Tensor | None = None
) -> Tensor:
    """`(B, L L, O)` from `cells` `(B, L L, K)`, L = `side`."""
    batch, _, width = cells.shape
    taps, outputs, _ = layer.weight.shape
    y = cells.new_empty(batch, side * side, outputs)
    columns = min(tiles.outputs, max(16, triton.next_power_of_2(outputs)))
    convolution_kernel[
        (batch * triton.cdiv(side * side, tiles.cells), triton.cdiv(outputs, columns))
    ](
        cells,
        layer.scale,
        layer.shift,
        layer.weight,
        layer.bias,
        shortcut,
        y,
        L=side,
        K=width,
        O=outputs,
        TAPS=taps,
        NORM=layer.scale is not None,
        RELU=layer.relu,
        SHORTCUT=shortcut is not None,
        BM=tiles.cells,
        BK=_depth(width, tiles),
        BO=columns,
        PRECISION=tiles.precision,
        num_warps=tiles.grid_warps,
    )
    return y


def mixing(
    cells: Tensor,
    gate: Gate,
    hidden: Tensor,
    whole: Tensor,
    attended: Tensor,
    output: Linear,
    side: int,
    tiles: Tiles,
) -> Tensor:
    """`(B, L L, C)`: gate and attention added to `cells`, see `mixing_kernel`."""
    batch, count, channels = cells.shape
    y = cells.new_empty(batch, count, channels)
    narrow = hidden.shape[-1]
    columns = min(tiles.outputs, max(16, triton.next_power_of_2(channels)))
    mixing_kernel[(batch * triton.cdiv(count, tiles.cells), triton.cdiv(channels, columns))](
        cells,
        gate.scale,
        gate.shift,
        hidden,
        gate.local.weight,
        gate.local.bias,
        whole,
        attended,
        output.weight,
        output.bias,
        y,
        L=side,
        C=channels,
        H=narrow,
        BM=tiles.cells,
        BK=_depth(channels, tiles),
        BH=_depth(narrow, tiles),
        BO=columns,
        PRECISION=tiles.precision,
        num_warps=tiles.grid_warps,
    )
    return y
