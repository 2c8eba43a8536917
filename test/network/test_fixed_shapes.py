"""The way of an accelerator, shapes that do not follow the data, against the way of a CPU.

Run on the CPU as well: what a GPU computes otherwise is small, what it does otherwise is here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from devices import DEVICES
from host_access import HostAccess
from small_networks import STRUCTURES, random_matches, up_to_sign, warmed_net
from torch import Tensor

from msga_ros.devices.precision import full_float32
from msga_ros.network import MSGANet, MSGANetConfig, MSGANetResult, packaged_weights
from msga_ros.network.layers import BatchNorm, ContextNorm
from msga_ros.network.sdgi import compile_interactions
from msga_ros.network.shapes import fixed_shapes, with_fixed_shapes

COUNTS = (90, 64, 33)

Judge = Callable[..., MSGANetResult]


@pytest.fixture(scope="module", params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    with full_float32():
        yield request.param


@pytest.fixture(scope="module", params=[True, False], ids=["folded", "unfolded"])
def folded(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(scope="module", params=STRUCTURES.values(), ids=STRUCTURES.keys())
def nets(request: pytest.FixtureRequest, device: str, folded: bool) -> tuple[MSGANet, MSGANet, str]:
    """The same network for the CPU's way and for the accelerator's, and where that runs."""
    one, other = (warmed_net(request.param) for _ in range(2))
    if folded:
        one.fold(), other.fold()
    return one, other.to(device), device


def both_ways(
    nets: tuple[MSGANet, MSGANet, str], *inputs: Tensor | None
) -> tuple[MSGANetResult, MSGANetResult]:
    plain, other, device = nets
    moved = [None if tensor is None else tensor.to(device) for tensor in inputs]
    with torch.no_grad():
        expected = plain(*inputs)
        with with_fixed_shapes() if device == "cpu" else nullcontext():
            return expected, other(*moved)


def assert_alike(expected: MSGANetResult, found: MSGANetResult) -> None:
    """The same of each sample; padding may be wider where shapes are fixed."""
    assert found.sufficient.tolist() == expected.sufficient.tolist()
    for sample, enough in enumerate(expected.sufficient.tolist()):
        residual, scores = found.residual[sample].cpu(), found.logits[1][sample].cpu()
        assert torch.equal(residual.isinf(), expected.residual[sample].isinf())
        assert torch.equal(scores.isneginf(), expected.logits[1][sample].isneginf())
        if not enough:
            assert bool(found.essential[sample].isnan().all())
            assert bool((found.kept[1][sample] == -1).all())
            continue
        essential = found.essential[sample].cpu()
        assert up_to_sign(essential, expected.essential[sample]) < 1e-4
        for one, other in zip(expected.logits, found.logits, strict=True):
            one, other = one[sample], other[sample].cpu()
            one, other = one[~one.isneginf()], other[~other.isneginf()]
            assert torch.allclose(one, other, rtol=1e-3, atol=1e-3)
        known = ~residual.isinf()
        assert torch.allclose(
            residual[known].sqrt(), expected.residual[sample][known].sqrt(), rtol=1e-2, atol=1e-4
        )
        for one, other in zip(expected.kept, found.kept, strict=True):
            one, other = one[sample], other[sample].cpu()
            assert set(one[one >= 0].tolist()) == set(other[other >= 0].tolist())
        assert float(found.weights[sample].sum()) == pytest.approx(1, abs=1e-4)


def evidence(batch: int, count: int) -> Tensor:
    table = torch.rand(batch, count, 5, generator=torch.Generator().manual_seed(7))
    return table.masked_fill(table < 0.1, torch.nan)


def test_whole_batches(nets: tuple[MSGANet, MSGANet, str]) -> None:
    matches, table = random_matches(2, 100), evidence(2, 100)
    assert_alike(*both_ways(nets, matches))
    assert_alike(*both_ways(nets, matches, None, table))
    every = torch.ones(2, 100, dtype=torch.bool)
    assert_alike(*both_ways(nets, matches, every, table))


def test_padded_batches(nets: tuple[MSGANet, MSGANet, str]) -> None:
    """Padding anywhere, and with anything in it."""
    matches, table = random_matches(3, 90), evidence(3, 90)
    valid = torch.arange(90) < torch.tensor(COUNTS)[:, None]
    order = torch.randperm(90, generator=torch.Generator().manual_seed(3))
    valid = valid[:, order]
    rubbish = torch.where(valid.unsqueeze(-1), matches, torch.nan)
    assert_alike(*both_ways(nets, rubbish, valid, table))
    rubbish = torch.where(valid.unsqueeze(-1), matches, 1e30)
    assert_alike(*both_ways(nets, rubbish, valid))


def test_samples_of_too_few(nets: tuple[MSGANet, MSGANet, str]) -> None:
    valid = torch.arange(80) < torch.tensor([80, 5, 0, 31, 1, 32])[:, None]
    expected, found = both_ways(nets, random_matches(6, 80), valid)
    assert_alike(expected, found)
    assert found.sufficient.tolist() == [True, False, False, False, False, True]


def test_samples_of_none_stay_finite_through_many_layers() -> None:
    """Statistics of a match or none say nothing of the padding, which each layer would enlarge."""
    net = MSGANet.load(packaged_weights("msga_net_lite"))
    seen: list[bool] = []
    for layer in net.modules():
        if isinstance(layer, ContextNorm):
            layer.register_forward_hook(lambda *call: seen.append(bool(call[-1].isfinite().all())))
    valid = torch.arange(80) < torch.tensor([80, 1, 0])[:, None]
    with torch.no_grad(), with_fixed_shapes():
        net(random_matches(3, 80), valid)
    assert len(seen) > 20 and all(seen)


@pytest.mark.parametrize("count", [0, 31, 32, 33])
def test_few_matches(nets: tuple[MSGANet, MSGANet, str], count: int) -> None:
    assert_alike(*both_ways(nets, random_matches(2, count)))


def test_it_is_the_other_way_and_ends_with_the_block() -> None:
    tensor = torch.zeros(1)
    assert not fixed_shapes(tensor)
    with with_fixed_shapes():
        assert fixed_shapes(tensor)
    assert not fixed_shapes(tensor)
    with pytest.raises(ValueError, match="evidence"), with_fixed_shapes():
        warmed_net(STRUCTURES["ours"])(random_matches(1, 80), None, torch.zeros(1))
    assert not fixed_shapes(tensor)
    assert fixed_shapes(tensor.to("meta"))


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("fold", [True, False])
def test_the_forward_pass_asks_for_no_values(structure: str, fold: bool) -> None:
    net = warmed_net(STRUCTURES[structure])
    net = net.fold() if fold else net
    matches, table = random_matches(3, 90), evidence(3, 90)
    valid = torch.arange(90) < torch.tensor(COUNTS)[:, None]
    inputs = [matches, valid, table, *net.parameters(), *net.buffers()]
    with torch.no_grad(), with_fixed_shapes(), HostAccess(inputs) as access:
        net(matches, valid, table)
        net(matches, valid)
        net(matches)
    # The eigenvector is found otherwise on an accelerator, see `test_smallest_eigenvector.py`.
    assert [one for one in access.found if "_linalg_eigh" not in one] == []
    with torch.no_grad(), HostAccess(inputs) as access:
        net(matches, valid)
    assert access.found  # the CPU's way does ask


# The layers alone.


def padded(count: int, channels: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    """`count` rows spread over a `(3, 20, C)` batch, the mask, and the rest is huge."""
    generator = torch.Generator().manual_seed(count)
    rows = torch.randn(count, channels, generator=generator) * 3 + 5
    valid = torch.zeros(60, dtype=torch.bool)
    valid[torch.randperm(60, generator=generator)[:count]] = True
    features = torch.full((60, channels), 1e4)
    features[valid] = rows
    return rows, features.view(3, 20, channels), valid.view(3, 20)


def batch_norms(channels: int = 8) -> tuple[BatchNorm, BatchNorm]:
    """Two alike, with statistics and weights of their own, in training."""
    one, other = BatchNorm(channels), BatchNorm(channels)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in (*one.parameters(), one.running_mean, one.running_var):
            tensor.copy_(torch.rand(channels, generator=generator) + 0.5)
    other.load_state_dict(one.state_dict())
    return one, other


@pytest.mark.parametrize("count", [2, 3, 40, 60])
def test_a_masked_batch_norm_is_one_of_the_valid_rows(count: int) -> None:
    rows, features, valid = padded(count)
    norm, reference = batch_norms()
    expected = F.batch_norm(
        rows,
        reference.running_mean,
        reference.running_var,
        reference.weight,
        reference.bias,
        training=True,
        momentum=0.1,
        eps=reference.eps,
    )
    found = norm(features, valid).detach()
    assert torch.allclose(found[valid], expected, atol=1e-5)
    assert float(found[~valid].abs().max() if count < 60 else 0) == 0
    assert torch.allclose(norm.running_mean, reference.running_mean, atol=1e-6)
    assert torch.allclose(norm.running_var, reference.running_var, rtol=1e-5)


def test_the_gradient_of_a_masked_batch_norm_is_that_of_the_valid_rows() -> None:
    rows, features, valid = padded(40)
    norm, reference = batch_norms()
    rows.requires_grad_(), features.requires_grad_()
    weight = torch.randn(40, 8, generator=torch.Generator().manual_seed(5))
    (reference(rows) * weight).sum().backward()
    (norm(features, valid)[valid] * weight).sum().backward()
    assert torch.allclose(features.grad[valid], rows.grad, atol=1e-5)
    assert float(features.grad[~valid].abs().max()) == 0
    for one, other in zip(norm.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("count", [0, 1])
def test_a_masked_batch_norm_of_one_row_or_none_uses_and_keeps_its_statistics(count: int) -> None:
    rows, features, valid = padded(count)
    norm, reference = batch_norms()
    found = norm(features, valid)
    assert torch.allclose(found[valid], reference.eval()(rows), atol=1e-5)
    assert bool(torch.isfinite(found).all())
    assert torch.equal(norm.running_mean, reference.running_mean)
    assert torch.equal(norm.running_var, reference.running_var)


@pytest.mark.parametrize("state", ["training", "evaluation", "folded"])
@pytest.mark.parametrize("masked", [True, False])
def test_the_context_norm_of_an_accelerator_is_that_of_the_cpu(state: str, masked: bool) -> None:
    features = torch.randn(3, 20, 8, generator=torch.Generator().manual_seed(0)) * 3 + 5
    valid = torch.arange(20) < torch.tensor([20, 11, 2])[:, None] if masked else None
    norms = []
    for _ in range(2):
        norm = ContextNorm(8, eps=1e-3).train(state == "training")
        norm.norm.load_state_dict(batch_norms()[0].state_dict())
        if state == "folded":
            norm.fold()
        norms.append(norm)
    seen = torch.ones(3, 20, dtype=torch.bool) if valid is None else valid
    with torch.no_grad():
        expected, found = norms[0](features, valid), norms[1]._on_accelerator(features, valid)
    assert torch.allclose(found[seen], expected[seen], rtol=1e-4, atol=1e-4)
    assert bool(torch.isfinite(found).all())
    for one, other in zip(norms[0].norm.buffers(), norms[1].norm.buffers(), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)


def test_the_context_norm_of_an_accelerator_keeps_half_precision_and_its_digits() -> None:
    """Far from zero, where sums in half precision lose everything."""
    features = torch.randn(1, 300, 8, generator=torch.Generator().manual_seed(0)) + 100
    norm = ContextNorm(8, eps=1e-3).eval()
    with torch.no_grad():
        half = norm._on_accelerator(features.bfloat16(), None)
        exact = norm._on_accelerator(features.bfloat16().float(), None)
    assert half.dtype == torch.bfloat16
    assert torch.allclose(half.float(), exact, rtol=1e-2, atol=1e-2)


def test_compiled_interactions_compute_the_same() -> None:
    """Traced for any number of matches, in training; the compiler behind it is torch's affair."""
    torch.manual_seed(0)
    plain = MSGANet(MSGANetConfig(channels=16, residual_blocks=1, grid=4, msformer_layers=1))
    compiled = copy.deepcopy(plain)
    compile_interactions(compiled, backend="eager")
    assert list(compiled.state_dict()) == list(plain.state_dict())
    for count in (64, 90):
        matches = torch.rand(3, count, 4) - 0.5
        results = []
        for net in (plain.train(), compiled.train()):
            result = net(matches)
            net.zero_grad()
            (result.logits[1].square().mean() + result.logits[3].square().mean()).backward()
            gradient = net.sieve0.interaction0.query.linear.weight.grad
            assert gradient is not None and float(gradient.abs().max()) > 0
            results.append((result.logits[1].detach(), gradient.clone()))
        for one, other in zip(*results, strict=True):
            assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)
