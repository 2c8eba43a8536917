"""Trains a network, on any device through Lightning Fabric; a run that was cut off goes on.

Batches depend on (seed, iteration) only and the learning rate on the iteration only, so a run that
was cut off goes on from its last checkpoint as if nothing had happened. (By the schedule `clock`
the rate depends on the time as well: such a run goes on, but not to the same weights.)
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Literal

from lightning_fabric import Fabric, seed_everything

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.terminal.progress import progress_bar
from msga_ros.training.config import RunConfig
from msga_ros.training.run import Run
from msga_ros.training.tasks import load_run

Precision = Literal["32-true", "bf16-mixed"]

_NOT_LOSSES = ("iteration", "gradient_norm", "learning_rate", "seconds", "pairs_per_second")


def train(
    config: RunConfig | str | Path,
    max_seconds: float = math.inf,
    accelerator: str = "auto",
    devices: int = 1,
    precision: Precision = "32-true",
    progress: bool = True,
    nodes: int = 1,
    compiled: bool = False,
) -> Path:
    """Train, or go on with, the run that `config` names.

    Args:
        config: the run, or the path of its YAML file.
        max_seconds: stop after that long with a checkpoint; the next call goes on from it.
        accelerator, devices, nodes: as Lightning Fabric takes them; `devices` of each node. Every
            device has batches of its own.
        precision: half precision is for the features of the network alone.
        progress: show a bar.
        compiled: fuse what the edges of the graphs go through (`torch.compile`): a minute at the
            start, and on a GPU much less memory traffic.

    Returns:
        Path of the exported weights (`.safetensors`, the moving average).

    Raises:
        ConfigError: the schedule `clock` without `max_seconds`.
    """
    config = config if isinstance(config, RunConfig) else load_run(config)
    if config.optimiser.schedule == "clock" and math.isinf(max_seconds):
        raise ConfigError("the schedule clock needs max_seconds: how long the training may take")
    fabric = make_fabric(accelerator, devices, nodes)
    seed_everything(config.seed, verbose=False)
    run = Run(config, fabric, half_precision=precision == "bf16-mixed", compiled=compiled)
    run.resume()
    if run.iteration >= config.optimiser.iterations:
        return run.export()
    run.clock.start(max_seconds)
    started = time.monotonic()
    with progress_bar(shown=progress and fabric.is_global_zero) as bar:
        task = bar.add_task("training", total=config.optimiser.iterations, completed=run.iteration)
        saved = time.monotonic()
        while run.iteration < config.optimiser.iterations:
            figures = run.step()
            if figures:
                bar.update(task, completed=run.iteration, description=_shown(figures))
            out_of_time = time.monotonic() - started > max_seconds
            if fabric.world_size > 1:  # all of them stop together
                out_of_time = fabric.broadcast(out_of_time)
            old = time.monotonic() - saved > config.checkpoint_seconds
            if run.iteration % config.checkpoint_every == 0 or old or out_of_time:
                run.save()
                run.export()
                saved = time.monotonic()
            if out_of_time:
                break
    run.save()
    run.log.close()
    return run.export()


def _shown(figures: dict[str, float]) -> str:
    """The loss and its parts, on a line."""
    parts = {name: value for name, value in figures.items() if name not in _NOT_LOSSES}
    words = [f"{name} {value:.3f}" for name, value in parts.items()]
    return " ".join(["loss", *words]).replace("loss total", "loss", 1)


def make_fabric(accelerator: str = "auto", devices: int = 1, nodes: int = 1) -> Fabric:
    """The devices of a run, their processes started; the arguments are those of `train`."""
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes)
    fabric.launch()
    return fabric
