"""Training: pairs a second of each configuration, eager and recorded, in float32 and bfloat16, and
of what makes the batches."""

from __future__ import annotations

import tempfile
import time

import torch
from records import Entry, Records, synchronise

from msga_ros.network import MSGANet, packaged_weights
from msga_ros.training.batches import BatchConfig, BatchSource
from msga_ros.training.config import OptimiserConfig, TrainConfig
from msga_ros.training.run import Run
from msga_ros.training.step import RecordedStep
from msga_ros.training.trainer import make_fabric

NETWORKS = ("msga_net", "msga_net_lite")  # in the structure of the packaged weights


def measure_training(records: Records) -> None:
    """Batches of 32 x 1000 matches, from synthetic scenes, which need no data."""
    shape = (2, 100) if records.small else (32, 1000)
    records.measure("training", "synthetic batches", lambda: _batches(records, shape), needs=10)
    for name in NETWORKS:
        for half in (False, True):
            kinds = _kinds(records)
            for kind in kinds:
                records.measure(
                    "training",
                    f"{name} {'bfloat16' if half else 'float32'} {kind}",
                    lambda n=name, h=half, k=kind: _training(records, n, h, k, shape),  # type: ignore[misc]
                    needs=45 if kind == "compiled" else 20,
                )


def _kinds(records: Records) -> tuple[str, ...]:
    if records.device.type != "cuda":
        return ("eager",)
    return ("eager", "recorded", "compiled") if records.thorough else ("recorded",)


def settings(name: str, shape: tuple[int, int], folder: str) -> TrainConfig:
    """Of a run on synthetic batches of `shape` (samples, matches), with its files in `folder`."""
    samples, count = shape
    return TrainConfig(
        output=folder,
        tensorboard=False,
        network=MSGANet.load(packaged_weights(name)).config,
        batch=BatchConfig(matches=samples * count, sizes=(count,)),
        optimiser=OptimiserConfig(iterations=10**6),
    )


def _training(records: Records, name: str, half: bool, kind: str, shape: tuple[int, int]) -> Entry:
    with tempfile.TemporaryDirectory() as folder:
        fabric = make_fabric(records.device.type)
        run = Run(
            settings(name, shape, folder), fabric, half_precision=half, compiled=kind == "compiled"
        )
        if isinstance(run.take_step, RecordedStep) and kind == "eager":
            run.take_step = run.take_step.eager
        batch = run.source.batch(0)
        torch.cuda.reset_peak_memory_stats() if records.device.type == "cuda" else None
        steps = 2 if records.small else 30
        for iteration in range(6):
            run.take_step(iteration, batch)
        synchronise(records.device)
        started = time.perf_counter()
        for iteration in range(steps):
            figures = run.take_step(iteration, batch)
        synchronise(records.device)
        seconds = (time.perf_counter() - started) / steps
    entry: Entry = {
        "ms_a_step": 1e3 * seconds,
        "pairs_a_second": shape[0] / seconds,
        "loss": float(figures["total"]),
    }
    if records.device.type == "cuda":
        entry["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return entry


def _batches(records: Records, shape: tuple[int, int]) -> Entry:
    samples, count = shape
    source = BatchSource(
        BatchConfig(matches=samples * count, sizes=(count,)), seed=0, device=records.device
    )
    source.batch(0)
    synchronise(records.device)
    started = time.perf_counter()
    for iteration in range(10):
        source.batch(iteration)
    synchronise(records.device)
    return {"ms_a_batch": 100 * (time.perf_counter() - started)}
