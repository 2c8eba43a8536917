"""What kernels are given: prepared weights, features with the norm that comes next, block sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor


@dataclass(frozen=True)
class Linear:
    """`weight` (O, K), `bias` (O): contiguous, float32."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Norm:
    """A context norm: after mean and variance of the sample, `scale` and `shift` (C)."""

    scale: Tensor
    shift: Tensor
    eps: float

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        return self.scale, self.shift


@dataclass(frozen=True)
class Statistics:
    """Of blocks of matches: `means`, `squares` (B, blocks, C), `counts` (B, blocks), see
    `kernels/statistics.py`."""

    means: Tensor
    squares: Tensor
    counts: Tensor

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.means, self.squares, self.counts

    @property
    def blocks(self) -> int:
        return self.counts.shape[1]


@dataclass(frozen=True)
class Normed:
    """Features `(B, N, C)` as they are or, with `norm`, before `relu(norm(values) + shortcut)`."""

    values: Tensor
    norm: Norm | None = None
    statistics: Statistics | None = None
    shortcut: Tensor | None = None


WIDE = 192  # outputs of a linear layer: so many make programs enough of large blocks


@dataclass(frozen=True)
class Tiles:
    """Block sizes: powers of two, 16 at least.

    Attributes:
        rows, columns, depth: of linear layers: matches, outputs, inputs at a time.
        wide_rows, wide_columns, wide_depth: the same of layers with many outputs.
        edge_rows: matches of a program that holds all outputs of their edges.
        chunk: inputs at a time where they come from the edges.
        ring_rows, ring_columns, ring_depth: of layers on rings of neighbours: matches, outputs,
            inputs at a time.
        query_rows: matches of a program that goes through all clusters.
        near_rows, near_depth, near_warps: of products of all matches with all: matches on each
            side, channels at a time; warps of a program.
        parts: blocks whose statistics are merged at a time.
        cells, outputs, grid_depth, grid_warps: of convolutions on the grid: cells, outputs, and
            inputs at a time; warps of a program.
        channel_cells, channel_warps: of the attention between channels: cells of a program, its
            warps.
        precision: of products: ieee, tf32x3 (three products of tensor cores, nearly as exact) or
            tf32 (ten bits).
        warps: of a program that holds a product.
    """

    rows: int = 32
    columns: int = 64
    depth: int = 128
    wide_rows: int = 64
    wide_columns: int = 64
    wide_depth: int = 64
    edge_rows: int = 16
    chunk: int = 128
    ring_rows: int = 16
    ring_columns: int = 128
    ring_depth: int = 32
    query_rows: int = 16
    near_rows: int = 64
    near_depth: int = 32
    near_warps: int = 4
    parts: int = 64
    cells: int = 16
    outputs: int = 32
    grid_depth: int = 128
    grid_warps: int = 4
    channel_cells: int = 32
    channel_warps: int = 8
    precision: str = "tf32x3"
    warps: int = 4


def tiles_for(batch: int, rows: int) -> Tiles:
    """By rule, for so many matches: small blocks where few would leave processors idle."""
    matches = batch * rows
    if matches <= 1024:
        return Tiles(rows=16)
    if matches <= 4096:
        return Tiles()
    if matches <= 16384:
        tiles = Tiles(rows=64, depth=32, edge_rows=32, chunk=32, query_rows=32, parts=32)
    else:
        tiles = Tiles(
            rows=64,
            depth=32,
            edge_rows=64,
            chunk=32,
            ring_rows=64,
            ring_columns=64,
            query_rows=32,
            parts=16,
        )
    many_grids = batch >= 16
    return replace(tiles, cells=64, outputs=64, grid_depth=32) if many_grids else tiles


def empty_statistics(features: Tensor, blocks: int) -> Statistics:
    """Room for the statistics of `features` (B, N, C) in so many blocks."""
    batch, _, channels = features.shape
    return Statistics(
        features.new_empty(batch, blocks, channels, dtype=torch.float32),
        features.new_empty(batch, blocks, channels, dtype=torch.float32),
        features.new_empty(batch, blocks, dtype=torch.float32),
    )


@dataclass(frozen=True)
class Convolution:
    """On the grid: `weight` (taps, O, K), `bias` (O); before it `x scale + shift` where given."""

    weight: Tensor
    bias: Tensor
    scale: Tensor | None = None
    shift: Tensor | None = None
    relu: bool = False


@dataclass(frozen=True)
class Attention:
    """Between channels: depthwise convolution `(9, 3 C)` and its bias, a temperature a head, and
    four sparse copies, of which each keeps so many entries of a row."""

    depthwise_weight: Tensor
    depthwise_bias: Tensor
    temperature: Tensor
    mixture: Tensor
    kept: tuple[int, int, int, int]


@dataclass(frozen=True)
class Gate:
    """`scale`, `shift` (C) before everything; the second convolution of the local bottleneck, the
    linear layers of that of the whole map."""

    scale: Tensor
    shift: Tensor
    local: Convolution
    whole0: Linear
    whole1: Linear


@dataclass(frozen=True)
class Sieving:
    """How many matches are needed at least, the share that each module keeps, the names of the
    evidence that is looked at, and the width of what that makes with the coordinates."""

    least: int
    keep: Fraction
    evidence: tuple[str, ...]
    inputs: int


@dataclass(frozen=True)
class Counts:
    """`mask` (B, N) int8; `counts` (B, 3) int32 of matches, and of those that each module keeps;
    `sufficient` (B,) int8."""

    mask: Tensor
    counts: Tensor
    sufficient: Tensor


@dataclass(frozen=True)
class Chosen:
    """`origin` (B, K) int32: where each was in the input of the network; `mask` (B, K) int8: which
    are no padding."""

    origin: Tensor
    mask: Tensor
