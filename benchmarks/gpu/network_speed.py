"""The network alone: eager, recorded, compiled, in half precision, by ONNX Runtime, and the plain
formulation, with what limits each."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_network import published_structure, scene_like_matches
from plain_formulation import plain_forward
from records import Entry, Records, milliseconds
from torch import Tensor
from traffic import traffic_of

from msga_ros.network import MSGANet, packaged_weights
from msga_ros.network.cuda_graph import RecordedNetwork

NETWORKS = ("msga_net", "msga_net_lite")


def measure_network(records: Records) -> None:
    """Batch 1 and 32, 500 to 8000 matches; in half precision, and beside the plain formulation, at
    2000 matches alone unless all is asked for."""
    sizes = (128, 256) if records.small else (500, 1000, 2000, 4000, 8000)
    middle = _middle(records)
    for name in NETWORKS:
        net = MSGANet.load(packaged_weights(name)).to(records.device)
        for count in sizes:
            _single(records, name, net, count, records.thorough or count == middle)
        for count in sizes[:3]:
            _batched(records, name, net, count, records.thorough or count == middle)
    plain = published_structure().to(records.device)
    factored = published_structure().to(records.device).fold()
    for count in sizes if records.thorough else (middle,):
        _plain(records, plain, factored, count)


def measure_onnx(records: Records) -> None:
    """By ONNX Runtime, where it computes on the device that is meant."""
    package = "onnxruntime-gpu" if records.device.type == "cuda" else "onnxruntime"
    try:
        version(package)
    except PackageNotFoundError:  # said before what takes a minute to import
        print(f"onnx: {package} is not installed", flush=True)
        return
    count = _middle(records)
    for name in NETWORKS:
        records.measure(
            "onnx",
            f"{name} 1x{count}",
            lambda n=name: _onnx(records, n, count),  # type: ignore[misc]
            needs=30,
        )


def measure_compiled(records: Records) -> None:
    """Compiled by `torch.compile` and recorded: a minute each."""
    for name in NETWORKS:
        net = MSGANet.load(packaged_weights(name)).to(records.device)
        _compiled(records, name, net, _middle(records))


def _middle(records: Records) -> int:
    return 256 if records.small else 2000


def inputs(batch: int, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Matches `(batch, count, 4)` and evidence `(batch, count, 5)`."""
    generator = torch.Generator().manual_seed(1)
    matches = scene_like_matches(count).expand(batch, -1, -1)
    noise = 1e-3 * torch.randn(matches.shape, generator=generator)
    evidence = torch.rand(batch, count, 5, generator=generator)
    return (matches + noise).to(device), evidence.to(device)


def _single(records: Records, name: str, net: MSGANet, count: int, all_kinds: bool) -> None:
    matches, evidence = inputs(1, count, records.device)
    repeats = 3 if records.small else 30

    def eager() -> Entry:
        with torch.inference_mode():
            times = milliseconds(lambda: net(matches, None, evidence), records.device, repeats)
            return {**times, **traffic_of(lambda: net(matches, None, evidence))}

    if all_kinds:
        records.measure("network", f"{name} eager 1x{count}", eager, needs=5)
    if records.device.type != "cuda":
        return
    on_host = matches[0].cpu().numpy(), np.ones(count, bool), evidence[0].cpu().numpy()
    kinds = {
        "fused": {"fused": "auto"},
        "recorded": {"fused": "off"},
        **({"recorded bfloat16": {"half": True}} if all_kinds else {}),
    }
    for kind, choices in kinds.items():

        def played(choices: dict[str, Any] = choices) -> Entry:
            network = RecordedNetwork(copy.deepcopy(net), records.device, **choices)
            network.prepare(count)
            times = milliseconds(lambda: network(*on_host), records.device, 5 * repeats)
            return {**times, "by_fused_kernels": network.fused}

        records.measure("network", f"{name} {kind} 1x{count}", played, needs=10)


def _batched(records: Records, name: str, net: MSGANet, count: int, half_too: bool) -> None:
    batch = 2 if records.small else 32
    matches, evidence = inputs(batch, count, records.device)
    repeats = 3 if records.small else 10

    def work(half: bool) -> Callable[[], Entry]:
        def run() -> Entry:
            with (
                torch.inference_mode(),
                torch.autocast(records.device.type, torch.bfloat16, enabled=half),
            ):
                forward = lambda: net(matches, None, evidence)  # noqa: E731
                call = recorded_call(forward) if records.device.type == "cuda" else forward
                times = milliseconds(call, records.device, repeats)
            return {**times, "pairs_a_second": batch / times["ms"] * 1e3}

        return run

    records.measure("network", f"{name} float32 {batch}x{count}", work(False), needs=10)
    if half_too and records.device.type == "cuda":
        records.measure("network", f"{name} bfloat16 {batch}x{count}", work(True), needs=10)


def recorded_call(forward: Callable[[], object]) -> Callable[[], object]:
    """The same as a CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            forward()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = forward()

    def replay() -> object:
        graph.replay()
        return kept

    return replay


def _plain(records: Records, plain: MSGANet, factored: MSGANet, count: int) -> None:
    matches, _ = inputs(1, count, records.device)
    repeats = 3 if records.small else 20

    def work() -> Entry:
        with torch.inference_mode():
            plain_ms = milliseconds(lambda: plain_forward(plain, matches), records.device, repeats)
            ours = milliseconds(lambda: factored(matches), records.device, repeats)
            forward = lambda: factored(matches)  # noqa: E731
            entry = {"plain_ms": plain_ms["ms"], "factored_ms": ours["ms"]}
            if records.device.type == "cuda":
                call = recorded_call(forward)
                entry["recorded_ms"] = milliseconds(call, records.device, repeats)["ms"]
        return entry

    records.measure("network", f"published structure 1x{count}", work, needs=10)


def _compiled(records: Records, name: str, net: MSGANet, count: int) -> None:
    if records.small or records.device.type != "cuda":
        return
    matches, evidence = inputs(1, count, records.device)

    def work(half: bool) -> Callable[[], Entry]:
        def run() -> Entry:
            compiled = torch.compile(net, dynamic=False, fullgraph=True)
            started = time.monotonic()
            with (
                torch.no_grad(),
                torch.autocast("cuda", torch.bfloat16, enabled=half, cache_enabled=False),
            ):
                forward = lambda: compiled(matches, None, evidence)  # noqa: E731
                forward()
                compiling = time.monotonic() - started
                eager = milliseconds(forward, records.device, 30)["ms"]
                times = milliseconds(recorded_call(forward), records.device, 100)
            return {**times, "without_graph_ms": eager, "compile_s": compiling}

        return run

    records.measure("compiled", f"{name} 1x{count}", work(False), needs=60)
    if records.thorough:
        records.measure("compiled", f"{name} bfloat16 1x{count}", work(True), needs=60)


def _onnx(records: Records, name: str, count: int) -> Entry:
    import onnxruntime

    from msga_ros.network.onnx_export import export_onnx

    on_gpu = records.device.type == "cuda"
    providers = ["CUDAExecutionProvider" if on_gpu else "CPUExecutionProvider"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        net = MSGANet.load(packaged_weights(name))
        export_onnx(net, path)
        session = onnxruntime.InferenceSession(str(path), providers=providers)
        matches, evidence = inputs(1, count, torch.device("cpu"))
        feed = {"correspondences": matches.numpy(), "evidence": evidence.numpy()}
        columns = {entry.name: entry.shape[2] for entry in session.get_inputs()}
        feed = {entry: feed[entry][..., :width] for entry, width in columns.items()}
        times = milliseconds(lambda: session.run(None, feed), torch.device("cpu"), 20)
    return {**times, "provider": providers[0]}
