"""The operations on matches by torch: what each kernel computes, said plainly.

They hold the kernels to account in tests and measurements, and can take the place of one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from msga_ros.network.fused.values import Linear, Normed, Statistics, Tiles
from msga_ros.network.graph import gather_rows, nearest_neighbours


def statistics_of(features: Tensor, mask: Tensor) -> Statistics:
    """Of all valid rows as one block."""
    seen = mask.bool().unsqueeze(-1)
    count = seen.sum(1).float()
    mean = torch.where(seen, features, 0.0).sum(1) / count.clamp_min(1)
    centred = torch.where(seen, features - mean.unsqueeze(1), 0.0)
    return Statistics(mean.unsqueeze(1), centred.square().sum(1, keepdim=True), count)


def merged(statistics: Statistics) -> tuple[Tensor, Tensor]:
    """Mean and variance `(B, C)`."""
    counts = statistics.counts.unsqueeze(-1)
    total = counts.sum(1).clamp_min(1)
    mean = (statistics.means * counts).sum(1) / total
    apart = statistics.means - mean.unsqueeze(1)
    return mean, (statistics.squares + counts * apart.square()).sum(1) / total


def before(x: Normed) -> Tensor:
    """`x` after its norm, shortcut and ReLU, where it has them."""
    if x.norm is None:
        return x.values
    assert x.statistics is not None
    mean, variance = merged(x.statistics)
    factor = x.norm.scale * torch.rsqrt(variance + x.norm.eps)
    values = (x.values - mean.unsqueeze(1)) * factor.unsqueeze(1) + x.norm.shift
    return F.relu(values if x.shortcut is None else values + x.shortcut)


def linear(
    x: Normed,
    layer: Linear,
    mask: Tensor,
    tiles: Tiles,
    *,
    relu: bool = False,
    statistics: bool = False,
    keep: bool = False,
) -> tuple[Tensor, Statistics | None, Tensor | None]:
    """As in `kernels.linear`."""
    values = before(x)
    y = F.linear(values, layer.weight, layer.bias)
    y = F.relu(y) if relu else y
    return y, statistics_of(y, mask) if statistics else None, values if keep else None


def settle(x: Normed, tiles: Tiles) -> Tensor:
    """As in `kernels.linear`."""
    return before(x)


def finish(x: Normed, heads: Linear, tiles: Tiles, keep: bool) -> tuple[Tensor, Tensor | None]:
    """As in `kernels.linear`."""
    values = before(x)
    return F.linear(values, heads.weight, heads.bias), values if keep else None


def nearest(features: Tensor, mask: Tensor, k: int, tiles: Tiles) -> Tensor:
    """As in `kernels.neighbours`."""
    return nearest_neighbours(features, k, mask.bool()).int()


def annular(projected: Tensor, neighbours: Tensor, layer: Linear, tiles: Tiles) -> Tensor:
    """As in `kernels.edges`."""
    channels = len(layer.weight)
    columns = projected[..., : 4 * channels].chunk(4, -1)
    rings = []
    for ring in neighbours.long().split(3, -1):
        parts = zip(columns[1:], ring.split(1, -1), strict=True)
        rings.append(F.relu(columns[0] - sum(gather_rows(c, j).squeeze(2) for c, j in parts)))
    return F.relu(F.linear(torch.cat(rings, -1), layer.weight, layer.bias))


def edge_attention(
    shallow: Tensor,
    deep: Tensor,
    shallow_neighbours: Tensor,
    deep_neighbours: Tensor,
    channels: int,
) -> Tensor:
    """As in `kernels.edges`."""
    q, q_other = shallow[..., : 2 * channels].chunk(2, -1)
    k, k_other, v, v_other = deep[..., : 4 * channels].chunk(4, -1)
    query = F.relu(q.unsqueeze(2) - gather_rows(q_other, shallow_neighbours.long()))
    key = F.relu(k.unsqueeze(2) - gather_rows(k_other, deep_neighbours.long()))
    value = F.relu(v.unsqueeze(2) - gather_rows(v_other, deep_neighbours.long()))
    return torch.softmax(query * key, 2) * value


def edge_output(
    attended: Tensor,
    layer: Linear,
    shallow: Tensor,
    head: Linear | None,
    mask: Tensor,
    tiles: Tiles,
) -> tuple[Tensor, Tensor | None, Statistics]:
    """As in `kernels.edges`."""
    y = shallow + F.relu(F.linear(attended, layer.weight, layer.bias).amax(2))
    scores = None if head is None else F.linear(y, head.weight, head.bias).squeeze(-1)
    return y, scores, statistics_of(y, mask)


def pool(x: Normed, layer: Linear, mask: Tensor, tiles: Tiles) -> Tensor:
    """As in `kernels.clusters`."""
    logits = F.linear(before(x), layer.weight, layer.bias)
    logits = logits.masked_fill(~mask.bool().unsqueeze(-1), -1e9)
    return torch.softmax(logits, 1).transpose(1, 2) @ x.values


def unpool(x: Normed, layer: Linear, cells: Tensor, tiles: Tiles) -> Tensor:
    """As in `kernels.clusters`."""
    share = torch.softmax(F.linear(before(x), layer.weight, layer.bias), -1)
    return x.values + share @ cells
