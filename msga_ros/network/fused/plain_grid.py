"""The operations on the grid of clusters by torch, see `plain_rows`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from msga_ros.network.fused.values import Attention, Convolution, Gate, Linear, Tiles


def _map(cells: Tensor, side: int) -> Tensor:
    """`(B, L L, C)` as `(B, C, L, L)`."""
    return cells.transpose(1, 2).unflatten(2, (side, side))


def convolution(
    cells: Tensor, layer: Convolution, side: int, tiles: Tiles, shortcut: Tensor | None = None
) -> Tensor:
    """As in `kernels.grid`."""
    if layer.scale is not None and layer.shift is not None:
        cells = cells * layer.scale + layer.shift
    taps = 3 if len(layer.weight) == 9 else 1
    weight = layer.weight.permute(1, 2, 0).unflatten(2, (taps, taps))
    y = F.conv2d(_map(cells, side), weight, layer.bias, padding=taps // 2).flatten(2)
    y = y.transpose(1, 2)
    y = y if shortcut is None else y + shortcut
    return (F.relu(y) if layer.relu else y).contiguous()


def channel_attention(qkv: Tensor, attention: Attention, side: int, tiles: Tiles) -> Tensor:
    """As in `kernels.grid`."""
    width = qkv.shape[-1]
    heads = attention.temperature.numel()
    weight = attention.depthwise_weight.T.reshape(width, 1, 3, 3)
    local = F.conv2d(_map(qkv, side), weight, attention.depthwise_bias, padding=1, groups=width)
    query, key, value = local.flatten(2).unflatten(1, (3, heads, -1)).unbind(1)
    query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
    similarity = query @ key.transpose(-1, -2) * attention.temperature[:, None, None]
    power = torch.exp(similarity - similarity.amax(-1, keepdim=True))
    ordered, order = power.sort(dim=-1, descending=True, stable=True)
    rank = order.argsort(dim=-1)
    share = torch.zeros_like(power)
    for copy, kept in enumerate(attention.kept):
        factor = attention.mixture[copy] / ordered[..., :kept].sum(-1, keepdim=True)
        share = share + torch.where(rank < kept, factor, 0.0)
    return (share * power @ value).flatten(1, 2).transpose(1, 2).contiguous()


def whole_gate(cells: Tensor, gate: Gate) -> Tensor:
    """As in `kernels.grid`."""
    mean = cells.mean(1) * gate.scale + gate.shift
    hidden = F.relu(F.linear(mean, gate.whole0.weight, gate.whole0.bias))
    return F.linear(hidden, gate.whole1.weight, gate.whole1.bias)


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
    """As in `kernels.grid`."""
    local = convolution(hidden, gate.local, side, tiles)
    normed = cells * gate.scale + gate.shift
    gated = normed * torch.sigmoid(local * whole.unsqueeze(1))
    return cells + gated + F.linear(attended, output.weight, output.bias)
