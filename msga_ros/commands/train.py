"""`msga train`: a training run from its configuration file."""

from __future__ import annotations

import math
from pathlib import Path

from rich.console import Console

from msga_ros.commands.errors import existing_file, training_file
from msga_ros.training.trainer import Precision, TrainConfig, train


def run(
    config: Path,
    *,
    max_seconds: float | None,
    accelerator: str,
    devices: int,
    nodes: int,
    precision: Precision,
    console: Console,
) -> Path:
    """Train, or go on with, the run that `config` describes; the path of the exported weights.

    Raises:
        UsageError: the file is missing, or an entry is unknown or out of range.
    """
    existing_file(config, "training configuration")
    with training_file(config):
        settings = TrainConfig.load(config)
    for dump in settings.batch.dumps:
        existing_file(Path(dump).expanduser(), "dump")
    weights = train(
        settings,
        max_seconds=math.inf if max_seconds is None else max_seconds,
        accelerator=accelerator,
        devices=devices,
        nodes=nodes,
        precision=precision,
    )
    console.print(f"weights: {weights}", highlight=False, soft_wrap=True)
    return weights
