"""The fused network on a GPU: recorded, of any size, and what happens where a kernel fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from devices import ON_GPU, no_waiting
from numpy.typing import NDArray
from small_networks import up_to_sign
from verdicts import (
    DETERMINED,
    Disagreement,
    Matches,
    assert_both_solved_or_none,
    disagreement,
    matches_of_a_scene,
)

from msga_ros.devices.precision import full_float32
from msga_ros.network import MSGANet, packaged_weights
from msga_ros.network.cuda_graph import RecordedNetwork, size_for
from msga_ros.network.fused import unavailable
from msga_ros.network.match_scores import MatchScores
from msga_ros.training.synthetic_scenes import synthetic_batch

pytestmark = ON_GPU

CUDA = torch.device("cuda")
NAMES = ("msga_net", "msga_net_lite")


@pytest.fixture(scope="module", autouse=True)
def exact() -> Iterator[None]:
    with full_float32():
        yield


@dataclass(frozen=True)
class Networks:
    """One by fused kernels and layer by layer, both in float32 and recorded, and in float64."""

    fused: RecordedNetwork
    layers: RecordedNetwork
    exact: MSGANet


@pytest.fixture(scope="module", params=NAMES)
def networks(request: pytest.FixtureRequest) -> Networks:
    path = packaged_weights(request.param)
    net = MSGANet.load(path).to(CUDA)
    if reason := unavailable(net, CUDA):
        pytest.skip(reason)
    exact = MSGANet.load(path).double().to(CUDA)
    return Networks(
        RecordedNetwork(net, CUDA, fused="auto"), RecordedNetwork(net, CUDA, fused="off"), exact
    )


def in_float64(net: MSGANet, matches: Matches, valid: NDArray[np.bool_]) -> MatchScores:
    """Of what is valid alone."""
    rows = [torch.from_numpy(part[valid]) for part in (matches.correspondences, matches.evidence)]
    with torch.inference_mode():
        result = net(rows[0].double()[None].to(CUDA), None, rows[1].double()[None].to(CUDA))
    residual, score = np.full(len(valid), np.inf), np.full(len(valid), -np.inf)
    residual[valid] = result.residual[0].double().cpu().numpy()
    score[valid] = result.logits[1][0].double().cpu().numpy()
    return MatchScores(result.essential[0].double().cpu().numpy(), residual, score)


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 257, 500, 1000, 2000, 4000, 8000])
def test_any_number_of_matches(networks: Networks, count: int) -> None:
    """Over five scenes about as near to float64 as the layers are, which is what can be asked: of
    two neighbours that are equally near rounding picks one, the more often the more there are, and
    with it the scores of many matches."""
    networks.fused.prepare(count)
    apart: dict[str, list[Disagreement]] = {"fused": [], "layers": []}
    for seed in range(5):
        matches = matches_of_a_scene(count, seed)
        valid = np.arange(count) % 5 > 0
        exact = in_float64(networks.exact, matches, valid)
        for name, found in apart.items():
            network: RecordedNetwork = getattr(networks, name)
            parts = network(matches.correspondences, valid, matches.evidence)
            verdict = MatchScores(*(part.astype(np.float64) for part in parts))
            if assert_both_solved_or_none(verdict, exact, valid):
                found.append(disagreement(verdict, exact, valid))
        assert networks.fused.fused and not networks.layers.fused
        assert networks.fused._recordings[size_for(count)].fused
    assert len(apart["fused"]) == (5 if valid.sum() >= networks.exact.min_matches else 0)
    if not apart["fused"]:
        return

    def mean(name: str, of: str) -> float:
        return float(np.mean([getattr(one, of) for one in apart[name]]))

    for part, margin in (("scores", 0.02), ("decisions", 0.004), ("residuals", 0.02)):
        assert mean("fused", part) <= 2 * mean("layers", part) + margin, (part, apart)
    others = [sum(one.essential >= 1e-2 for one in apart[name]) for name in apart]
    assert others[0] <= others[1] + 1, apart


@pytest.mark.parametrize("name", NAMES)
def test_batches_without_a_wait(name: str) -> None:
    from msga_ros.network.fused.network import FusedNetwork

    net = MSGANet.load(packaged_weights(name)).to(CUDA)
    fused = FusedNetwork(net)
    made = synthetic_batch(16, 1300, torch.Generator().manual_seed(3), DETERMINED)
    counts = torch.linspace(0, 1300, 16).long()
    valid = (torch.arange(1300) < counts[:, None]).to(CUDA)
    matches, evidence = made.correspondences.to(CUDA), made.evidence.to(CUDA)
    with torch.inference_mode():
        expected = net(matches, valid, evidence)
        fused(matches, valid, evidence)
        with no_waiting():
            found = fused(matches, valid, evidence)
    assert torch.equal(found.sufficient, expected.sufficient)
    for one, other in zip(expected.logits, found.logits, strict=True):
        assert torch.equal(one.isfinite(), other.isfinite())
    shown = expected.logits[1].isfinite()
    one, other = expected.logits[1][shown], found.logits[1][shown]
    close = ((one - other).abs() <= 1e-2 * one.abs().clamp_min(1)).float().mean()
    assert float(close) >= 0.95
    # Of few matches the solution may be anything, of many it is the same in most samples.
    many = counts.to(CUDA) > 300
    apart = [
        up_to_sign(one[None], other[None])
        for one, other in zip(expected.essential[many], found.essential[many], strict=True)
    ]
    assert np.mean(np.array(apart) < 1e-2) >= 0.8, apart


def test_the_same_twice() -> None:
    network = RecordedNetwork(MSGANet.load(packaged_weights("msga_net")), CUDA, fused="auto")
    matches = matches_of_a_scene(700)
    call = (matches.correspondences, matches.everyone, matches.evidence)
    first = network(*call)
    for _ in range(3):
        for one, other in zip(first, network(*call), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_kernel_that_fails_is_said_and_the_layers_go_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = RecordedNetwork(MSGANet.load(packaged_weights("msga_net_lite")), CUDA, fused="auto")
    assert network._fused is not None

    def broken(*arguments: object, **keywords: object) -> None:
        raise ValueError("no such instruction")

    monkeypatch.setattr(network._fused.operations, "nearest", broken)
    matches = matches_of_a_scene(300)
    with caplog.at_level(logging.WARNING):
        _, _, score = network(matches.correspondences, matches.everyone, matches.evidence)
    assert "no such instruction" in caplog.text and "layer by layer" in caplog.text
    assert np.isfinite(score).all() and not network.fused


def test_more_matches_than_before_do_not_wait_for_kernels() -> None:
    """They run layer by layer until those are compiled, and by them from then on."""
    network = RecordedNetwork(MSGANet.load(packaged_weights("msga_net_lite")), CUDA)
    few, many = matches_of_a_scene(300), matches_of_a_scene(5000)
    network(few.correspondences, few.everyone, few.evidence)
    started = threading.Event()
    go_on = threading.Event()
    compile_for = network._readiness._compile_for

    def slow(count: int) -> None:
        started.set()
        go_on.wait()
        compile_for(count)

    network._readiness._compile_for = slow
    call = (many.correspondences, many.everyone, many.evidence)
    by_layers = network(*call)
    assert started.wait(30) and not network._recordings[size_for(5000)].fused
    go_on.set()
    network.prepare(5000)
    assert network._recordings[size_for(5000)].fused
    close = np.abs(by_layers[2] - network(*call)[2]) <= 1e-2 * np.maximum(1, np.abs(by_layers[2]))
    assert close.mean() >= 0.9
