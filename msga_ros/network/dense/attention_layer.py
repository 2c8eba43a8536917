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

_FREQUENCIES = (1.0, 2.0, 4.0, 8.0)  # half waves over the longest side of an image
# Numbers that describe where an edge leads to; the last says that it crosses to the other image.
_PLACE = 2 + 4 * len(_FREQUENCIES) + 1
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
class Neighbours:
    """Of each node of one image, `(B, N, k)`: nodes of its own image, and of the other one."""

    inner: Tensor | None
    cross: Tensor | None

    def edges(self, nodes: Nodes, other: Nodes) -> tuple[Tensor, Tensor] | None:
        """Of `nodes`, which these belong to: indices `(B, N, k)` among both images' nodes, one
        after the other, and what describes where they lead to, `(B, N, k, _PLACE)`."""
        kinds = []
        if self.inner is not None:
            kinds.append((self.inner, 0, nodes, 0.0))
        if self.cross is not None:
            kinds.append((self.cross, len(nodes.positions), other, 1.0))
        if not kinds:
            return None
        relative = [
            there.positions[chosen] - nodes.positions[:, None] for chosen, _, there, _ in kinds
        ]
        places = [
            F.pad(_waves(one), (0, 1), value=crossing)
            for one, (_, _, _, crossing) in zip(relative, kinds, strict=True)
        ]
        indices = [chosen + offset for chosen, offset, _, _ in kinds]
        return torch.cat(indices, 2), torch.cat(places, 2)


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

    def embedded(self, features: Tensor) -> Tensor:
        """What likeness is the cosine of: unit vectors `(B, N, E)`."""
        return F.normalize(self.likeness(self.before(features)), dim=-1)

    def forward(self, nodes: Nodes, other: Nodes, neighbours: Neighbours) -> Tensor:
        """New features `(B, N, C)` of `nodes`, which see themselves and `other`."""
        edges = neighbours.edges(nodes, other)
        updated = nodes.features
        if edges is not None:
            indices, places = edges
            own = self.before(nodes.features)
            seen = torch.cat((own, self.before(other.features)), 1)
            updated = updated + self.after(self._message(own, seen, indices, places))
        return cast(Tensor, updated + self.mixing(updated))

    def _message(self, own: Tensor, seen: Tensor, indices: Tensor, places: Tensor) -> Tensor:
        """`(B, N, C)`, from the nodes `seen` `(B, N + M, C)` at the other ends of the edges."""
        split = (self.heads, own.shape[-1] // self.heads)
        alike = F.normalize(self.likeness(seen), dim=-1)
        alike = gathered(alike, indices) @ alike[:, : own.shape[1]].unsqueeze(-1)  # (B, N, k, 1)
        # A query stands in the rows of its head alone, so that one product answers for all heads:
        # the products of all keys, or values, number by number, are never held.
        query = torch.diag_embed(self.query(own).unflatten(-1, split).transpose(2, 3))
        query = query.transpose(2, 3).flatten(2, 3)  # (B, N, C, heads)
        logits = gathered(self.key(seen), indices) @ query
        logits = logits / split[1] ** 0.5 + alike * self.likeness_gain
        of_place = self.query_of_place(own).unflatten(-1, (self.heads, _PLACE))
        weights = (logits + places @ of_place.transpose(2, 3)).softmax(2)  # (B, N, k, heads)
        means = weights.transpose(2, 3) @ gathered(self.value(seen), indices)
        own_part = means.unflatten(-1, split).diagonal(dim1=2, dim2=3)  # (B, N, C / heads, heads)
        message = own_part.transpose(2, 3).flatten(2)
        mean_place = weights.transpose(2, 3) @ places
        return message + cast(Tensor, self.value_of_place(mean_place.flatten(2)))


def _waves(relative: Tensor) -> Tensor:
    """`(..., _PLACE - 1)` of relative positions `(..., 2)`."""
    phases = [relative * (torch.pi * frequency) for frequency in _FREQUENCIES]
    waves = [wave for phase in phases for wave in (phase.sin(), phase.cos())]
    return torch.cat((relative, *waves), -1)
