"""Global context: matches pooled to a small grid of clusters, MSFormer layers on it, and back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from msga_ros.network.layers import ContextNorm, relu

_KEPT_SHARES = ((1, 2), (2, 3), (3, 4), (4, 5))  # of each row of the attention map


def kept_entries(width: int) -> tuple[int, ...]:
    """How many entries of a row of `width` each of the sparse copies keeps."""
    return tuple(max(1, width * numerator // of) for numerator, of in _KEPT_SHARES)


class ClusterEmbedding(nn.Module):
    """Logits `(B, N, clusters)` of the membership of each match in each cluster."""

    def __init__(self, channels: int, clusters: int) -> None:
        super().__init__()
        self.norm = ContextNorm(channels, eps=1e-3)
        self.linear = nn.Linear(channels, clusters)

    def forward(self, features: Tensor, valid: Tensor | None) -> Tensor:
        """`(B, N, C)` to `(B, N, clusters)`; `valid` `(B, N)`, None: all."""
        logits: Tensor = self.linear(relu(self.norm(features, valid)))
        return logits


class SparseChannelAttention(nn.Module):
    """Attention between channels, of which four sparse copies keep the strongest entries.

    Source: Gong et al., MSGA-Net, section III-D; the dense form is Restormer's (Zamir et al., CVPR
    2022, section 3.1).
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.mixture = nn.Parameter(torch.full((len(_KEPT_SHARES),), 0.2))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.qkv_depthwise = nn.Conv2d(
            3 * channels, 3 * channels, 3, padding=1, groups=3 * channels
        )
        self.output = nn.Conv2d(channels, channels, 1)

    def forward(self, grid: Tensor) -> Tensor:
        """`(B, C, L, L)` to the same."""
        qkv = self.qkv_depthwise(self.qkv(grid))
        query, key, value = qkv.flatten(2).unflatten(1, (3, self.heads, -1)).unbind(1)
        query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
        similarity = query @ key.transpose(-1, -2) * self.temperature
        attended = self.sparse_weights(similarity) @ value
        result: Tensor = self.output(attended.flatten(1, 2).view_as(grid))
        return result

    def sparse_weights(self, similarity: Tensor) -> Tensor:
        """Mixture of the four sparse softmaxes: one sort, one exponential, one sum.

        Each copy is `exp(a) / sum of its kept exp(a)` on the entries it keeps, so their mixture is
        one matrix and meets the values once.
        """
        width = similarity.shape[-1]
        exponential = torch.exp(similarity - similarity.amax(-1, keepdim=True).detach())
        ordered, order = exponential.sort(dim=-1, descending=True)
        rank = torch.empty_like(order).scatter_(
            -1, order, torch.arange(width, device=order.device).expand_as(order)
        )
        sums = ordered.cumsum(-1)
        factor = torch.zeros_like(similarity)
        for copy, kept in enumerate(kept_entries(width)):
            scale = self.mixture[copy] / sums[..., kept - 1 : kept]
            factor = factor + torch.where(rank < kept, scale, 0.0)
        return exponential * factor


class AttentionalGate(nn.Module):
    """Input times a gate from its surroundings and from the whole map (AFF).

    Source: Dai et al., "Attentional feature fusion", WACV 2021; product in place of their sum.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local = Bottleneck(channels)
        self.whole = Bottleneck(channels)

    def forward(self, grid: Tensor) -> Tensor:
        """`(B, C, L, L)` to the same."""
        whole = self.whole(F.adaptive_avg_pool2d(grid, 1))
        return grid * torch.sigmoid(self.local(grid) * whole)


class SqueezeExcitation(nn.Module):
    """Input times a gate a channel, from the average over the map.

    Source: Hu et al., "Squeeze-and-excitation networks", CVPR 2018.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(1, channels // 4)
        self.squeeze = nn.Conv2d(channels, narrow, 1)
        self.excite = nn.Conv2d(narrow, channels, 1)

    def forward(self, grid: Tensor) -> Tensor:
        """`(B, C, L, L)` to the same."""
        whole = F.adaptive_avg_pool2d(grid, 1)
        return grid * torch.sigmoid(self.excite(F.relu(self.squeeze(whole))))


_GATES: dict[str, type[nn.Module]] = {"aff": AttentionalGate, "se": SqueezeExcitation}


class MSFormerLayer(nn.Module):
    """Sparse channel attention beside a spatial gate, then a convolutional feed-forward."""

    def __init__(self, channels: int, heads: int, gate: str) -> None:
        super().__init__()
        self.norm0 = GridBatchNorm(channels)
        self.attention = SparseChannelAttention(channels, heads)
        self.gate = _GATES[gate](channels)
        self.norm1 = GridBatchNorm(channels)
        self.feed_forward = Bottleneck(channels)

    def forward(self, grid: Tensor) -> Tensor:
        """`(B, C, L, L)` to the same."""
        normalised = self.norm0(grid)
        grid = grid + self.gate(normalised) + self.attention(normalised)
        result: Tensor = grid + self.feed_forward(self.norm1(grid))
        return result


class GlobalContext(nn.Module):
    """Pool the matches to an L x L grid of learned clusters, mix the grid, unpool, add.

    The pooling is the order-aware one of OANet (Zhang et al., ICCV 2019, section 3.2).
    """

    def __init__(self, channels: int, grid: int, layers: int, heads: int, gate: str) -> None:
        super().__init__()
        self.grid = grid
        self.pool = ClusterEmbedding(channels, grid * grid)
        self.layers = nn.ModuleList(MSFormerLayer(channels, heads, gate) for _ in range(layers))
        self.unpool = ClusterEmbedding(channels, grid * grid)

    def forward(self, features: Tensor, valid: Tensor | None) -> Tensor:
        """`(B, N, C)` to the same."""
        membership = self.pool(features, valid)
        if valid is not None:
            # Finite, so that a sample without a valid match is no NaN.
            membership = membership.masked_fill(~valid.unsqueeze(-1), -1e9)
        clusters = features.transpose(1, 2) @ torch.softmax(membership, dim=1)
        cells = clusters.unflatten(2, (self.grid, self.grid))
        for layer in self.layers:
            cells = layer(cells)
        share = torch.softmax(self.unpool(features, valid), dim=2)
        return features + share @ cells.flatten(2).transpose(1, 2)


class GridBatchNorm(nn.BatchNorm2d):
    """Batch norm of `(B, C, H, W)`; one value a channel is normalised by the running statistics."""

    def forward(self, grid: Tensor) -> Tensor:
        """`(B, C, L, L)` to the same."""
        if self.training and grid.numel() == grid.shape[1]:
            return F.batch_norm(
                grid, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(grid)


class Bottleneck(nn.Sequential):
    """Two 3x3 convolutions through a quarter of the channels, each with batch norm."""

    def __init__(self, channels: int) -> None:
        narrow = max(1, channels // 4)
        super().__init__(
            nn.Conv2d(channels, narrow, 3, padding=1),
            GridBatchNorm(narrow),
            nn.ReLU(inplace=True),
            nn.Conv2d(narrow, channels, 3, padding=1),
            GridBatchNorm(channels),
        )

    def fold(self) -> None:
        """Merge the batch norms into the convolutions; for inference only."""
        for position in (4, 1) if len(self) == 5 else ():
            convolution, norm = self[position - 1], self[position]
            assert isinstance(convolution, nn.Conv2d) and isinstance(norm, GridBatchNorm)
            self[position - 1] = fuse_conv_bn_eval(convolution, norm)
            del self[position]
