"""The fused kernels compute what the layers compute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_networks import SMALL, random_matches, up_to_sign, warmed_net
from torch import Tensor
from verdicts import assert_alike, matches_of_a_scene

from msga_ros.devices.precision import full_float32
from msga_ros.network import MSGANet, MSGANetConfig, MSGANetResult, packaged_weights
from msga_ros.network.evidence import EVIDENCE
from msga_ros.network.fused import unavailable
from msga_ros.network.fused.network import FusedNetwork
from msga_ros.network.fused.operations import NAMES, Operations
from msga_ros.network.fused.values import Tiles
from msga_ros.network.match_scores import MatchScores
from msga_ros.network.shapes import with_fixed_shapes

# Small blocks, so that there are several of each kind; a width that is no power of two.
OURS = MSGANetConfig(
    channels=24,
    neighbours=(6, 6),
    residual_blocks=1,
    grid=5,
    msformer_layers=1,
    heads=2,
    hartley=True,
    evidence=EVIDENCE,
    residual_input=True,
    dynamic_graphs=False,
)
COUNTS = (38, 11)


def small_tiles(batch: int, rows: int) -> Tiles:
    return Tiles(
        rows=16,
        columns=32,
        depth=16,
        wide_rows=16,
        wide_columns=32,
        wide_depth=16,
        chunk=16,
        ring_columns=32,
        ring_depth=16,
        near_rows=16,
        near_depth=16,
        grid_depth=16,
        channel_cells=16,
        parts=2,
    )


@pytest.fixture(scope="module", autouse=True)
def exact() -> Iterator[None]:
    with full_float32(), torch.inference_mode():
        yield


@pytest.fixture(scope="module", params=[OURS, SMALL], ids=["ours", "published"])
def net(request: pytest.FixtureRequest, device: str) -> MSGANet:
    with torch.inference_mode(False):
        return warmed_net(request.param).fold().to(device)


@pytest.fixture(scope="module")
def batch(device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Two samples, one of too few matches, padding anywhere and with anything in it."""
    matches = random_matches(2, 44)
    generator = torch.Generator().manual_seed(7)
    evidence = torch.rand(2, 44, len(EVIDENCE), generator=generator) * 3
    evidence = evidence.masked_fill(evidence < 0.3, torch.nan)
    order = torch.randperm(44, generator=generator)
    valid = (torch.arange(44) < torch.tensor(COUNTS)[:, None])[:, order]
    matches = matches.masked_fill(~valid.unsqueeze(-1), torch.nan)
    return matches.to(device), valid.to(device), evidence.to(device)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("name", NAMES)
def test_each_kernel(net: MSGANet, batch: tuple[Tensor, Tensor, Tensor], name: str) -> None:
    from msga_ros.network.fused.checking import apart, calls_of
    from msga_ros.network.fused.operations import kernel

    calls = [call for call in calls_of(net, *batch, small_tiles) if call.name == name]
    if not calls:
        pytest.skip("not in this structure")
    for call in (calls[0], calls[-1]):
        difference = apart(call, kernel(name)(*call.arguments, **call.keywords))
        assert difference <= 1e-4, call.size


def assert_same(expected: MSGANetResult, found: MSGANetResult) -> None:
    assert found.sufficient.tolist() == expected.sufficient.tolist()
    for one, other in zip(expected.logits, found.logits, strict=True):
        assert torch.equal(one.isfinite(), other.isfinite())
        shown = one.isfinite()
        assert torch.allclose(one[shown], other[shown], rtol=1e-3, atol=1e-3)
    for one, other in zip(expected.kept, found.kept, strict=True):
        assert one.dtype == other.dtype
        assert int((one != other).sum()) <= 2  # equal scores may change places
    enough = expected.sufficient
    if bool(enough.any()):
        assert up_to_sign(expected.essential[enough], found.essential[enough]) < 1e-3
    assert bool(found.essential[~enough].isnan().all())
    assert torch.equal(expected.residual.isinf(), found.residual.isinf())
    shown = expected.residual.isfinite()
    assert torch.allclose(
        expected.residual[shown].sqrt(), found.residual[shown].sqrt(), rtol=1e-2, atol=1e-4
    )
    assert torch.allclose(
        expected.inlier_probability, found.inlier_probability, rtol=1e-2, atol=1e-2
    )
    assert torch.allclose(expected.weights, found.weights, rtol=1e-2, atol=1e-4)


def test_all_together(net: MSGANet, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """Of operations by torch; each kernel is held against these above, all kernels together by the
    tests that need a GPU."""
    with with_fixed_shapes():
        expected = net(*batch)
    fused = FusedNetwork(net, Operations(by_torch=NAMES))
    found = fused(*batch)
    assert found.sufficient.tolist() == [True, False]
    assert_same(expected, found)
    essential, residual, score = fused.judgement(*batch)
    assert torch.equal(essential.nan_to_num(), found.essential.nan_to_num())
    assert torch.equal(residual, found.residual) and torch.equal(score, found.logits[1])


def test_without_mask_and_evidence(net: MSGANet, device: str) -> None:
    fused = FusedNetwork(net, Operations(by_torch=NAMES))
    for count in (0, net.min_matches - 1, net.min_matches):
        matches = random_matches(1, count).to(device)
        with with_fixed_shapes():
            expected = net(matches)
        assert_same(expected, fused(matches))
    with pytest.raises(ValueError, match="evidence"):
        fused(matches, None, matches[..., :1])


@pytest.mark.parametrize("name", ["msga_net", "msga_net_lite", "msga_net_lite_open"])
def test_the_packaged_networks(name: str) -> None:
    matches = matches_of_a_scene(400, seed=1)  # of which no two neighbours are equally near
    call = [torch.from_numpy(one)[None] for one in (matches.correspondences, matches.evidence)]
    net = MSGANet.load(packaged_weights(name))
    fused = FusedNetwork(net, Operations(by_torch=NAMES))
    with with_fixed_shapes():
        verdicts = [
            MatchScores(*(part[0].double().numpy() for part in parts))
            for result in (net(call[0], None, call[1]), fused(call[0], None, call[1]))
            for parts in [(result.essential, result.residual, result.logits[1])]
        ]
    assert_alike(*verdicts, matches.everyone)


def test_where_it_is_not_available() -> None:
    net = MSGANet.load(packaged_weights("msga_net_lite"))
    assert unavailable(net, torch.device("cpu")) == "not an NVIDIA GPU"
    unfolded = MSGANet.load(packaged_weights("msga_net_lite"), fold=False)
    assert "not folded" in unavailable(unfolded, torch.device("cuda"))
    for change, reason in (
        ({"gate": "se"}, "gate se"),
        ({"context": False}, "no context"),
        ({"interaction": False}, "no interaction"),
        ({"verification": False}, "no verification"),
        ({"neighbours": (18, 6)}, "neighbours"),
        ({"channels": 160}, "channels"),
    ):
        with torch.inference_mode(False):
            other = MSGANet(replace(SMALL, **change)).eval().fold()
        assert reason in unavailable(other, torch.device("cuda"))


@pytest.mark.usefixtures("kernels")
def test_moments_of_far_points_lose_no_digits(device: str) -> None:
    """Points in a small part of the image, far from the axis: centred after the sums are made."""
    from msga_ros.network.fused.operations import kernel, plain

    generator = torch.Generator().manual_seed(0)
    matches = (1.5 + 0.05 * torch.randn(2, 300, 4, generator=generator)).to(device)
    weights = torch.rand(2, 300, generator=generator).to(device)
    mask = torch.ones(2, 300, dtype=torch.int8, device=device)
    enough = torch.ones(2, dtype=torch.int8, device=device)
    both = [
        make("eight_point")(matches, weights, mask, enough, sigmoid=False, hartley=True)
        for make in (kernel, plain)
    ]
    assert up_to_sign(*both) < 1e-5
    assert np.allclose(both[0].flatten(1).norm(dim=1).cpu(), 1, atol=1e-5)


@pytest.mark.usefixtures("kernels")
def test_a_solution_whose_first_entry_is_zero(device: str) -> None:
    """Straight ahead, points mirrored in both axes: sums cancel, and that entry with them."""
    from msga_ros.network.fused.operations import kernel

    signs = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    corners = torch.tensor([[0.25, 0.125], [0.125, 0.5], [0.375, 0.25]])[:, None] * signs
    nearer = corners * torch.tensor([1.25, 1.5, 1.125])[:, None, None]
    matches = torch.cat([corners, nearer], 2).reshape(1, 12, 4).to(device)
    ones = torch.ones(1, 12, device=device)
    mask, enough = ones.to(torch.int8), torch.ones(1, dtype=torch.int8, device=device)
    for hartley in (False, True):
        found = kernel("eight_point")(matches, ones, mask, enough, sigmoid=False, hartley=hartley)
        expected = torch.tensor([[[0.0, -1, 0], [1, 0, 0], [0, 0, 0]]], device=device) / 2**0.5
        assert up_to_sign(expected, found) < 1e-6


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("samples", [1, 2, 3])
def test_neighbours_of_a_few_samples_at_a_time(
    device: str, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three samples; the table has columns that are no matches, and rows that nobody knows."""
    from msga_ros.network.fused.kernels import neighbours
    from msga_ros.network.fused.operations import kernel, plain

    monkeypatch.setattr(neighbours, "_TABLE", samples * 4 * 70 * 80)
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(3, 70, 20, generator=generator).to(device)
    mask = (torch.rand(3, 70, generator=generator) < 0.7).to(torch.int8).to(device)
    mask[1, 12:] = 0  # fewer than a block
    tiles = Tiles(near_rows=16, near_depth=16)
    found = kernel("nearest")(features, mask, 9, tiles)
    expected = plain("nearest")(features, mask, 9, tiles)
    for sample in range(3):
        some = 9 if sample != 1 else int(mask[1].sum().clamp(max=9))
        assert torch.equal(found[sample, :, :some], expected[sample, :, :some])


@pytest.mark.usefixtures("kernels")
def test_of_neighbours_equally_near_the_first(device: str) -> None:
    from msga_ros.network.fused.operations import kernel

    features = torch.zeros(1, 40, 16, device=device)
    features[0, 20:, 0] = 1.0
    mask = torch.ones(1, 40, dtype=torch.int8, device=device)
    mask[0, 1] = 0
    found = kernel("nearest")(features, mask, 3, Tiles(near_rows=16, near_depth=16))
    assert found[0, :20].tolist() == [[0, 2, 3]] * 20
    assert found[0, 20:].tolist() == [[20, 21, 22]] * 20
