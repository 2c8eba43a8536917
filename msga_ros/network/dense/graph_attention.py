"""Module 2, multi-layer sparse graph attention: what each place learns from a few others.

Nodes are first patches of 2 x 2 cells of the 1/8 map, then the cells themselves. A layer chooses
the edges of each node anew, the most similar nodes within its image and of the other image, and a
node attends to those alone: one softmax over both kinds, with their relative positions. Cells
choose among the children of what their patches are connected with: the coarse scale guides the
fine.

What both scales learn is added to the 1/8 features by projections that start at zero: an untrained
graph leaves the backbone's features as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msga_ros.network.dense.config import DenseConfig
from msga_ros.network.dense.edges import (
    children,
    gathered,
    most_similar,
    most_similar_of,
    parents_of_cells,
)

_FREQUENCIES = (1.0, 2.0, 4.0, 8.0)  # half waves over the longest side of an image
# Numbers that describe where an edge leads to; the last says that it crosses to the other image.
_PLACE = 2 + 4 * len(_FREQUENCIES) + 1


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

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width)
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
        query = self.query(own).unflatten(-1, split).unsqueeze(2)
        keys = gathered(self.key(seen), indices).unflatten(-1, split)
        logits = (query * keys).sum(-1) / split[1] ** 0.5
        of_place = self.query_of_place(own).unflatten(-1, (self.heads, _PLACE))
        weights = (logits + places @ of_place.transpose(2, 3)).softmax(2)  # (B, N, k, heads)
        values = gathered(self.value(seen), indices).unflatten(-1, split)
        message = (weights.unsqueeze(-1) * values).sum(2).flatten(2)
        mean_place = weights.transpose(2, 3) @ places
        return message + cast(Tensor, self.value_of_place(mean_place.flatten(2)))


class SparseGraph(nn.Module):
    """Layers of one scale, and the features in which each of them chooses its edges."""

    def __init__(self, config: DenseConfig, width: int, layers: int) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(GraphAttentionLayer(width, config.heads) for _ in range(layers))
        self.likeness = nn.Linear(width, min(width, config.edge_channels), bias=False)

    def embedded(self, nodes: Nodes) -> Tensor:
        """What similarity is measured in, unit vectors `(B, N, E)`."""
        return F.normalize(self.likeness(nodes.features), dim=-1)

    def nearest(self, nodes: Nodes, other: Nodes) -> tuple[Neighbours, Neighbours]:
        """Edges among all nodes, for both images. No gradient: a choice has none."""
        config = self.config
        with torch.no_grad():
            one, two = self.embedded(nodes), self.embedded(other)
            count = config.neighbours
            found = []
            for mine, theirs in ((one, two), (two, one)):
                inner = most_similar(mine, mine, count, True) if config.inner_edges else None
                cross = most_similar(mine, theirs, count) if config.cross_edges else None
                found.append(Neighbours(inner, cross))
        return found[0], found[1]


class MultiLayerSparseGraphAttention(nn.Module):
    """1/8 features of two images, `(B, C, h, w)` each with its own size, to better ones.

    `h` and `w` must be even.
    """

    def __init__(self, config: DenseConfig) -> None:
        super().__init__()
        self.config = config
        wide, width, narrow = config.coarse_channels, config.patch_channels, config.cell_channels
        self.to_patches = nn.Conv2d(wide, width, 2, stride=2)
        self.patches = SparseGraph(config, width, config.patch_layers)
        self.from_patches = nn.Conv2d(width, wide, 1)
        self.to_cells = nn.Conv2d(wide, narrow, 1)
        self.cells = SparseGraph(config, narrow, config.cell_layers)
        self.from_cells = nn.Conv2d(narrow, wide, 1)
        for projection in (self.from_patches, self.from_cells):
            nn.init.zeros_(projection.weight)
            nn.init.zeros_(cast(Tensor, projection.bias))

    def forward(self, eighth0: Tensor, eighth1: Tensor) -> tuple[Tensor, Tensor]:
        config = self.config
        maps = [eighth0, eighth1]
        if not config.patch_layers and not config.cell_layers:
            return eighth0, eighth1
        sides = [self.to_patches(one) for one in maps]
        nodes = [_nodes(one) for one in sides]
        for layer in self.patches.layers:
            nodes = _updated(layer, nodes, self.patches.nearest(nodes[0], nodes[1]))
        for number, (one, side) in enumerate(zip(nodes, sides, strict=True)):
            learned = self.from_patches(_map(one.features, side))
            maps[number] = maps[number] + F.interpolate(learned, scale_factor=2.0)
        if config.cell_layers:
            guide = self.patches.nearest(nodes[0], nodes[1])
            maps = self._between_cells(maps, guide, [side.shape[-1] for side in sides])
        return maps[0], maps[1]

    def _between_cells(
        self, maps: list[Tensor], guide: tuple[Neighbours, Neighbours], widths: list[int]
    ) -> list[Tensor]:
        """`widths`: patches in a row of each image."""
        sides = [self.to_cells(one) for one in maps]
        nodes = [_nodes(one) for one in sides]
        offered = [self._offered(guide[here], widths[here], widths[1 - here]) for here in range(2)]
        for layer in self.cells.layers:
            with torch.no_grad():
                seen = [self.cells.embedded(one) for one in nodes]
                chosen = [
                    Neighbours(
                        self._chosen(offered[here].inner, seen[here], seen[here]),
                        self._chosen(offered[here].cross, seen[here], seen[1 - here]),
                    )
                    for here in range(2)
                ]
            nodes = _updated(layer, nodes, (chosen[0], chosen[1]))
        return [
            one + self.from_cells(_map(node.features, side))
            for one, node, side in zip(maps, nodes, sides, strict=True)
        ]

    def _offered(self, guide: Neighbours, width: int, other_width: int) -> Neighbours:
        """Cells that each cell may choose from: children of its patch's best neighbours."""
        best = (self.config.cell_neighbours + 1) // 2  # of four cells: twice as many as are chosen
        kinds = ((guide.inner, width), (guide.cross, other_width))
        cells = [
            None
            if indices is None
            else parents_of_cells(children(indices[..., :best], there), width)
            for indices, there in kinds
        ]
        return Neighbours(cells[0], cells[1])

    def _chosen(self, offered: Tensor | None, queries: Tensor, keys: Tensor) -> Tensor | None:
        if offered is None:
            return None
        return most_similar_of(offered, queries, keys, self.config.cell_neighbours)


def _updated(
    layer: nn.Module, nodes: list[Nodes], edges: tuple[Neighbours, Neighbours]
) -> list[Nodes]:
    """Both images at once: each sees the other as it was before."""
    new = [layer(nodes[here], nodes[1 - here], edges[here]) for here in range(2)]
    return [node.with_features(features) for node, features in zip(nodes, new, strict=True)]


def _nodes(features: Tensor) -> Nodes:
    height, width = features.shape[-2:]
    rows, columns = torch.meshgrid(
        torch.arange(height, device=features.device),
        torch.arange(width, device=features.device),
        indexing="ij",
    )
    places = torch.stack((columns, rows), -1).reshape(-1, 2).to(features.dtype)
    return Nodes(features.flatten(2).transpose(1, 2), places / max(height, width))


def _map(nodes: Tensor, like: Tensor) -> Tensor:
    return nodes.transpose(1, 2).unflatten(2, like.shape[-2:])


def _waves(relative: Tensor) -> Tensor:
    """`(..., _PLACE - 1)` of relative positions `(..., 2)`."""
    phases = [relative * (torch.pi * frequency) for frequency in _FREQUENCIES]
    waves = [wave for phase in phases for wave in (phase.sin(), phase.cos())]
    return torch.cat((relative, *waves), -1)
