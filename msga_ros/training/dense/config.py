"""What a training of the detector-free matcher is made of, as one YAML file says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from msga_ros.network.dense.checkpoint import save_dense_checkpoint
from msga_ros.network.dense.config import DenseConfig
from msga_ros.network.dense.net import DenseMatcher
from msga_ros.network.dense.pretrained import start_trunk
from msga_ros.training.config import RunConfig
from msga_ros.training.dense.batches import DenseBatchConfig, DenseBatchSource
from msga_ros.training.dense.initial_weights import start_dense_from
from msga_ros.training.dense.objective import DenseLoss, DenseLossConfig
from msga_ros.training.task import Task


@dataclass(frozen=True)
class DenseTrainConfig(RunConfig):
    """A stage of the training; the next one starts from its weights (`start`)."""

    network: DenseConfig = field(default_factory=DenseConfig)
    batch: DenseBatchConfig = field(default_factory=DenseBatchConfig)
    loss: DenseLossConfig = field(default_factory=DenseLossConfig)
    trunk: str = ""  # weights that the light trunk starts from: xfeat, those of the package
    frozen: tuple[str, ...] = ("backbone.trunk",)  # modules that are not trained
    slow: tuple[str, ...] = ()  # modules whose rate is a share of the others'
    slow_factor: float = 0.1
    # Modules whose batch normalisation keeps its statistics: those of what they were trained on,
    # not of rooms that were rendered.
    fixed_statistics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.trunk not in ("", "xfeat"):
            raise ValueError(f"trunk must be xfeat or empty, not {self.trunk!r}")

    def task(self) -> Task:
        return DenseTask(self)


@dataclass(frozen=True)
class DenseTask:
    """See `Task`."""

    config: DenseTrainConfig
    weights_name: str = "msga_dense.safetensors"
    recorded_from: int | None = None  # the number of matches differs from step to step

    @property
    def inputs(self) -> Sequence[tuple[str, str]]:
        batch = self.config.batch
        return [(path, "file of photographs") for path in (*batch.photographs, *batch.with_depth)]

    def network(self) -> DenseMatcher:
        net = DenseMatcher(self.config.network)
        # Channels last: convolutions at full resolution take half the time.
        net.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.config.trunk:
            start_trunk(net)
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(not name.startswith(self.config.frozen))
        return net

    def start_from(self, net: nn.Module, path: str | Path) -> None:
        assert isinstance(net, DenseMatcher)
        start_dense_from(net, path)

    def parameter_groups(self, net: nn.Module) -> list[dict[str, Any]]:
        trained = [(name, one) for name, one in net.named_parameters() if one.requires_grad]
        groups = (
            (1.0, [one for name, one in trained if not name.startswith(self.config.slow)]),
            (
                self.config.slow_factor,
                [one for name, one in trained if name.startswith(self.config.slow)],
            ),
        )
        return [{"params": some, "factor": factor} for factor, some in groups if some]

    def loss_of(self, net: nn.Module, half_precision: bool) -> nn.Module:
        assert isinstance(net, DenseMatcher)
        config = self.config
        return DenseLoss(net, config.loss, half_precision, config.frozen, config.fixed_statistics)

    def fuse(self, net: nn.Module) -> None:
        assert isinstance(net, DenseMatcher)
        net.backbone.compile()

    def source(self, seed: int, device: torch.device) -> DenseBatchSource:
        return DenseBatchSource(self.config.batch, seed, device)

    def save(self, path: Path, state: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
        save_dense_checkpoint(path, self.config.network, state, notes)
