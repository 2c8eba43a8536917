"""Module 2, multi-layer sparse graph attention: what each place learns from a few others.

Nodes are first patches of 2 x 2 cells of the 1/8 map, then the cells themselves. A layer
(`attention_layer.py`) chooses the edges of each node anew, the most similar nodes within its image
and of the other image, and a node attends to those alone: one softmax over both kinds, with their
relative positions. Cells choose among the children of what their patches are connected with: the
coarse scale guides the fine.

What both scales learn changes the 1/8 features of each cell through layers whose last one starts at
zero: an untrained graph leaves the backbone's features as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msga_ros.network.dense.attention_layer import (
    GraphAttentionLayer,
    Neighbours,
    Nodes,
    SeenNodes,
)
from msga_ros.network.dense.config import DenseConfig
from msga_ros.network.dense.edges import (
    children,
    most_similar,
    most_similar_of,
    parents_of_cells,
)


@dataclass(frozen=True)
class PatchInput:
    """The patches of one image: `features` `(B, D, h/2, w/2)`, what the first layer makes of them,
    and its edges within the image."""

    features: Tensor
    seen: SeenNodes
    inner: Tensor | None


@dataclass(frozen=True)
class GraphInput:
    """Of one image, what the graph knows before it sees another: kept for the next pair.

    `cells` `(B, C, h, w)`; `patches`: None without a graph.
    """

    cells: Tensor
    patches: PatchInput | None = None


class Merge(nn.Module):
    """What nodes have learned, to the cells of the 1/8 map: how each of them is changed depends on
    what it is."""

    def __init__(self, width: int, wide: int) -> None:
        super().__init__()
        self.of_cells = nn.Conv2d(wide, 2 * wide, 1)
        self.of_nodes = nn.Conv2d(width, 2 * wide, 1, bias=False)
        self.change = nn.Conv2d(2 * wide, wide, 1)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(cast(Tensor, self.change.bias))

    def forward(self, cells: Tensor, nodes: Tensor) -> Tensor:
        """`(B, C, h, w)`, from as many cells and nodes `(B, D, h, w)` or `(B, D, h/2, w/2)`."""
        learned = self.of_nodes(nodes)
        if learned.shape[-1] != cells.shape[-1]:
            learned = F.interpolate(learned, scale_factor=2.0, mode="bilinear", align_corners=False)
        return cells + cast(Tensor, self.change(F.gelu(self.of_cells(cells) + learned)))


class MultiLayerSparseGraphAttention(nn.Module):
    """1/8 features of two images, `(B, C, h, w)` each with its own size, to better ones.

    `h` and `w` must be even. Only directions of features count, those of the answer as well.
    """

    def __init__(self, config: DenseConfig) -> None:
        super().__init__()
        self.config = config
        wide, width, narrow = config.coarse_channels, config.patch_channels, config.cell_channels
        if config.patch_layers:
            self.to_patches = nn.Conv2d(wide, width, 2, stride=2)
            self.patches = _layers(width, config, config.patch_layers)
            self.merge_patches = Merge(width, wide)
        if config.cell_layers:
            self.to_cells = nn.Conv2d(wide, narrow, 1)
            self.cells = _layers(narrow, config, config.cell_layers)
            self.merge_cells = Merge(narrow, wide)

    def forward(self, eighth0: Tensor, eighth1: Tensor) -> tuple[Tensor, Tensor]:
        return self.between(self.prepare(eighth0), self.prepare(eighth1))

    def prepare(self, eighth: Tensor) -> GraphInput:
        """What depends on one image alone."""
        config = self.config
        if not config.patch_layers:
            return GraphInput(eighth)
        # As large as features whose components have a variance of one.
        cells = F.normalize(eighth.float(), dim=1) * config.coarse_channels**0.5
        patches = self.to_patches(cells)
        first = self.patches[0]
        assert isinstance(first, GraphAttentionLayer)
        seen = first.see(_nodes(patches))
        return GraphInput(cells, PatchInput(patches, seen, self._inner(seen)))

    def between(self, first: GraphInput, second: GraphInput) -> tuple[Tensor, Tensor]:
        """Better 1/8 features of both images."""
        if first.patches is None or second.patches is None:
            return first.cells, second.cells
        patches = (first.patches, second.patches)
        seen = [one.seen for one in patches]
        inner = [one.inner for one in patches]
        guide: tuple[Neighbours, Neighbours] | None = None
        nodes: list[Nodes] = []
        for number, layer in enumerate(self.patches):
            assert isinstance(layer, GraphAttentionLayer)
            if number:
                seen = [layer.see(one) for one in nodes]
                inner = [self._inner(one) for one in seen]
            one, two = seen
            guide = (
                Neighbours(inner[0], self._cross(one, two)),
                Neighbours(inner[1], self._cross(two, one)),
            )
            nodes = _updated(layer, (one, two), guide)
        maps = [
            self.merge_patches(one.cells, _map(node.features, side.features))
            for one, node, side in zip((first, second), nodes, patches, strict=True)
        ]
        if self.config.cell_layers:
            assert guide is not None
            widths = [side.features.shape[-1] for side in patches]
            maps = self._between_cells(maps, guide, widths)
        return maps[0], maps[1]

    @torch.no_grad()
    def _inner(self, seen: SeenNodes) -> Tensor | None:
        """Edges among all nodes of an image. No gradient: a choice has none."""
        if not self.config.inner_edges:
            return None
        return most_similar(seen.alike, seen.alike, self.config.neighbours, True)

    @torch.no_grad()
    def _cross(self, seen: SeenNodes, other: SeenNodes) -> Tensor | None:
        """Edges from all nodes of an image to those of the other one."""
        if not self.config.cross_edges:
            return None
        return most_similar(seen.alike, other.alike, self.config.neighbours)

    def _between_cells(
        self, maps: list[Tensor], guide: tuple[Neighbours, Neighbours], widths: list[int]
    ) -> list[Tensor]:
        """`widths`: patches in a row of each image."""
        sides = [self.to_cells(one) for one in maps]
        nodes = [_nodes(one) for one in sides]
        offered = [self._offered(guide[here], widths[here], widths[1 - here]) for here in range(2)]
        for layer in self.cells:
            assert isinstance(layer, GraphAttentionLayer)
            one, two = (layer.see(side) for side in nodes)
            chosen = [
                Neighbours(
                    self._chosen(offered[here].inner, mine.alike, mine.alike),
                    self._chosen(offered[here].cross, mine.alike, theirs.alike),
                )
                for here, (mine, theirs) in enumerate(((one, two), (two, one)))
            ]
            nodes = _updated(layer, (one, two), (chosen[0], chosen[1]))
        return [
            self.merge_cells(cells, _map(node.features, side))
            for cells, node, side in zip(maps, nodes, sides, strict=True)
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

    @torch.no_grad()
    def _chosen(self, offered: Tensor | None, queries: Tensor, keys: Tensor) -> Tensor | None:
        if offered is None:
            return None
        return most_similar_of(offered, queries, keys, self.config.cell_neighbours)


def _layers(width: int, config: DenseConfig, count: int) -> nn.ModuleList:
    edges = config.edge_channels
    return nn.ModuleList(GraphAttentionLayer(width, config.heads, edges) for _ in range(count))


def _updated(
    layer: GraphAttentionLayer,
    seen: tuple[SeenNodes, SeenNodes],
    edges: tuple[Neighbours, Neighbours],
) -> list[Nodes]:
    """Both images at once: each sees the other as it was before."""
    new = [layer(seen[here], seen[1 - here], edges[here]) for here in range(2)]
    return [one.nodes.with_features(features) for one, features in zip(seen, new, strict=True)]


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
