"""Sparse graph attention: which edges there are, what moves along them, and what does not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from msga_ros.network.dense.attention_layer import GraphAttentionLayer, Neighbours, Nodes
from msga_ros.network.dense.config import DenseConfig
from msga_ros.network.dense.edges import (
    children,
    most_similar,
    most_similar_of,
    parents_of_cells,
)
from msga_ros.network.dense.graph_attention import MultiLayerSparseGraphAttention

SMALL = DenseConfig(
    coarse_channels=16, patch_channels=16, cell_channels=8, edge_channels=8, heads=2, neighbours=3
)


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pretend_trained(graph: MultiLayerSparseGraphAttention) -> None:
    for merge in (graph.merge_patches, graph.merge_cells):
        torch.nn.init.normal_(merge.change.weight)


def learned(
    layer: GraphAttentionLayer, nodes: Nodes, other: Nodes, neighbours: Neighbours
) -> torch.Tensor:
    """What one layer makes of `nodes`."""
    return layer(layer.see(nodes), layer.see(other), neighbours)


def test_neighbours_are_the_most_similar_ones_whatever_the_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queries, keys = seeded(2, 7, 5), seeded(2, 9, 5, seed=1)
    table = queries @ keys.transpose(1, 2)
    expected = table.argsort(2, descending=True)[..., :4]
    assert torch.equal(most_similar(queries, keys, 4), expected)
    monkeypatch.setattr("msga_ros.network.dense.edges._BLOCK_ENTRIES", 40)  # two rows at a time
    assert torch.equal(most_similar(queries, keys, 4), expected)
    many = seeded(1, 300, 5)  # more than a heap's share of the row
    for count in (1, 4, 6, 299):
        by_sorting = (many @ many.transpose(1, 2)).sort(2, descending=True).indices
        assert torch.equal(most_similar(many, many, count), by_sorting[..., :count])
    own = most_similar(queries, queries, 6, exclude_self=True)
    assert own.shape == (2, 7, 6)  # as many as there are
    assert not (own == torch.arange(7)[:, None]).any()


def test_children_of_a_patch_are_the_cells_that_it_covers() -> None:
    height, width = 3, 4  # patches
    patch_of_cell = parents_of_cells(torch.arange(height * width)[None], width)[0]
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(8), indexing="ij")
    assert torch.equal(patch_of_cell, (rows // 2 * width + columns // 2).flatten())
    every = torch.arange(height * width).view(1, 1, -1)
    cells = children(every, width)[0, 0].view(-1, 4)
    assert torch.equal(patch_of_cell[cells], every.view(-1, 1).expand(-1, 4))
    assert len(cells.unique()) == 48


def test_a_cell_chooses_among_what_it_is_offered() -> None:
    queries, keys = seeded(1, 2, 4), seeded(1, 10, 4, seed=1)
    offered = torch.tensor([[[0, 3, 4], [9, 8, 7]]])
    chosen = most_similar_of(offered, queries, keys, 1)
    similarity = (queries @ keys.transpose(1, 2))[0]
    assert chosen[0, 0, 0] == max((0, 3, 4), key=lambda cell: similarity[0, cell])
    assert chosen[0, 1, 0] == max((9, 8, 7), key=lambda cell: similarity[1, cell])


def test_a_node_learns_from_its_neighbours_alone() -> None:
    torch.manual_seed(0)
    layer = GraphAttentionLayer(8, heads=2, edge_channels=8).eval()
    nodes, other = (
        Nodes(seeded(1, 4, 8), seeded(4, 2)),
        Nodes(seeded(1, 5, 8, seed=1), seeded(5, 2)),
    )
    neighbours = Neighbours(torch.tensor([[[1], [0], [3], [2]]]), torch.tensor([[[4]] * 4]))
    before = learned(layer, nodes, other, neighbours)
    changed = other.features.clone()
    changed[0, 0] += seeded(8, seed=2)  # nobody's neighbour
    assert torch.equal(before, learned(layer, nodes, other.with_features(changed), neighbours))
    changed = nodes.features.clone()
    changed[0, 1] += seeded(8, seed=2)  # neighbour of node 0, and itself
    after = learned(layer, nodes.with_features(changed), other, neighbours)
    moved = (after - before).abs().amax(2)[0] > 1e-6
    assert moved.tolist() == [True, True, False, False]


def test_each_head_attends_by_its_own_part_of_queries_keys_and_values() -> None:
    """One node at a time, one head at a time, by the formula of attention."""
    torch.manual_seed(0)
    layer = GraphAttentionLayer(12, 3, 8).eval()
    with torch.no_grad():  # each head its own
        layer.likeness_gain.copy_(torch.tensor([0.5, 2.0, 4.0]))
    nodes, other = (Nodes(seeded(1, 5, 12, seed=one), torch.rand(5, 2)) for one in (1, 2))
    neighbours = Neighbours(torch.randint(0, 5, (1, 5, 2)), torch.randint(0, 5, (1, 5, 4)))
    edges = neighbours.edges(nodes, other)
    assert edges is not None
    (indices,), (places,) = edges
    own = layer.before(nodes.features)[0]
    seen = torch.cat((own, layer.before(other.features)[0]))
    alike = F.normalize(layer.likeness(seen), dim=-1)
    message = torch.zeros(5, 12)
    for node in range(5):
        ends, waves, of_place = seen[indices[node]], places[node], []
        for head, part in enumerate(torch.arange(12).split(4)):
            query = layer.query(own[node])[part]
            logits = layer.key(ends)[:, part] @ query / 2  # the root of four numbers
            logits = logits + layer.likeness_gain[head] * alike[indices[node]] @ alike[node]
            logits = logits + waves @ layer.query_of_place(own[node]).view(3, -1)[head]
            weights = logits.softmax(0)
            message[node, part] = weights @ layer.value(ends)[:, part]
            of_place.append(weights @ waves)
        message[node] += layer.value_of_place(torch.cat(of_place))
    updated = nodes.features[0] + layer.after(message)
    expected = updated + layer.mixing(updated)
    torch.testing.assert_close(
        learned(layer, nodes, other, neighbours)[0], expected, atol=1e-5, rtol=1e-5
    )


def test_likeness_is_learned_by_what_comes_of_it() -> None:
    torch.manual_seed(0)
    layer = GraphAttentionLayer(8, heads=2, edge_channels=4)
    nodes = Nodes(seeded(1, 4, 8), seeded(4, 2))
    neighbours = Neighbours(torch.tensor([[[1, 2], [0, 2], [3, 0], [2, 1]]]), None)
    learned(layer, nodes, nodes, neighbours).square().sum().backward()
    assert layer.likeness.weight.grad is not None
    assert layer.likeness.weight.grad.abs().max() > 0


def test_relative_positions_count_and_common_shifts_do_not() -> None:
    torch.manual_seed(0)
    layer = GraphAttentionLayer(8, heads=2, edge_channels=8).eval()
    features, places = seeded(1, 4, 8), seeded(4, 2)
    neighbours = Neighbours(torch.tensor([[[1, 2], [0, 2], [3, 0], [2, 1]]]), None)
    one = Nodes(features, places)
    before = learned(layer, one, one, neighbours)
    shifted = Nodes(features, places + 0.3)
    torch.testing.assert_close(
        learned(layer, shifted, shifted, neighbours), before, atol=1e-5, rtol=0
    )
    stretched = Nodes(features, places * 1.5)
    assert (learned(layer, stretched, stretched, neighbours) - before).abs().max() > 1e-3


def test_an_untrained_graph_keeps_directions_and_a_trained_one_sees_the_other() -> None:
    torch.manual_seed(0)
    graph = MultiLayerSparseGraphAttention(SMALL).eval()
    one, two = seeded(1, 16, 4, 6), seeded(1, 16, 6, 8, seed=1)  # two sizes
    for before, after in zip((one, two), graph(one, two), strict=True):
        torch.testing.assert_close(*(F.normalize(some, dim=1) for some in (before, after)))
    pretend_trained(graph)
    seen = graph(one, two)
    assert seen[0].shape == one.shape and seen[1].shape == two.shape
    assert (graph(one, two + 1.0)[0] - seen[0]).abs().max() > 1e-3
    # Both directions are the same network: swapped images, swapped answers.
    back = graph(two, one)
    torch.testing.assert_close(back[0], seen[1])
    torch.testing.assert_close(back[1], seen[0])


@pytest.mark.parametrize("switch", ["inner_edges", "cross_edges"])
def test_edges_of_a_kind_can_be_left_out(switch: str) -> None:
    torch.manual_seed(0)
    entries = {**SMALL.__dict__, switch: False}
    graph = MultiLayerSparseGraphAttention(DenseConfig(**entries)).eval()
    pretend_trained(graph)
    one, two = seeded(1, 16, 4, 6), seeded(1, 16, 4, 6, seed=1)
    influence = (graph(one, two + 1.0)[0] - graph(one, two)[0]).abs().max()
    assert (influence > 1e-3) == (switch == "inner_edges")  # else it sees itself alone
