"""One layer of sparse graph attention: a node learns from a few others that are like it.

Each layer has its own features in which likeness is measured. The nodes that are most alike are
chosen, and how alike they are counts in the attention, so that the choice is learned as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msga_ros.network.dense.edges import gathered

_OCTAVES = 4  # of waves: 1, 2, 4 and 8 half waves over the longest side of an image
# Numbers that describe where an edge leads to; the last says that it crosses to the other image.
_PLACE = 2 + 4 * _OCTAVES + 1
_FIRST_GAIN = 4.0


@dataclass(frozen=True)
class Nodes:
    """Of B images: `features` `(B, N, C)`, and `positions` `(N, 2)` in longest sides of the map."""

    features: Tensor
    positions: Tensor

    def with_features(self, features: Tensor) -> Nodes:
        """The same places."""
        return Nodes(features, self.positions)


@dataclass(frozen=True)
class SeenNodes:
    """What a layer makes of the nodes of one image by themselves.

    `alike` `(B, N, E)`: unit vectors whose products say how much nodes are alike; `query`, `key`
    and `value` `(B, N, C)`; `query_of_place` `(B, N, heads, _PLACE)`.
    """

    nodes: Nodes
    alike: Tensor
    query: Tensor
    key: Tensor
    value: Tensor
    query_of_place: Tensor


@dataclass(frozen=True)
class Neighbours:
    """Of each node of one image, `(B, N, k)`: nodes of its own image, and of the other one."""

    inner: Tensor | None
    cross: Tensor | None

    def edges(self, nodes: Nodes, other: Nodes) -> tuple[Tensor, Tensor] | None:
        """Of `nodes`, which these belong to: indices `(B, N, k)` among both images' nodes, one
        after the other, and what describes where they lead to, `(B, N, k, _PLACE)`."""
        kinds = []
        if self.inner is not None:
            kinds.append((self.inner, 0, nodes, 0))
        if self.cross is not None:
            kinds.append((self.cross, len(nodes.positions), other, 1))
        if not kinds:
            return None
        there = torch.cat([end.positions[chosen] for chosen, _, end, _ in kinds], 2)
        relative = there - nodes.positions[:, None]
        crossing = [torch.full_like(chosen, kind) for chosen, _, _, kind in kinds]
        last = torch.cat(crossing, 2).unsqueeze(-1).to(relative.dtype)
        indices = [chosen + offset for chosen, offset, _, _ in kinds]
        return torch.cat(indices, 2), torch.cat((relative, _waves(relative), last), -1)


class GraphAttentionLayer(nn.Module):
    """One update of the nodes of one image, `width` numbers each."""

    def __init__(self, width: int, heads: int, edge_channels: int) -> None:
        """`edge_channels`: in which likeness is measured."""
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width)
        self.likeness = nn.Linear(width, min(width, edge_channels), bias=False)
        nn.init.orthogonal_(self.likeness.weight)
        self.likeness_gain = nn.Parameter(torch.full((heads,), _FIRST_GAIN))
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        # Keys and values are also of an edge's relative position. They are linear in its waves, so
        # queries meet the waves in their own few dimensions, and values get the mean of the waves.
        self.query_of_place = nn.Linear(width, heads * _PLACE)
        self.value_of_place = nn.Linear(heads * _PLACE, width, bias=False)
        self.after = nn.Linear(width, width)
        self.mixing = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, width),
        )

    def see(self, nodes: Nodes) -> SeenNodes:
        """What follows from one image alone."""
        own = self.before(nodes.features)
        return SeenNodes(
            nodes,
            F.normalize(self.likeness(own), dim=-1),
            self.query(own),
            self.key(own),
            self.value(own),
            self.query_of_place(own).unflatten(-1, (self.heads, _PLACE)),
        )

    def forward(self, seen: SeenNodes, other: SeenNodes, neighbours: Neighbours) -> Tensor:
        """New features `(B, N, C)` of the nodes `seen`, which see themselves and `other`."""
        edges = neighbours.edges(seen.nodes, other.nodes)
        updated = seen.nodes.features
        if edges is not None:
            updated = updated + self.after(self._message(seen, other, *edges))
        return cast(Tensor, updated + self.mixing(updated))

    def _message(
        self, seen: SeenNodes, other: SeenNodes, indices: Tensor, places: Tensor
    ) -> Tensor:
        """`(B, N, C)`, from the nodes of both images at the other ends of the edges."""
        split = (self.heads, seen.query.shape[-1] // self.heads)
        there = gathered(torch.cat((seen.alike, other.alike), 1), indices)
        # Rows times matrices throughout: the other way round takes three times as long on a CPU.
        alike = seen.alike.unsqueeze(2) @ there.transpose(2, 3)  # (B, N, 1, k)
        # A query stands in the columns of its head alone, so that one product answers for all
        # heads: the products of all keys, or values, number by number, are never held.
        query = torch.diag_embed(seen.query.unflatten(-1, split).transpose(2, 3))
        query = query.permute(0, 1, 4, 3, 2).flatten(3)  # (B, N, heads, C)
        keys = gathered(torch.cat((seen.key, other.key), 1), indices)
        logits = query @ keys.transpose(2, 3)
        logits = logits / split[1] ** 0.5 + alike * self.likeness_gain.unsqueeze(1)
        of_place = seen.query_of_place @ places.transpose(2, 3)
        weights = (logits + of_place).softmax(3)  # (B, N, heads, k)
        values = gathered(torch.cat((seen.value, other.value), 1), indices)
        own_part = (weights @ values).unflatten(-1, split).diagonal(dim1=2, dim2=3)
        message = own_part.transpose(2, 3).flatten(2)  # from (B, N, C / heads, heads)
        return message + cast(Tensor, self.value_of_place((weights @ places).flatten(2)))


def _waves(relative: Tensor) -> Tensor:
    """`(..., _PLACE - 3)` of relative positions `(..., 2)`: of each frequency two sines and two
    cosines."""
    frequencies = torch.pi * torch.arange(_OCTAVES, device=relative.device).exp2()
    phases = relative.unsqueeze(-2) * frequencies.unsqueeze(-1)
    return torch.stack((phases.sin(), phases.cos()), -2).flatten(-3)
