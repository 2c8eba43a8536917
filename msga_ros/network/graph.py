"""Sparse dynamic graphs over the matches, and convolutions on their edges.

The edge from match i to its neighbour j carries `[f_i, f_i - f_j]`. A convolution on edges is
linear in it, `W [f_i, f_i - f_j] = (Wa + Wb) f_i - Wb f_j`, so it is computed on the N matches and
gathered, never on a `(N, k, 2C)` tensor.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msga_ros.geometry.onnx_export_mode import exporting
from msga_ros.network.layers import BatchNorm, folded, relu


def nearest_neighbours(features: Tensor, k: int, valid: Tensor | None = None) -> Tensor:
    """Indices `(B, N, k)` of the k nearest matches in feature space, nearest first, itself first.

    Args:
        features: `(B, N, C)`; distances are computed in float32 (the order decides the rings of the
            annular convolution, and half precision changes it).
        k: at most the smallest number of valid matches of a sample.
        valid: `(B, N)`; a masked match is no neighbour of any.
    """
    with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
        points = features.float()
        # Moving the origin changes no distance, and shorter vectors lose fewer digits.
        points = points - points.mean(1, keepdim=True)
        # |f_j|^2 / 2 - f_i f_j orders the neighbours of i as the distance does.
        penalty = (points.square().sum(-1) * -0.5).unsqueeze(1)
        if valid is not None:
            penalty = penalty.masked_fill(~valid.unsqueeze(1), -torch.inf)
        closeness = torch.bmm(points, points.transpose(1, 2)).add_(penalty)
        return closeness.topk(k, dim=-1).indices


def gather_rows(rows: Tensor, neighbours: Tensor) -> Tensor:
    """`(B, N, k, C)`: the rows of `(B, M, C)` that `(B, N, k)` names."""
    batch, count, channels = rows.shape
    flat = rows.reshape(batch * count, channels)
    index = _flat_index(neighbours, count)
    if rows.device.type == "cpu":
        return F.embedding(index, flat)
    # The gradient of an embedding sorts its indices, this one adds atomically.
    return flat.index_select(0, index.flatten()).view(*neighbours.shape, channels)


def _flat_index(neighbours: Tensor, count: int) -> Tensor:
    if neighbours.shape[0] == 1:
        return neighbours
    offset = torch.arange(0, neighbours.shape[0] * count, count, device=neighbours.device)
    return neighbours + offset[:, None, None]


class EdgeConvolution(nn.Module):
    """1x1 convolution `2C -> C` on every edge, batch norm, ReLU, factored over the matches."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * channels, channels)
        self.norm: BatchNorm | None = BatchNorm(channels)

    def project(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """`own`, `other` `(B, N, C)`: the edge from i to j is `relu(norm(own_i - other_j))`."""
        at_self, at_difference = self.linear.weight.chunk(2, dim=1)
        own = F.linear(features, at_self + at_difference, self.linear.bias)
        return own, F.linear(features, at_difference)

    def forward(self, features: Tensor, neighbours: Tensor, valid: Tensor | None) -> Tensor:
        """`(B, N, k, C)` edge features of `(B, N, C)` features."""
        own, other = self.project(features)
        edges = own.unsqueeze(2) - gather_rows(other, neighbours)
        return relu(edges if self.norm is None else self.norm(edges, _on_edges(valid, neighbours)))

    def fold(self) -> None:
        """Merge the batch norm into the weights; for inference only."""
        if self.norm is not None:
            self.linear = folded(self.linear, self.norm)
            self.norm = None


class AnnularConvolution(nn.Module):
    """Aggregates the k neighbours in rings of three by rank: edges to rings, rings to the match.

    Source: the annular convolution of CLNet (Zhao et al., ICCV 2021, section 3.2), which MSGA-Net
    takes over.
    """

    RING = 3

    def __init__(self, channels: int, neighbours: int) -> None:
        super().__init__()
        if neighbours % self.RING:
            raise ValueError(f"neighbours must be a multiple of {self.RING}, not {neighbours}")
        self.rings = neighbours // self.RING
        # Input order: position in the ring, then channel (own and difference).
        self.edges_to_ring = nn.Linear(self.RING * 2 * channels, channels)
        self.norm0: BatchNorm | None = BatchNorm(channels)
        self.rings_to_match = nn.Linear(self.rings * channels, channels)
        self.norm1: BatchNorm | None = BatchNorm(channels)

    def forward(self, features: Tensor, neighbours: Tensor, valid: Tensor | None) -> Tensor:
        """`(B, N, C)` from `(B, N, C)` and `(B, N, k)`."""
        batch, count, channels = features.shape
        weight = self.edges_to_ring.weight.view(channels, self.RING, 2, channels)
        own = F.linear(features, weight.sum(dim=(1, 2)), self.edges_to_ring.bias)
        at_difference = weight[:, :, 1].transpose(0, 1).reshape(self.RING * channels, channels)
        other = F.linear(features, at_difference).view(batch, count * self.RING, channels)
        position = torch.arange(self.RING, device=features.device).repeat(self.rings)
        sums = self._sum_of_rings(other, neighbours * self.RING + position)
        rings = own.unsqueeze(2) - sums
        if self.norm0 is not None:
            rings = self.norm0(rings, _on_edges(valid, rings))
        rings = relu(rings)
        result = self.rings_to_match(rings.flatten(2))
        if self.norm1 is not None:
            result = self.norm1(result, valid)
        return relu(result)

    def _sum_of_rings(self, rows: Tensor, index: Tensor) -> Tensor:
        """`(B, N, rings, C)`: the sum of the three rows of `(B, 3N, C)` that each ring names."""
        batch, count, _ = index.shape
        if exporting() or rows.device.type != "cpu":
            return gather_rows(rows, index).unflatten(2, (self.rings, self.RING)).sum(3)
        flat = _flat_index(index, rows.shape[1]).reshape(-1, self.RING)
        sums = F.embedding_bag(flat, rows.reshape(-1, rows.shape[-1]), mode="sum")
        return sums.view(batch, count, self.rings, -1)

    def fold(self) -> None:
        """Merge the batch norms into the weights; for inference only."""
        if self.norm0 is not None and self.norm1 is not None:
            self.edges_to_ring = folded(self.edges_to_ring, self.norm0)
            self.rings_to_match = folded(self.rings_to_match, self.norm1)
            self.norm0 = self.norm1 = None


def _on_edges(valid: Tensor | None, edges: Tensor) -> Tensor | None:
    """`(B, N, k)` mask of the edges whose own match is valid."""
    return None if valid is None else valid.unsqueeze(-1).expand(edges.shape[:3])
