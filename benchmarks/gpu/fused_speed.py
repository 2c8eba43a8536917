"""The fused kernels: the network by them against its layers one by one, each kernel against torch,
and which block sizes are best."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
import torch
from fused_jobs import SECTION, Checks, Job, failed_in
from fused_variants import RULE, variants
from network_speed import recorded_call
from profile_kernels import dearest
from records import Entry, Records, milliseconds
from scenes import scenes
from torch import Tensor

from msga_ros.network import MSGANet, MSGANetResult, packaged_weights
from msga_ros.network.cuda_graph import RecordedNetwork
from msga_ros.network.fused import unavailable
from msga_ros.network.fused.network import FusedNetwork
from msga_ros.network.fused.operations import Operations

NETWORKS = ("msga_net", "msga_net_lite")
_SINGLE, _BATCH, _LARGE = (1, 2000), (32, 1000), (1, 8000)
# Variants of the small network.
_LITE = ("warps 8", "edges 16")
_CHECK = 60.0  # s at most, of the rule
_VARIANT = 25.0  # s at most, to compile and check another


def measure_fused(records: Records) -> None:
    """Times first, of the defaults; then checks; then other block sizes.

    A kernel compiles when it is first wanted: for the first timing here, for the next ones by their
    checks beside it, which a median of many repeats does not see. What a check finds to be wrong is
    by torch in what comes after.
    """
    on_gpu = records.device.type == "cuda"
    if not on_gpu and not os.environ.get("TRITON_INTERPRET"):
        print("fused: no CUDA device, and TRITON_INTERPRET is not set", flush=True)
        return
    nets = {name: MSGANet.load(packaged_weights(name)) for name in _networks(records.small)}
    if on_gpu:
        nets = {name: net.to(records.device) for name, net in nets.items()}
        nets = {name: net for name, net in nets.items() if not _refused(name, net, records)}
    checks = Checks(records, _rule_jobs(nets, records.small), _CHECK)
    try:
        _times(records, nets, checks)
    finally:
        checks.close()
    if on_gpu:
        for name, net in nets.items():
            _compared(records, name, net, _SINGLE, "alone")  # no check beside it
            _accuracy(records, name, net)
        _other_variants(records, nets)


def _networks(small: bool) -> tuple[str, ...]:
    return NETWORKS[1:] if small else NETWORKS


def _shapes(small: bool) -> tuple[tuple[int, int], ...]:
    """Of which each has block sizes of its own."""
    return ((1, 40),) if small else (_SINGLE, _BATCH, _LARGE)


def _rule_jobs(nets: dict[str, MSGANet], small: bool) -> list[Job]:
    return [Job(name, *shape) for shape in _shapes(small) for name in nets]


def _times(records: Records, nets: dict[str, MSGANet], checks: Checks) -> None:
    """Each as soon as its kernels are there; the first one makes them itself."""
    first = True
    for shape in _shapes(records.small)[:2]:
        for name, net in nets.items():
            if not first:
                checks.wait(Job(name, *shape))
            first = False
            _compared(records, name, net, shape)
    if records.small:
        return
    # By the same kernels as 2000.
    for shape in ((1, 500), (1, 1000), (1, 4000)):
        for name, net in nets.items():
            _compared(records, name, net, shape)
    for name, net in nets.items():
        checks.wait(Job(name, *_LARGE))
        _compared(records, name, net, _LARGE)
    for name, net in nets.items():
        _breakdown(records, name, net)
        _as_the_node(records, name, net)
    for shape in ((32, 500), (32, 2000)):
        for name, net in nets.items():
            _compared(records, name, net, shape)


def _other_variants(records: Records, nets: dict[str, MSGANet]) -> None:
    """The first ones of single pairs and of batches first, while there is time: compiled, checked
    and timed in turn."""
    jobs = [
        Job(name, *shape, variant)
        for shape in (_SINGLE, _BATCH)
        for name in nets
        for variant in variants(shape[0])
        if variant != RULE and (name == NETWORKS[0] or variant in _LITE)
    ]
    jobs.sort(key=lambda job: list(variants(job.batch)).index(job.variant))
    checks = Checks(records, jobs, _VARIANT)
    try:
        for job in jobs:
            if records.left() < 5:
                break
            checks.wait(job)
            if records.has(SECTION, job.name):
                _variant(records, job, nets[job.network])
    finally:
        checks.close()


def _refused(name: str, net: MSGANet, records: Records) -> bool:
    reason = unavailable(net, records.device)
    if reason:
        records.error(SECTION, f"{name}: {reason}")
    return bool(reason)


def _network(records: Records, name: str, net: MSGANet, batch: int, variant: str) -> FusedNetwork:
    """With what failed in its check by torch."""
    shapes = [_SINGLE if batch == 1 else _BATCH]
    if variant == RULE:
        shapes.append(_LARGE)
    by_torch = failed_in(records, [Job(name, *shape, variant) for shape in shapes])
    if by_torch:
        print(f"fused {name} {variant}: by torch {', '.join(by_torch)}", flush=True)
    return FusedNetwork(net, Operations(by_torch, variants(batch)[variant]))


def _inputs(records: Records, shape: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Matches, valid and evidence, on the device."""
    matches, evidence = (one.to(records.device) for one in scenes(*shape))
    return matches, torch.ones(shape, dtype=torch.bool, device=records.device), evidence


def _breakdown(records: Records, name: str, net: MSGANet) -> None:
    def work() -> Entry:
        inputs, fused = _inputs(records, _SINGLE), _network(records, name, net, 1, RULE)
        with torch.inference_mode():
            return dearest(records, lambda: fused.judgement(*inputs))

    records.measure(SECTION, f"kernels {name} 1x2000", work, needs=6)


def _accuracy(records: Records, name: str, net: MSGANet) -> None:
    """Scores and solutions of eight scenes against the layers in float64."""

    def judged(network: Callable[..., MSGANetResult], kind: torch.dtype) -> list[MSGANetResult]:
        pairs = [scenes(*_SINGLE, seed=seed) for seed in range(8)]
        return [
            network(*(m.to(records.device, kind), None, e.to(records.device, kind)))
            for m, e in pairs
        ]

    def work() -> Entry:
        exact = MSGANet.load(packaged_weights(name)).double().to(records.device)
        torch.backends.cudnn.allow_tf32 = False
        with torch.inference_mode():
            reference = judged(exact, torch.float64)
            entry = {"layers": _errors(reference, judged(net, torch.float32))}
            fused = _network(records, name, net, 1, RULE)
            entry[RULE] = _errors(reference, judged(fused, torch.float32))
        return entry

    records.measure(SECTION, f"accuracy {name} 8 scenes of 2000", work, needs=6)


def _errors(reference: list[MSGANetResult], found: list[MSGANetResult]) -> dict[str, float]:
    one = torch.stack([result.logits[1][0] for result in reference])
    other = torch.stack([result.logits[1][0].double() for result in found])
    apart = (one - other).abs().flatten()
    exact = torch.stack([result.essential.flatten() for result in reference])
    essential = torch.stack([result.essential.flatten().double() for result in found])
    essential = essential * (exact * essential).sum(1, keepdim=True).sign()
    essential_apart = (exact - essential).abs().amax(1)
    return {
        "score_median": float(apart.median()),
        "score_99": float(apart.quantile(0.99)),
        "score_most": float(apart.max()),
        "decisions_different": float(((one > 0) != (other > 0)).double().mean()),
        "essential_median": float(essential_apart.median()),
        "essential_most": float(essential_apart.max()),
    }


def _timed(records: Records, forward: Callable[[], object], repeats: int) -> Entry:
    with torch.inference_mode():
        call = recorded_call(forward) if records.device.type == "cuda" else forward
        return milliseconds(call, records.device, repeats)


def _compared(
    records: Records, name: str, net: MSGANet, shape: tuple[int, int], when: str = ""
) -> None:
    """Layers and fused kernels, both recorded, without copies from and to the host."""
    batch, count = shape
    repeats = 1 if records.small else 60 if batch == 1 else 10

    def work() -> Entry:
        entry: Entry = {}
        inputs, fused = _inputs(records, shape), _network(records, name, net, batch, RULE)
        kinds: dict[str, Callable[[], object]] = {
            "fused": lambda: fused.judgement(*inputs),
            "layers": lambda: net(*inputs),
        }
        for kind, forward in kinds.items():
            times = _timed(records, forward, repeats)
            entry |= {f"{kind}_{key}": value for key, value in times.items()}
            entry[f"{kind}_pairs_a_second"] = batch / times["ms"] * 1e3
        return {**entry, "ratio": entry["layers_ms"] / entry["fused_ms"]}

    records.measure(SECTION, f"{name} {batch}x{count} {when}".strip(), work, needs=4)


def _as_the_node(records: Records, name: str, net: MSGANet) -> None:
    """From and to the host, as a frame costs it; how long the first call takes, which compiles
    (from the cache, here); and the memory that its recording keeps."""
    matches, evidence = (one[0].numpy() for one in scenes(1, 2000))
    valid = np.ones(2000, dtype=bool)

    def work() -> Entry:
        entry: Entry = {}
        for choice in ("auto", "off"):
            torch.cuda.empty_cache()
            reserved = torch.cuda.memory_reserved(records.device)
            network = RecordedNetwork(net, records.device, fused=choice)
            started = time.monotonic()
            network(matches, valid, evidence)
            entry[f"{choice}_first_s"] = time.monotonic() - started
            torch.cuda.empty_cache()
            reserved = torch.cuda.memory_reserved(records.device) - reserved
            entry[f"{choice}_mib"] = reserved / 2**20
            entry[f"{choice}_is_fused"] = network.fused
            times = milliseconds(lambda n=network: n(matches, valid, evidence), records.device, 60)  # type: ignore[misc]
            entry |= {f"{choice}_{key}": value for key, value in times.items()}
        return entry

    records.measure(SECTION, f"node {name} 1x2000", work, needs=6)


def _variant(records: Records, job: Job, net: MSGANet) -> None:
    """Of a variant and of the rule, one after the other."""
    repeats = 30 if job.batch == 1 else 10

    def work() -> Entry:
        times = []
        inputs = _inputs(records, (job.batch, job.count))
        for kind in (job.variant, RULE):
            fused = _network(records, job.network, net, job.batch, kind)
            forward = lambda f=fused: f.judgement(*inputs)  # noqa: E731
            times.append(_timed(records, forward, repeats)["ms"])
        return {"ms": times[0], "rule_ms": times[1], "of_the_rule": times[0] / times[1]}

    name = f"variant {job.network} {job.batch}x{job.count} {job.variant}"
    records.measure(SECTION, name, work, needs=3)
