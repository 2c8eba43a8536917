"""What is trained: the seam between the loop (`run.py`, `trainer.py`) and a network with its data.

The loop knows iterations, the optimiser, checkpoints, the average and the log. A task knows which
network, what its batches are, what its loss is and how its weights are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class TrainingBatch(Protocol):
    """One batch, on the device of its source."""

    @property
    def samples(self) -> int:
        """How many pairs."""

    def tensors(self) -> tuple[Tensor, ...]:
        """What the loss takes behind the iteration."""


class BatchMaker(Protocol):
    """Batches that depend on the iteration alone."""

    def batch(self, iteration: int) -> TrainingBatch:
        """The batch of one iteration."""


class Task(Protocol):
    """A network to train."""

    @property
    def weights_name(self) -> str:
        """Name of the file of exported weights."""

    @property
    def inputs(self) -> Sequence[tuple[str, str]]:
        """Files that it reads: path, and what it is in words."""

    @property
    def recorded_from(self) -> int | None:
        """The iteration at which the loss changes its form, where the work of a step on a GPU may
        be recorded and repeated (`RecordedStep`); None where it may not."""

    def network(self) -> Any:
        """A new one (`nn.Module`), as a training from nothing starts."""

    def start_from(self, net: nn.Module, path: str | Path) -> None:
        """Give it the weights of a file; `CheckpointError` where they do not fit."""

    def parameter_groups(self, net: nn.Module) -> list[dict[str, Any]]:
        """Of the optimiser, each with `factor`: its rate over that of the schedule."""

    def loss_of(self, net: nn.Module, half_precision: bool) -> nn.Module:
        """Network and loss as one module: `LossOf` in `step.py`."""

    def fuse(self, net: nn.Module) -> None:
        """Compile what is worth it (`torch.compile`)."""

    def source(self, seed: int, device: torch.device) -> BatchMaker:
        """Where batches come from."""

    def save(self, path: Path, state: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
        """Write weights for the pipeline."""
