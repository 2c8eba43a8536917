"""Trainings in the time that is left, a share each; their schedules end when their time does."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from records import Entry, Records, synchronise

from msga_ros.training.config import TrainConfig
from msga_ros.training.run import Run
from msga_ros.training.trainer import make_fabric

_FIRST = 100  # iterations before the clock starts: every shape has been compiled and recorded
_SAVED_EVERY = 60.0  # seconds


def continue_trainings(records: Records, configurations: list[str], folder: Path) -> None:
    """Each of `configurations` is FILE.yaml=SHARE; runs go to subfolders of `folder`, from which a
    later call goes on."""
    shares = [float(entry.partition("=")[2] or 1) for entry in configurations]
    reserve = 8.0 if records.device.type == "cuda" else 1.0  # each, for what comes before the clock
    budget = records.left() - reserve * len(configurations)
    for entry, share in zip(configurations, shares, strict=True):
        path, seconds = entry.partition("=")[0], budget * share / sum(shares)
        records.measure(
            "continuation",
            f"{Path(path).stem} {seconds:.0f} s",
            lambda p=path, s=seconds: _train(records, p, s, folder),  # type: ignore[misc]
            needs=5,
        )


def _train(records: Records, path: str, seconds: float, folder: Path) -> Entry:
    until = time.monotonic() + seconds
    config = TrainConfig.load(path)
    config = dataclasses.replace(config, output=str(folder / Path(path).stem))
    on_gpu = records.device.type == "cuda"
    try:
        run = _started(config, records, compiled=on_gpu)
    except Exception as error:  # of the compiler, whatever it is: train without it
        print(f"{path}: not compiled ({type(error).__name__}: {str(error)[:2000]})", flush=True)
        run = _started(config, records, compiled=False)
    optimiser = dataclasses.replace(config.optimiser, schedule="clock")
    run.config = dataclasses.replace(config, optimiser=optimiser)
    run.clock.start(until - time.monotonic())
    started, before = time.monotonic(), run.iteration
    saved = started
    while time.monotonic() < until:
        run.step()
        if time.monotonic() - saved > _SAVED_EVERY:
            run.save()
            run.export()
            saved = time.monotonic()
            print(f"{path}: {run.figures}", flush=True)
    synchronise(records.device)
    step = (time.monotonic() - started) / max(1, run.iteration - before)
    run.save()
    run.log.close()
    run.export()
    return {"ms_a_step": 1e3 * step, "iterations": float(run.iteration), **run.figures}


def _started(config: TrainConfig, records: Records, compiled: bool) -> Run:
    """A run after its first iterations, which compile and record."""
    fabric = make_fabric(records.device.type)
    run = Run(config, fabric, half_precision=records.device.type == "cuda", compiled=compiled)
    run.resume()
    for _ in range(2 if records.small else _FIRST):
        run.step()
    synchronise(records.device)
    return run
