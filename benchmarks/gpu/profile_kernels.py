"""Which kernels take the time of a pair, and of a step of training."""

from __future__ import annotations

import tempfile
from collections.abc import Callable

import torch
from network_speed import inputs
from records import Entry, Records, synchronise
from training_speed import settings

from msga_ros.network import MSGANet, packaged_weights
from msga_ros.training.run import Run
from msga_ros.training.trainer import make_fabric

_SHOWN = 25


def measure_kernels(records: Records) -> None:
    """The dearest kernels of one pair of 2000 matches, and of one step of 32 x 1000."""
    for name in ("msga_net", "msga_net_lite"):
        records.measure("kernels", f"{name} 1x2000", lambda n=name: _pair(records, n), needs=10)  # type: ignore[misc]
    records.measure("kernels", "msga_net training", lambda: _step(records), needs=15)


def _pair(records: Records, name: str) -> Entry:
    net = MSGANet.load(packaged_weights(name)).to(records.device)
    count = 128 if records.small else 2000
    matches, evidence = inputs(1, count, records.device)
    valid = torch.ones(1, count, dtype=torch.bool, device=records.device)
    with torch.inference_mode():
        return dearest(records, lambda: net(matches, valid, evidence))


def _step(records: Records) -> Entry:
    shape = (2, 100) if records.small else (32, 1000)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(
            settings("msga_net", shape, folder),
            make_fabric(records.device.type),
            half_precision=records.device.type == "cuda",
        )
        batch = run.source.batch(0)
        step = getattr(run.take_step, "eager", run.take_step)
        return dearest(records, lambda: step(0, batch))


def dearest(records: Records, work: Callable[[], object]) -> Entry:
    """Calls and microseconds of each kernel that `work` launches, the dearest first."""
    on_gpu = records.device.type == "cuda"
    for _ in range(3):
        work()
    synchronise(records.device)
    kind = torch.profiler.ProfilerActivity
    with torch.profiler.profile(activities=[kind.CUDA] if on_gpu else [kind.CPU]) as profile:
        work()
        synchronise(records.device)
    rows = [
        (event.key[:90], event.count, event.self_device_time_total or event.self_cpu_time_total)
        for event in profile.key_averages()
    ]
    rows.sort(key=lambda row: -row[2])
    total = sum(row[2] for row in rows)
    for key, count, took in rows[:_SHOWN]:
        print(f"{took:9.0f} us {count:5d} {key}", flush=True)
    kernels = {key: [count, round(took)] for key, count, took in rows[:_SHOWN]}
    return {"total_us": total, "launches": sum(row[1] for row in rows), "dearest": kernels}
