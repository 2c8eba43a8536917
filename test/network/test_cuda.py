"""The network on a GPU says what it says on the CPU, whatever comes, and never waits inside."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from devices import ON_GPU, no_waiting
from numpy.typing import NDArray
from verdicts import DETERMINED, Matches, assert_alike, matches_of_a_scene

from msga_ros.devices.precision import full_float32
from msga_ros.network import MSGANet, MSGANetConfig, packaged_weights
from msga_ros.network.cuda_graph import SIZES, RecordedNetwork
from msga_ros.network.evidence import EVIDENCE
from msga_ros.network.inference import Inference
from msga_ros.network.match_scores import MatchScores
from msga_ros.training.synthetic_scenes import synthetic_batch

pytestmark = ON_GPU

CUDA = torch.device("cuda")
SMALL = MSGANetConfig(channels=16, residual_blocks=1, grid=4, msformer_layers=1)
# Everything that a structure can have, with weights that nobody trained.
RICH = MSGANetConfig(
    channels=32, residual_blocks=1, grid=4, evidence=EVIDENCE, residual_input=True, hartley=True
)


@pytest.fixture(scope="module", autouse=True)
def exact() -> Iterator[None]:
    with full_float32():
        yield


def packaged(name: str) -> MSGANet:
    return MSGANet.load(packaged_weights(name))


def untrained(config: MSGANetConfig) -> MSGANet:
    torch.manual_seed(0)
    return MSGANet(config).eval().fold()


@pytest.fixture(scope="module")
def on_cpu() -> Inference:
    return Inference(packaged("msga_net_lite"), "cpu")


@pytest.fixture(scope="module")
def on_gpu() -> Inference:
    return Inference(packaged("msga_net_lite"), "cuda", "off")


def judged(
    network: Inference, matches: Matches, valid: NDArray[np.bool_] | None = None
) -> MatchScores:
    valid = matches.everyone if valid is None else valid
    return network(matches.correspondences, valid, matches.evidence)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 31, 32, 33, 255, 256, 257, 2000, 8000])
def test_any_number_of_matches(on_cpu: Inference, on_gpu: Inference, count: int) -> None:
    matches = matches_of_a_scene(count)
    assert_alike(judged(on_gpu, matches), judged(on_cpu, matches), matches.everyone)
    assert on_gpu.device.type == "cuda" and not on_gpu.problem


def test_the_published_size() -> None:
    one, other = (Inference(packaged("msga_net"), device, "off") for device in ("cuda", "cpu"))
    for count in (257, 2000):
        matches = matches_of_a_scene(count, seed=1)
        assert_alike(judged(one, matches), judged(other, matches), matches.everyone)


def test_what_was_asked_before_leaves_no_trace(on_gpu: Inference) -> None:
    """Buffers are used again: fewer matches after more, none known after some."""
    few, many = matches_of_a_scene(300), matches_of_a_scene(500, seed=1)
    first = judged(on_gpu, few)
    judged(on_gpu, many)
    again = judged(on_gpu, few)
    np.testing.assert_allclose(again.score, first.score, atol=1e-4)
    kept = first.score.copy()
    judged(on_gpu, many)
    np.testing.assert_array_equal(first.score, kept)  # the caller's own, not the buffer


def test_masked_rows_influence_nothing(on_cpu: Inference, on_gpu: Inference) -> None:
    matches = matches_of_a_scene(1500)
    valid = np.arange(1500) % 3 > 0
    rubbish = matches.correspondences.copy()
    rubbish[~valid] = np.nan
    verdict = on_gpu(rubbish, valid, matches.evidence)
    assert_alike(verdict, judged(on_cpu, matches, valid), valid)
    alone = Matches(matches.correspondences[valid], matches.evidence[valid])
    left = MatchScores(verdict.essential, verdict.residual[valid], verdict.score[valid])
    assert_alike(judged(on_gpu, alone), left, alone.everyone)
    few = np.arange(1500) < 20
    assert np.isnan(on_gpu(matches.correspondences, few, matches.evidence).essential).all()


@pytest.mark.parametrize("columns", [0, 2, 5])
def test_as_much_evidence_as_there_is(columns: int) -> None:
    matches = matches_of_a_scene(400)
    generator = np.random.default_rng(0)
    more = generator.normal(size=(400, 3)).astype(np.float32)
    more[generator.random((400, 3)) < 0.2] = np.nan
    evidence = np.hstack((matches.evidence, more))[:, :columns] if columns else None
    cpu, gpu = (Inference(untrained(RICH), device, "off") for device in ("cpu", "cuda"))
    verdicts = [n(matches.correspondences, matches.everyone, evidence) for n in (gpu, cpu)]
    assert_alike(*verdicts, matches.everyone)
    other = gpu(matches.correspondences, matches.everyone, matches.evidence[:, ::-1].copy())
    assert np.abs(other.score - verdicts[0].score).max() > 1e-3  # it does count


def test_padded_batches(on_cpu: Inference) -> None:
    net = packaged("msga_net_lite").to(CUDA)
    counts = [700, 90, 20, 333]
    made = synthetic_batch(4, 700, torch.Generator().manual_seed(3), DETERMINED)
    valid = torch.arange(700) < torch.tensor(counts)[:, None]
    filled = made.correspondences.masked_fill(~valid.unsqueeze(-1), torch.nan)
    with torch.inference_mode():
        result = net(filled.to(CUDA), valid.to(CUDA), made.evidence.to(CUDA))
    assert result.sufficient.tolist() == [True, True, False, True]
    for sample, rows in enumerate(valid.numpy()):
        verdict = MatchScores(
            result.essential[sample].cpu().numpy(),
            result.residual[sample].cpu().numpy(),
            result.logits[1][sample].cpu().numpy(),
        )
        matches = Matches(made.correspondences[sample].numpy(), made.evidence[sample].numpy())
        assert_alike(verdict, judged(on_cpu, matches, rows), rows)


def test_the_forward_pass_never_waits() -> None:
    made = synthetic_batch(2, 300, torch.Generator().manual_seed(0))
    valid = (torch.arange(300) < torch.tensor([[300], [200]])).to(CUDA)
    matches, evidence = made.correspondences.to(CUDA), made.evidence.to(CUDA)
    for net in (packaged("msga_net_lite"), untrained(RICH), untrained(SMALL)):
        net.to(CUDA)
        with torch.inference_mode():
            net(matches, valid, evidence)  # libraries set themselves up
            with no_waiting():
                net(matches, valid, evidence)
                net(matches, valid)
                net(matches)


def test_waiting_is_noticed() -> None:
    with no_waiting(), pytest.raises(RuntimeError, match="synchroniz"):
        bool(torch.ones(1, device=CUDA).any())


@pytest.mark.parametrize("name", ["msga_net", "msga_net_lite"])
def test_half_precision_decides_as_single(name: str) -> None:
    """Over eight scenes: correlation of the scores above 0.99, 97 % of the decisions equal."""
    half = RecordedNetwork(packaged(name), CUDA, half=True)
    single = RecordedNetwork(packaged(name), CUDA, fused="off")
    scores: list[tuple[NDArray[np.float32], ...]] = []
    for seed in range(8):
        matches = matches_of_a_scene(1000, seed, config=None)
        call = (matches.correspondences, matches.everyone, matches.evidence)
        scores.append(tuple(network(*call)[2] for network in (half, single)))
    low, high = (np.concatenate(part) for part in zip(*scores, strict=True))
    assert np.isfinite(low).all()
    assert np.abs(low - high).max() > 0  # it was half precision
    correlation, equal = np.corrcoef(low, high)[0, 1], np.mean((low > 0) == (high > 0))
    assert correlation > 0.99, correlation
    assert equal >= 0.97, equal


def test_to_the_cpu_and_back(on_cpu: Inference) -> None:
    matches = matches_of_a_scene(300)
    call = (matches.correspondences, matches.everyone, matches.evidence)
    first = Inference(packaged("msga_net_lite"), "cuda", "off")._network._active
    back = first.on(torch.device("cpu"))
    again = back.on(CUDA)
    assert [n.device.type for n in (first, back, again)] == ["cuda", "cpu", "cuda"]
    assert first.verifies == back.verifies == again.verifies
    for network in (first, back, again, first):
        assert_alike(network(*call), judged(on_cpu, matches), matches.everyone)


@pytest.mark.parametrize("shared", [True, False], ids=["one", "one each"])
def test_threads_at_the_same_time(on_cpu: Inference, shared: bool) -> None:
    """Of several cameras; what each asks first is recorded while the other is computing."""
    net = packaged("msga_net_lite")
    one = Inference(net, "cuda", "off")
    networks = [one, one if shared else Inference(net, "cuda", "off")]
    problems: list[BaseException] = []
    start = threading.Barrier(2)

    def work(place: int) -> None:
        try:
            start.wait()
            for turn in range(4):
                # Both at once ask for a size that has not been recorded.
                matches = matches_of_a_scene(SIZES[turn] - 7 * place, seed=place)
                found = judged(networks[place], matches)
                assert_alike(found, judged(on_cpu, matches), matches.everyone)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems, problems
    assert all(n.device.type == "cuda" and not n.problem for n in networks)
