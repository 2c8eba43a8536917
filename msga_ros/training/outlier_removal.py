"""The task of `MSGANet`: which of given matches are true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from msga_ros.network import MSGANet, MSGANetResult, save_checkpoint
from msga_ros.network.sdgi import compile_interactions
from msga_ros.training.batches import Batch, BatchSource
from msga_ros.training.initial_weights import start_from
from msga_ros.training.losses import LossConfig, loss, view_swap_loss

if TYPE_CHECKING:
    from msga_ros.training.config import TrainConfig


class NetworkLoss(nn.Module):
    """Network and loss as one module, so that what Fabric wraps takes and returns plain tensors."""

    def __init__(self, net: MSGANet, config: LossConfig, half_precision: bool, masks: bool) -> None:
        """`masks`: whether batches have rows that are no matches."""
        super().__init__()
        self.net = net
        self.config = config
        self.half_precision = half_precision
        self.masks = masks

    def forward(self, iteration: int, *tensors: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What to minimise, and its parts."""
        batch = Batch(*tensors)
        result = self._result(batch)
        value = loss(result, batch, self.config, iteration)
        total = value.total
        parts = {"classification": value.classification, "geometry": value.geometry}
        if self.config.view_swap:
            parts["view_swap"] = view_swap_loss(result, self._result(batch.swapped()))
            total = total + self.config.view_swap * parts["view_swap"]
        return total, {name: part.detach() for name, part in parts.items()}

    def _result(self, batch: Batch) -> MSGANetResult:
        # Not Fabric's precision, which would round coordinates and labels as well.
        device = batch.valid.device.type
        with torch.autocast(device, dtype=torch.bfloat16, enabled=self.half_precision):
            valid = batch.valid if self.masks else None
            result: MSGANetResult = self.net(batch.correspondences, valid, batch.evidence)
        return result


@dataclass(frozen=True)
class OutlierRemovalTask:
    """See `Task`."""

    config: TrainConfig
    weights_name: str = "msga_net.safetensors"

    @property
    def inputs(self) -> Sequence[tuple[str, str]]:
        return [(path, "dump") for path in self.config.batch.dumps]

    @property
    def recorded_from(self) -> int:
        return self.config.loss.geometry_from

    def network(self) -> MSGANet:
        return MSGANet(self.config.network)

    def start_from(self, net: nn.Module, path: str | Path) -> None:
        assert isinstance(net, MSGANet)
        start_from(net, path)

    def parameter_groups(self, net: nn.Module) -> list[dict[str, Any]]:
        return [{"params": list(net.parameters()), "factor": 1.0}]

    def loss_of(self, net: nn.Module, half_precision: bool) -> nn.Module:
        assert isinstance(net, MSGANet)
        masks = not self.config.batch.fill
        return NetworkLoss(net, self.config.loss, half_precision, masks)

    def fuse(self, net: nn.Module) -> None:
        assert isinstance(net, MSGANet)
        compile_interactions(net)

    def source(self, seed: int, device: torch.device) -> BatchSource:
        return BatchSource(self.config.batch, seed, device)

    def save(self, path: Path, state: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
        save_checkpoint(path, self.config.network, state, notes)
