"""`msga train`: a training run from its configuration file."""

from __future__ import annotations

import math
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from msga_ros.cli.errors import existing_file, reported_errors, training_file
from msga_ros.cli.shared import console
from msga_ros.training.tasks import load_run
from msga_ros.training.trainer import Precision, train


class PrecisionName(Enum):
    """Of `msga train`, by Lightning Fabric's names."""

    full = "32-true"
    half = "bf16-mixed"


def command(
    config: Annotated[Path, typer.Argument(help="Training configuration, YAML.")],
    max_seconds: Annotated[
        float | None,
        typer.Option(min=0, help="Stop after that long; the same command goes on from there."),
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="How many of them, on each node.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines of a cluster.")] = 1,
    precision: Annotated[
        PrecisionName, typer.Option(help="Half precision is for the network, not for the losses.")
    ] = PrecisionName.full,
) -> None:
    """Train the network, or go on with a training that was interrupted."""
    with reported_errors(goes_on=True):
        run(
            config,
            max_seconds=max_seconds,
            accelerator=accelerator,
            devices=devices,
            nodes=nodes,
            precision=precision.value,
            console=console(),
        )


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
        settings = load_run(config)
    for path, what in settings.task().inputs:
        existing_file(Path(path).expanduser(), what)
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
