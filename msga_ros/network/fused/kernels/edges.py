"""What happens on the edges of the graphs: rings of neighbours, and the interaction of two graphs.

A layer on edges is linear in both ends, so it is computed on the matches and gathered here; the
projections lie side by side in the columns of one tensor.
"""

import triton
import triton.language as tl
from torch import Tensor

from msga_ros.network.fused.kernels.statistics import write_statistics
from msga_ros.network.fused.values import Linear, Statistics, Tiles, empty_statistics


@triton.jit(do_not_specialize=["rows", "blocks"])
def annular_kernel(
    projected,
    neighbours,
    weight,
    bias,
    y,
    rows,
    blocks,
    C: tl.constexpr,
    WIDTH: tl.constexpr,
    RINGS: tl.constexpr,
    BM: tl.constexpr,
    BK: tl.constexpr,
    BO: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """`y = relu(sum over rings r of relu(own_i - sum over p < 3 of other_p[j(3r + p)]) W_r^T + b)`.

    `projected` `(B, N, WIDTH)`: columns own, other_0, other_1, other_2 of C each; `neighbours`
    `(B, N, 3 RINGS)`; weight `(C, RINGS C)`; y `(B, N, C)`.
    """
    sample, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    row = block * BM + tl.arange(0, BM)
    there = row < rows
    at = sample * rows + row
    column = tl.program_id(1) * BO + tl.arange(0, BO)
    present = column < C
    sums = tl.zeros((BM, BO), dtype=tl.float32)
    for ring in range(RINGS):
        edge = neighbours + at * (3 * RINGS) + 3 * ring
        j0 = sample * rows + tl.load(edge, mask=there, other=0)
        j1 = sample * rows + tl.load(edge + 1, mask=there, other=0)
        j2 = sample * rows + tl.load(edge + 2, mask=there, other=0)
        for start in range(0, C, BK):
            channel = start + tl.arange(0, BK)
            inside = channel < C
            both = there[:, None] & inside[None, :]
            own = projected + channel[None, :]
            values = tl.load(own + at[:, None] * WIDTH, mask=both, other=0.0)
            others = tl.load(own + j0[:, None] * WIDTH + C, mask=both, other=0.0)
            others += tl.load(own + j1[:, None] * WIDTH + 2 * C, mask=both, other=0.0)
            others += tl.load(own + j2[:, None] * WIDTH + 3 * C, mask=both, other=0.0)
            values = tl.maximum(values - others, 0.0)
            w = tl.load(
                weight + column[None, :] * (RINGS * C) + ring * C + channel[:, None],
                mask=inside[:, None] & present[None, :],
                other=0.0,
            )
            sums = tl.dot(values, w, sums, input_precision=PRECISION)
    sums += tl.load(bias + column, mask=present, other=0.0)[None, :]
    tl.store(
        y + at[:, None] * C + column[None, :],
        tl.maximum(sums, 0.0),
        mask=there[:, None] & present[None, :],
    )


@triton.jit
def _edge(own, projected, neighbour, channel, both, WIDTH: tl.constexpr):
    others = tl.load(
        projected + neighbour[:, None] * WIDTH + channel[None, :], mask=both, other=0.0
    )
    return tl.maximum(own - others, 0.0)


@triton.jit(do_not_specialize=["rows", "blocks"])
def edge_attention_kernel(
    shallow,
    deep,
    shallow_neighbours,
    deep_neighbours,
    attended,
    rows,
    blocks,
    C: tl.constexpr,
    CB: tl.constexpr,
    SHALLOW: tl.constexpr,
    DEEP: tl.constexpr,
    K: tl.constexpr,
    BM: tl.constexpr,
):
    """`attended` `(B, N, K, C)`: `softmax over e of (q_e k_e) * v_e`, each `relu(own_i - other_j)`.

    `shallow` `(B, N, SHALLOW)` has q in its first 2 C columns, own and other; `deep`
    `(B, N, DEEP)` k and v in its first 4 C; neighbours `(B, N, K)`.
    """
    sample, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    row = block * BM + tl.arange(0, BM)
    there = row < rows
    at = sample * rows + row
    channel = tl.arange(0, CB)
    inside = channel < C
    both = there[:, None] & inside[None, :]
    q = tl.load(shallow + at[:, None] * SHALLOW + channel[None, :], mask=both, other=0.0)
    k = tl.load(deep + at[:, None] * DEEP + channel[None, :], mask=both, other=0.0)
    v = tl.load(deep + at[:, None] * DEEP + 2 * C + channel[None, :], mask=both, other=0.0)
    largest = tl.full((BM, CB), -float("inf"), dtype=tl.float32)
    total = tl.zeros((BM, CB), dtype=tl.float32)
    for e in range(K):
        i = sample * rows + tl.load(shallow_neighbours + at * K + e, mask=there, other=0)
        j = sample * rows + tl.load(deep_neighbours + at * K + e, mask=there, other=0)
        agreement = _edge(q, shallow + C, i, channel, both, SHALLOW)
        agreement *= _edge(k, deep + C, j, channel, both, DEEP)
        now = tl.maximum(largest, agreement)
        total = total * tl.exp(largest - now) + tl.exp(agreement - now)
        largest = now
    for e in range(K):
        i = sample * rows + tl.load(shallow_neighbours + at * K + e, mask=there, other=0)
        j = sample * rows + tl.load(deep_neighbours + at * K + e, mask=there, other=0)
        agreement = _edge(q, shallow + C, i, channel, both, SHALLOW)
        agreement *= _edge(k, deep + C, j, channel, both, DEEP)
        value = tl.exp(agreement - largest) / total
        value *= _edge(v, deep + 3 * C, j, channel, both, DEEP)
        tl.store(attended + (at * K + e)[:, None] * C + channel[None, :], value, mask=both)


@triton.jit(do_not_specialize=["rows", "blocks"])
def edge_output_kernel(
    attended,
    weight,
    bias,
    shallow,
    head,
    head_bias,
    y,
    scores,
    means,
    squares,
    counts,
    mask,
    rows,
    blocks,
    C: tl.constexpr,
    CB: tl.constexpr,
    K: tl.constexpr,
    SCORES: tl.constexpr,
    BM: tl.constexpr,
    BK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """`y = shallow + relu(max over e of attended_e W^T + b)` `(B, N, C)`, its statistics and, where
    SCORES, `scores = y head^T + b` `(B, N)`."""
    sample, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    row = block * BM + tl.arange(0, BM)
    there = row < rows
    at = sample * rows + row
    column = tl.arange(0, CB)
    present = column < C
    best = tl.full((BM, CB), -float("inf"), dtype=tl.float32)
    sums = tl.zeros((BM, CB), dtype=tl.float32)
    parts: tl.constexpr = (C + BK - 1) // BK
    for step in range(K * parts):  # one loop: what comes next is loaded meanwhile
        e, part = step // parts, step % parts
        channel = part * BK + tl.arange(0, BK)
        inside = channel < C
        values = tl.load(
            attended + (at * K + e)[:, None] * C + channel[None, :],
            mask=there[:, None] & inside[None, :],
            other=0.0,
        )
        w = tl.load(
            weight + column[None, :] * C + channel[:, None],
            mask=inside[:, None] & present[None, :],
            other=0.0,
        )
        sums = tl.where(part == 0, 0.0, sums)
        sums = tl.dot(values, w, sums, input_precision=PRECISION)
        best = tl.where(part == parts - 1, tl.maximum(best, sums), best)
    both = there[:, None] & present[None, :]
    place = at[:, None] * C + column[None, :]
    best += tl.load(bias + column, mask=present, other=0.0)[None, :]
    best = tl.maximum(best, 0.0) + tl.load(shallow + place, mask=both, other=0.0)
    best = tl.where(both, best, 0.0)
    tl.store(y + place, best, mask=both)
    if SCORES:
        w = tl.load(head + column, mask=present, other=0.0)
        score = tl.sum(best * w[None, :], 1) + tl.load(head_bias)
        tl.store(scores + at, score, mask=there)
    seen = tl.load(mask + at, mask=there, other=0) != 0
    write_statistics(
        best, seen, means, squares, counts, sample * blocks + block, column, C, present
    )


def annular(projected: Tensor, neighbours: Tensor, layer: Linear, tiles: Tiles) -> Tensor:
    """`(B, N, C)`: what `annular_kernel` says."""
    batch, rows, width = projected.shape
    channels = len(layer.weight)
    blocks = triton.cdiv(rows, tiles.ring_rows)
    y = projected.new_empty(batch, rows, channels)
    annular_kernel[(batch * blocks, triton.cdiv(channels, tiles.ring_columns))](
        projected,
        neighbours,
        layer.weight,
        layer.bias,
        y,
        rows,
        blocks,
        C=channels,
        WIDTH=width,
        RINGS=neighbours.shape[-1] // 3,
        BM=tiles.ring_rows,
        BK=min(tiles.ring_depth, max(16, triton.next_power_of_2(channels))),
        BO=tiles.ring_columns,
        PRECISION=tiles.precision,
        num_warps=tiles.warps,
    )
    return y


def edge_attention(
    shallow: Tensor,
    deep: Tensor,
    shallow_neighbours: Tensor,
    deep_neighbours: Tensor,
    channels: int,
) -> Tensor:
    """`(B, N, k, C)`: what `edge_attention_kernel` says; `shallow`, `deep` may be columns of a
    wider tensor."""
    batch, rows, k = shallow_neighbours.shape
    attended = shallow.new_empty(batch, rows, k, channels)
    blocks = triton.cdiv(rows, 8)
    edge_attention_kernel[(batch * blocks,)](
        shallow,
        deep,
        shallow_neighbours,
        deep_neighbours,
        attended,
        rows,
        blocks,
        C=channels,
        CB=max(16, triton.next_power_of_2(channels)),
        SHALLOW=shallow.stride(1),
        DEEP=deep.stride(1),
        K=k,
        BM=8,
        num_warps=4,
    )
    return attended


def edge_output(
    attended: Tensor,
    layer: Linear,
    shallow: Tensor,
    head: Linear | None,
    mask: Tensor,
    tiles: Tiles,
) -> tuple[Tensor, Tensor | None, Statistics]:
    """Features `(B, N, C)`, scores `(B, N)` where there is a head, and statistics of the
    features."""
    batch, rows, k, channels = attended.shape
    blocks = triton.cdiv(rows, tiles.edge_rows)
    y = attended.new_empty(batch, rows, channels)
    scores = attended.new_empty(batch, rows) if head else None
    found = empty_statistics(y, blocks)
    edge_output_kernel[(batch * blocks,)](
        attended,
        layer.weight,
        layer.bias,
        shallow,
        head.weight if head else None,
        head.bias if head else None,
        y,
        scores,
        *found.tensors,
        mask,
        rows,
        blocks,
        C=channels,
        CB=max(16, triton.next_power_of_2(channels)),
        K=k,
        SCORES=head is not None,
        BM=tiles.edge_rows,
        BK=min(tiles.chunk, max(16, triton.next_power_of_2(channels))),
        PRECISION=tiles.precision,
        num_warps=tiles.warps,
    )
    return y, scores, found
