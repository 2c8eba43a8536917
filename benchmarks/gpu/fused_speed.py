"""The fused kernels: each against torch, the network against its layers one by one, and which block
sizes are best."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from fused_variants import RULE, variants
from network_speed import recorded_call
from profile_kernels import dearest
from records import Entry, Records, milliseconds
from scenes import scenes

from msga_ros.network import MSGANet, MSGANetResult, packaged_weights
from msga_ros.network.cuda_graph import RecordedNetwork
from msga_ros.network.fused import unavailable
from msga_ros.network.fused.network import FusedNetwork
from msga_ros.network.fused.operations import Operations

NETWORKS = ("msga_net", "msga_net_lite")
_MOST_APART = 1e-2  # of an operation, relative to the largest entry of its answer
_SINGLE, _BATCH = (1, 2000), (32, 1000)
_LITE = ("rows 16", "rows 64", "depth 32 parts 32 warps 4")  # variants of the small network


class Job(NamedTuple):
    """A variant of a network to be checked, on so many samples and matches."""

    network: str
    batch: int
    count: int
    variant: str = RULE


def measure_fused(records: Records) -> None:
    """Checks first, all variants at the same time: that compiles them. An operation that fails is
    by torch in what follows."""
    on_gpu = records.device.type == "cuda"
    if not on_gpu and not os.environ.get("TRITON_INTERPRET"):
        print("fused: no CUDA device, and TRITON_INTERPRET is not set", flush=True)
        return
    jobs, others = _jobs(records.small)
    _check(records, jobs + others)
    if not on_gpu:
        return
    nets = {
        name: MSGANet.load(packaged_weights(name)).to(records.device)
        for name in NETWORKS
        if not _refused(name, records)
    }
    for name, net in nets.items():
        _breakdown(records, name, net)
    for name, net in nets.items():
        for shape in ((1, 2000), (32, 1000)):
            _compared(records, name, net, shape)
        _accuracy(records, name, net)
        _as_the_node(records, name, net)
    for name, net in nets.items():
        for shape in ((32, 500), (32, 2000), (1, 500), (1, 1000), (1, 4000), (1, 8000)):
            _compared(records, name, net, shape)
    for job in others:
        if job.network in nets:
            _variant(records, job, nets[job.network])


def _jobs(small: bool) -> tuple[list[Job], list[Job]]:
    """Of the rule, and of the other variants."""
    if small:
        return [Job(NETWORKS[1], 1, 40)], []
    # 8000 matches and batches have block sizes of their own.
    shapes = (_SINGLE, _BATCH, (1, 8000))
    rule = [Job(name, *shape) for shape in shapes for name in NETWORKS]
    others = [
        Job(name, *shape, variant)
        for shape in shapes[:2]
        for name in NETWORKS
        for variant in variants(shape[0])
        if variant != RULE and (name == NETWORKS[0] or variant in _LITE)
    ]
    return rule, others


def _refused(name: str, records: Records) -> bool:
    reason = unavailable(MSGANet.load(packaged_weights(name)), records.device)
    if reason:
        records.error("fused", f"{name}: {reason}")
    return bool(reason)


def _check(records: Records, jobs: list[Job]) -> None:
    """Of those that are not there yet, at the same time; kept one after the other."""
    missing = [job for job in jobs if not records.has("fused", _check_name(job))]
    started = time.monotonic()
    with ThreadPoolExecutor(max(1, min(len(missing), os.cpu_count() or 1))) as pool:
        running = {job: pool.submit(_checks, job, records) for job in missing}
        for job, future in running.items():
            records.measure("fused", _check_name(job), future.result, needs=0)
    print(f"fused: compiled and checked in {time.monotonic() - started:.0f} s", flush=True)


def _check_name(job: Job) -> str:
    return f"check {job.network} {job.batch}x{job.count} {job.variant}"


def _checks(job: Job, records: Records) -> Entry:
    until = time.monotonic() + max(20.0, min(90.0, records.left()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checks.jsonl"
        for _ in range(4):  # each start goes on behind what ended the one before
            left = until - time.monotonic()
            if left < 5:
                break
            command = [sys.executable, str(Path(__file__).with_name("fused_checks.py"))]
            command += [job.network, str(job.batch), str(job.count), job.variant]
            command += [str(path), str(records.device)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=left)
            except subprocess.TimeoutExpired:
                continue
            if done.returncode == 0:
                break
            print(done.stderr[-1500:], flush=True)
        lines = path.read_text().splitlines() if path.exists() else []
    found = {entry.pop("operation"): entry for entry in map(json.loads, lines)}
    if not found:
        raise RuntimeError("no operation was checked")
    return {"operations": found, "failed": _failed(found)}


def _failed(found: dict[str, Entry]) -> list[str]:
    return [
        operation
        for operation, entry in found.items()
        if "error" in entry or not entry["apart"] <= _MOST_APART
    ]


def _network(records: Records, name: str, net: MSGANet, batch: int, variant: str) -> FusedNetwork:
    """With what failed in its check by torch."""
    shapes = [_SINGLE if batch == 1 else _BATCH]
    if variant == RULE:
        shapes.append((1, 8000))
    entries = [records.entry("fused", _check_name(Job(name, *shape, variant))) for shape in shapes]
    by_torch = tuple({operation for entry in entries for operation in entry.get("failed", ())})
    if by_torch:
        print(f"fused {name} {variant}: by torch {', '.join(by_torch)}", flush=True)
    return FusedNetwork(net, Operations(by_torch, variants(batch)[variant]))


def _breakdown(records: Records, name: str, net: MSGANet) -> None:
    matches, evidence = (one.to(records.device) for one in scenes(*_SINGLE))
    valid = torch.ones(_SINGLE, dtype=torch.bool, device=records.device)
    fused = _network(records, name, net, 1, RULE)

    def work() -> Entry:
        with torch.inference_mode():
            return dearest(records, lambda: fused.judgement(matches, valid, evidence))

    records.measure("fused", f"kernels {name} 1x2000", work, needs=6)


def _accuracy(records: Records, name: str, net: MSGANet) -> None:
    """Scores and solutions of eight scenes against the layers in float64."""
    pairs = [scenes(*_SINGLE, seed=seed) for seed in range(8)]
    exact = MSGANet.load(packaged_weights(name)).double().to(records.device)

    def judged(network: Callable[..., MSGANetResult], kind: torch.dtype) -> list[MSGANetResult]:
        return [
            network(*(m.to(records.device, kind), None, e.to(records.device, kind)))
            for m, e in pairs
        ]

    def work() -> Entry:
        torch.backends.cudnn.allow_tf32 = False
        with torch.inference_mode():
            reference = judged(exact, torch.float64)
            entry = {"layers": _errors(reference, judged(net, torch.float32))}
            for variant in (RULE, "ieee", "tf32") if name == NETWORKS[0] else (RULE,):
                fused = _network(records, name, net, 1, variant)
                entry[variant] = _errors(reference, judged(fused, torch.float32))
        return entry

    records.measure("fused", f"accuracy {name} 8 scenes of 2000", work, needs=6)


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
        return milliseconds(recorded_call(forward), records.device, repeats)


def _compared(records: Records, name: str, net: MSGANet, shape: tuple[int, int]) -> None:
    """Layers and fused kernels, both recorded, without copies from and to the host."""
    batch, count = shape
    matches, evidence = (one.to(records.device) for one in scenes(batch, count))
    valid = torch.ones(batch, count, dtype=torch.bool, device=records.device)
    fused = _network(records, name, net, batch, RULE)
    repeats = 60 if batch == 1 else 10

    def work() -> Entry:
        entry: Entry = {}
        kinds: dict[str, Callable[[], object]] = {
            "fused": lambda: fused.judgement(matches, valid, evidence),
            "layers": lambda: net(matches, valid, evidence),
        }
        for kind, forward in kinds.items():
            times = _timed(records, forward, repeats)
            entry |= {f"{kind}_{key}": value for key, value in times.items()}
            entry[f"{kind}_pairs_a_second"] = batch / times["ms"] * 1e3
        return {**entry, "ratio": entry["layers_ms"] / entry["fused_ms"]}

    records.measure("fused", f"{name} {batch}x{count}", work, needs=4)


def _as_the_node(records: Records, name: str, net: MSGANet) -> None:
    """From and to the host, as a frame costs it; and how long the first call takes, which compiles
    (from the cache, here)."""
    matches, evidence = (one[0].numpy() for one in scenes(1, 2000))
    valid = np.ones(2000, dtype=bool)

    def work() -> Entry:
        entry: Entry = {}
        for choice in ("auto", "off"):
            network = RecordedNetwork(net, records.device, fused=choice)
            started = time.monotonic()
            network(matches, valid, evidence)
            entry[f"{choice}_first_s"] = time.monotonic() - started
            entry[f"{choice}_is_fused"] = network.fused
            times = milliseconds(lambda n=network: n(matches, valid, evidence), records.device, 60)  # type: ignore[misc]
            entry |= {f"{choice}_{key}": value for key, value in times.items()}
        return entry

    records.measure("fused", f"node {name} 1x2000", work, needs=6)


def _variant(records: Records, job: Job, net: MSGANet) -> None:
    """Of a variant and of the rule, one after the other."""
    matches, evidence = (one.to(records.device) for one in scenes(job.batch, job.count))
    valid = torch.ones(job.batch, job.count, dtype=torch.bool, device=records.device)
    repeats = 30 if job.batch == 1 else 10

    def work() -> Entry:
        times = []
        for kind in (job.variant, RULE):
            fused = _network(records, job.network, net, job.batch, kind)
            forward = lambda f=fused: f.judgement(matches, valid, evidence)  # noqa: E731
            times.append(_timed(records, forward, repeats)["ms"])
        return {"ms": times[0], "rule_ms": times[1], "of_the_rule": times[0] / times[1]}

    name = f"variant {job.network} {job.batch}x{job.count} {job.variant}"
    records.measure("fused", name, work, needs=3)
