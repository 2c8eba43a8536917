"""Parts of the network against straightforward formulations of the same thing."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from msga_ros.network.graph import (
    AnnularConvolution,
    EdgeConvolution,
    gather_rows,
    nearest_neighbours,
)
from msga_ros.network.layers import BatchNorm, ContextNorm
from msga_ros.network.msformer import SparseChannelAttention
from msga_ros.network.sdgi import SparseDynamicGraphInteraction
from msga_ros.network.sieving import best_share


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def features(batch: int = 2, count: int = 40, channels: int = 8) -> Tensor:
    return torch.randn(batch, count, channels)


def edges(values: Tensor, neighbours: Tensor) -> Tensor:
    """`(B, N, k, 2C)`, as it is written down."""
    others = torch.stack([rows[index] for rows, index in zip(values, neighbours, strict=True)])
    own = values.unsqueeze(2).expand_as(others)
    return torch.cat((own, own - others), -1)


def test_neighbours_are_those_of_the_distances_nearest_first() -> None:
    values = features() + 100.0  # far from the origin, where squares lose digits
    expected = torch.cdist(values.double(), values.double()).topk(5, largest=False).indices
    assert torch.equal(nearest_neighbours(values, 5), expected)
    assert torch.equal(expected[..., 0], torch.arange(40).expand(2, 40))


def test_masked_matches_are_nobodys_neighbours() -> None:
    valid = torch.rand(2, 40) < 0.6
    neighbours = nearest_neighbours(features(), 5, valid)
    for sample in range(2):
        assert bool(valid[sample, neighbours[sample, valid[sample]]].all())


def test_gathered_rows() -> None:
    values = features()
    neighbours = torch.randint(0, 40, (2, 40, 3))
    assert torch.equal(gather_rows(values, neighbours)[1, 7, 2], values[1, neighbours[1, 7, 2]])


@pytest.mark.parametrize("training", [True, False])
def test_the_edge_convolution_is_a_convolution_on_edges(training: bool) -> None:
    values, neighbours = features(), torch.randint(0, 40, (2, 40, 6))
    convolution = EdgeConvolution(8).train(training)
    expected = F.linear(
        edges(values, neighbours), convolution.linear.weight, convolution.linear.bias
    )
    reference = torch.nn.BatchNorm1d(8).train(training)
    expected = F.relu(reference(expected.flatten(0, 2)).view_as(expected))
    assert torch.allclose(convolution(values, neighbours, None), expected, atol=1e-5)


@pytest.mark.parametrize("k", [6, 9])
def test_the_annular_convolution_is_two_convolutions_over_ranks(k: int) -> None:
    values, neighbours = features(), torch.randint(0, 40, (2, 40, k))
    module = AnnularConvolution(8, k).eval()
    first = torch.nn.Conv2d(16, 8, (1, 3), stride=(1, 3))
    second = torch.nn.Conv2d(8, 8, (1, k // 3))
    with torch.no_grad():
        for linear, convolution in (
            (module.edges_to_ring, first),
            (module.rings_to_match, second),
        ):
            weight = convolution.weight.squeeze(2).transpose(1, 2).flatten(1)
            linear.weight.copy_(weight)
            linear.bias.copy_(convolution.bias)  # type: ignore[arg-type]
    scale = 1 / (1 + 1e-5) ** 0.5  # of a batch norm that has seen nothing
    plain = F.relu(first(edges(values, neighbours).permute(0, 3, 1, 2)) * scale)
    plain = F.relu(second(plain) * scale).squeeze(-1).transpose(1, 2)
    assert torch.allclose(module(values, neighbours, None), plain, atol=1e-5)
    module.fold()
    with torch.no_grad():
        assert torch.allclose(module(values, neighbours, None), plain, atol=1e-5)


def test_interaction_in_blocks_equals_interaction_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shallow, deep = features(count=100), features(count=100)
    graph0, graph1 = torch.randint(0, 100, (2, 2, 100, 6)).unbind(0)
    module = SparseDynamicGraphInteraction(8).eval()
    expected = module(shallow, graph0, deep, graph1, None)
    for part in (module.query, module.key, module.value):
        part.fold()
    monkeypatch.setattr("msga_ros.network.sdgi._BLOCK_BYTES", 5000)
    with torch.no_grad():
        assert torch.allclose(module(shallow, graph0, deep, graph1, None), expected, atol=1e-5)


def test_the_interaction_weighs_neighbours_per_channel() -> None:
    shallow, deep = features(), features()
    graph0, graph1 = torch.randint(0, 40, (2, 2, 40, 6)).unbind(0)
    module = SparseDynamicGraphInteraction(8).eval()
    query = module.query(shallow, graph0, None)
    key, value = module.key(deep, graph1, None), module.value(deep, graph1, None)
    weights = torch.softmax(query * key, dim=2)
    assert torch.allclose(weights.sum(2), torch.ones(2, 40, 8), atol=1e-5)
    expected = shallow + F.relu(module.output(weights * value).max(2).values)
    assert torch.allclose(module(shallow, graph0, deep, graph1, None), expected, atol=1e-5)


def test_one_sort_serves_all_four_sparse_maps() -> None:
    attention = SparseChannelAttention(32, 2)
    with torch.no_grad():
        attention.mixture.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    similarity = torch.randn(2, 2, 16, 16) * 3
    expected = torch.zeros_like(similarity)
    for share, kept in zip(attention.mixture, (8, 10, 12, 12), strict=True):
        best = similarity.topk(kept, dim=-1).indices
        masked = torch.full_like(similarity, -torch.inf).scatter(
            -1, best, similarity.gather(-1, best)
        )
        expected = expected + share * torch.softmax(masked, -1)
    assert torch.allclose(attention.sparse_weights(similarity), expected, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_the_context_norm_is_instance_norm_then_batch_norm(training: bool) -> None:
    values = features() * 3 + 5
    norm = ContextNorm(8, eps=1e-3).train(training)
    reference = torch.nn.BatchNorm1d(8).train(training)
    expected = F.instance_norm(values.transpose(1, 2), eps=1e-3)
    expected = reference(expected).transpose(1, 2)
    assert torch.allclose(norm(values, None), expected, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_masked_rows_stay_out_of_the_statistics(training: bool) -> None:
    values = features(1, 40)
    padded = torch.cat((values, torch.full((1, 10, 8), 1e3)), 1)
    valid = torch.arange(50)[None] < 40
    for module in (ContextNorm(8, eps=1e-5), BatchNorm(8)):
        module.train(training)
        assert torch.allclose(module(padded, valid)[:, :40], module(values, None), atol=1e-5), type(
            module
        ).__name__


def test_the_best_share_of_each_sample() -> None:
    score = torch.tensor([[3.0, 1.0, 2.0, 9.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
    valid = torch.tensor([[True, True, True, False, True], [True, True, False, False, False]])
    kept, kept_valid = best_share(score, 0.5, valid)
    assert kept_valid is not None
    assert kept[0].tolist() == [4, 0]
    assert kept[1, 0].item() == 1
    assert kept_valid.tolist() == [[True, True], [True, False]]
