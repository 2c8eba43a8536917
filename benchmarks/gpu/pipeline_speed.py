"""Around the network: matching on the device, one stream a camera, and the stages of a frame while
the device is busy with something else."""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch
from records import Entry, Records, milliseconds

from msga_ros.frontend.base import Features
from msga_ros.frontend.device_matching import DeviceDescriptors, nearest_on_device
from msga_ros.frontend.matching import match_features
from msga_ros.network import MSGANet, packaged_weights
from msga_ros.network.cuda_graph import RecordedNetwork

BUSY = "import torch\na = torch.randn(4096, 4096, device='cuda')\nwhile True:\n    for _ in range(20):\n        a @ a\n    torch.cuda.synchronize()"  # noqa: E501


def measure_matching(records: Records) -> None:
    """Descriptors of both views to nearest neighbours: NumPy, and the device with the copies."""
    for kind in ("float", "binary"):
        for count in (200,) if records.small else (1000, 2000, 8000):
            records.measure(
                "matching",
                f"{kind} {count}",
                lambda k=kind, n=count: _matching(records, k, n),  # type: ignore[misc]
                needs=15,
            )


def _matching(records: Records, kind: str, count: int) -> Entry:
    generator = np.random.default_rng(0)
    views = [_features(generator, kind, count) for _ in range(2)]
    device = records.device

    def uploaded() -> list[DeviceDescriptors]:
        return [DeviceDescriptors.upload(view.descriptors, device) for view in views]

    resident = uploaded()

    def neighbours(first: DeviceDescriptors, second: DeviceDescriptors) -> list[object]:
        found = nearest_on_device(first, second)
        return [part.cpu() for part in (found.nearest, found.best, found.second, found.mutual)]

    def stream() -> list[object]:  # the view before is there already
        new = DeviceDescriptors.upload(views[1].descriptors, device)
        return neighbours(resident[0], new)

    repeats = 3 if records.small else 20
    on_cpu = milliseconds(lambda: match_features(*views, 1.0, False), torch.device("cpu"), 3)
    return {
        "numpy_ms": on_cpu["ms"],
        "both_copied_ms": milliseconds(lambda: neighbours(*uploaded()), device, repeats)["ms"],
        "one_copied_ms": milliseconds(stream, device, repeats)["ms"],
        "resident_ms": milliseconds(lambda: neighbours(*resident), device, repeats)["ms"],
        "megabytes_a_view": views[0].descriptors.nbytes / 1e6,
    }


def _features(generator: np.random.Generator, kind: str, count: int) -> Features:
    if kind == "binary":
        descriptors: np.ndarray = generator.integers(0, 256, (count, 32), np.uint8)
    else:
        descriptors = np.abs(generator.normal(size=(count, 128))).astype(np.float32)
        descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    keypoints = generator.uniform(0, 640, (count, 2)).astype(np.float32)
    return Features(keypoints, np.ones(count, np.float32), descriptors, (640, 640))


def measure_streams(records: Records) -> None:
    """Pairs a second of one, two and four threads, each with a recorded network of its own."""
    if records.device.type != "cuda":
        return
    for threads in (1, 2, 4):
        records.measure(
            "streams",
            f"msga_net 2000 matches, {threads} cameras",
            lambda n=threads: _streams(records, n),  # type: ignore[misc]
            needs=15,
        )


def _streams(records: Records, threads: int) -> Entry:
    generator = np.random.default_rng(0)
    matches = generator.uniform(-0.5, 0.5, (2000, 4)).astype(np.float32)
    evidence = generator.random((2000, 5), np.float32)
    valid = np.ones(2000, bool)
    networks = [
        RecordedNetwork(MSGANet.load(packaged_weights("msga_net")), records.device)
        for _ in range(threads)
    ]
    for network in networks:
        network(matches, valid, evidence)
    latencies: list[float] = []
    until = time.perf_counter() + 2.0

    def camera(network: RecordedNetwork) -> None:
        while time.perf_counter() < until:
            started = time.perf_counter()
            network(matches, valid, evidence)
            latencies.append((time.perf_counter() - started) * 1e3)

    workers = [threading.Thread(target=camera, args=(network,)) for network in networks]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {"pairs_a_second": len(latencies) / 2.0, "ms": statistics.median(latencies)}


def measure_stages(records: Records) -> None:
    """Stages of a frame of the rendered sequence, with the device idle and with it busy."""
    try:
        import poselib  # noqa: F401
    except ImportError:
        print("stages: PoseLib is not installed", flush=True)
        return
    for weights in ("msga_net",):
        for frontend in ("sift", "orb"):
            for busy in (False, True) if records.device.type == "cuda" else (False,):
                name = f"{frontend} {weights}{', device busy' if busy else ''}"
                records.measure(
                    "stages",
                    name,
                    lambda f=frontend, w=weights, b=busy: _stages(records, f, w, b),  # type: ignore[misc]
                    needs=20,
                )


def _stages(records: Records, frontend: str, weights: str, busy: bool) -> Entry:
    from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence
    from msga_ros.two_view.pipeline import TwoViewPipeline

    frames = list(SyntheticSequence(SyntheticOptions(frames=3 if records.small else 6)))
    pipe = TwoViewPipeline.from_config(
        **{
            "frontend.name": frontend,
            "frontend.max_keypoints": 200 if records.small else 2000,
            "network.weights": weights,
            "network.device": str(records.device),
        }
    )
    pipe.warm_up((640, 480))
    load = None
    if busy:
        load = subprocess.Popen([sys.executable, "-c", BUSY], cwd=Path(__file__).parent)
        time.sleep(4)
    try:
        timings: dict[str, list[float]] = {}
        for turn in range(3):
            for frame in frames:
                result = pipe(*frame.images.values(), *frame.cameras.values())
                for stage, took in result.timings.items() if turn else ():
                    timings.setdefault(stage, []).append(took)
    finally:
        if load is not None:
            load.kill()
            load.wait()
    entry: Entry = {f"{stage}_ms": statistics.median(took) for stage, took in timings.items()}
    entry["network_p99_ms"] = float(np.percentile(timings["network"], 99))
    return {**entry, "matches": result.counts.matched, "device": str(pipe.device)}
