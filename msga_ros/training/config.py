"""What a training run is made of, as one YAML file says it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from msga_ros.configuration.yaml_dataclass import ConfigError, build, read_yaml
from msga_ros.network import MSGANetConfig
from msga_ros.training.batches import BatchConfig
from msga_ros.training.losses import LossConfig
from msga_ros.training.task import Task

Kind = TypeVar("Kind", bound="RunConfig")


@dataclass(frozen=True)
class OptimiserConfig:
    """Adam with a linear warm-up, and then a cosine to zero or steps."""

    iterations: int = 5000  # at most, where the clock says when it ends
    learning_rate: float = 1e-3
    warm_up: int = 200  # iterations of a linear rise
    # Or step; or clock: a cosine over the time that the training is given (`max_seconds`).
    schedule: str = "cosine"
    halve_at: tuple[int, ...] = ()  # step: iterations that halve the rate
    clip: float = 1.0  # largest norm of the gradient; 0: any
    # Decay of the moving average of the weights that is exported; 0: the last weights themselves.
    average: float = 0.999

    def __post_init__(self) -> None:
        if self.schedule not in ("cosine", "step", "clock"):
            raise ValueError(f"schedule must be cosine, step or clock, not {self.schedule!r}")
        if self.halve_at and self.schedule != "step":
            raise ValueError("halve_at is for the schedule step")
        if not 0 <= self.average < 1:
            raise ValueError(f"average must be 0 or between 0 and 1, not {self.average}")
        if self.clip < 0:
            raise ValueError(f"clip must not be negative, not {self.clip}")


@dataclass(frozen=True)
class RunConfig:
    """What every training run has; `TrainConfig` and `DenseTrainConfig` add what is trained."""

    output: str = "runs/train"
    start: str = ""  # weights (path, or set in the package); inputs new to them start at zero
    seed: int = 0
    checkpoint_every: int = 100  # iterations
    checkpoint_seconds: float = 60.0  # or so long after the last one, whichever is first
    tensorboard: bool = True  # a log for TensorBoard beside the CSV file, where it is installed
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)

    @classmethod
    def load(cls: type[Kind], path: str | Path) -> Kind:
        """Read a YAML file; relative paths of data are relative to the working directory.

        Raises:
            ValueError: an unknown entry; the message names it.
        """
        return cls.from_entries(read_yaml(Path(path)), str(path))

    @classmethod
    def from_entries(cls: type[Kind], document: Mapping[str, object], where: str) -> Kind:
        """A run from the entries of such a file; `where` is for the messages.

        Raises:
            ValueError: as `load`.
        """
        try:
            config: Kind = build(cls, "", document)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
        return config

    def task(self) -> Task:
        """What the run trains."""
        raise NotImplementedError


@dataclass(frozen=True)
class TrainConfig(RunConfig):
    """A training of `MSGANet`; one YAML file."""

    network: MSGANetConfig = field(default_factory=MSGANetConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    def task(self) -> Task:
        from msga_ros.training.outlier_removal import OutlierRemovalTask

        return OutlierRemovalTask(self)


def learning_rate(settings: OptimiserConfig, iteration: int, share: float = 0.0) -> float:
    """Linear warm-up; then half a cosine to zero, or half as much from every step on.

    `share`: of the time that is over, for the schedule clock.
    """
    if settings.schedule == "clock":
        warm = min(1.0, (iteration + 1) / max(1, settings.warm_up))
        return settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
    if iteration < settings.warm_up:
        return settings.learning_rate * (iteration + 1) / settings.warm_up
    if settings.schedule == "step":
        return settings.learning_rate * 0.5 ** sum(iteration >= i for i in settings.halve_at)
    done = (iteration - settings.warm_up) / max(1, settings.iterations - settings.warm_up)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
