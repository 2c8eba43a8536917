"""Training loop: any device through Lightning Fabric, exact resume, atomic checkpoints.

Batches depend on (seed, iteration) only and the learning rate on the iteration only, so a run that
was cut off goes on from its last checkpoint as if nothing had happened.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from pathlib import Path
from typing import Literal

import torch
from lightning_fabric import Fabric, seed_everything
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import safe_open
from torch import Tensor, nn

from msga_ros.network import CheckpointError, MSGANet, MSGANetResult, save_checkpoint
from msga_ros.network.checkpoint import find_weights, read_checkpoint
from msga_ros.training.batches import Batch, BatchSource
from msga_ros.training.config import TrainConfig, learning_rate
from msga_ros.training.log import TrainingLog
from msga_ros.training.losses import LossConfig, loss, view_swap_loss
from msga_ros.training.prefetch import Prefetched

Precision = Literal["32-true", "bf16-mixed"]


def train(
    config: TrainConfig | str | Path,
    max_seconds: float = math.inf,
    accelerator: str = "auto",
    devices: int = 1,
    precision: Precision = "32-true",
    progress: bool = True,
    nodes: int = 1,
) -> Path:
    """Train, or go on with, the run that `config` names.

    Args:
        config: the run, or the path of its YAML file.
        max_seconds: stop after that long with a checkpoint; the next call goes on from it.
        accelerator, devices, nodes: as Lightning Fabric takes them; `devices` of each node. Every
            device has batches of its own.
        precision: half precision is for the features of the network alone.
        progress: show a bar.

    Returns:
        Path of the exported weights (`.safetensors`, the moving average).
    """
    config = config if isinstance(config, TrainConfig) else TrainConfig.load(config)
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
    )
    fabric.launch()
    seed_everything(config.seed, verbose=False)
    run = _Run(config, fabric, half_precision=precision == "bf16-mixed")
    run.resume()
    if run.iteration >= config.optimiser.iterations:
        return run.export()
    started = time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not (progress and fabric.is_global_zero)) as bar:
        task = bar.add_task("training", total=config.optimiser.iterations, completed=run.iteration)
        while run.iteration < config.optimiser.iterations:
            figures = run.step()
            bar.update(
                task,
                completed=run.iteration,
                description=f"loss {figures['total']:.3f} geometry {figures['geometry']:.3f}",
            )
            out_of_time = time.monotonic() - started > max_seconds
            if fabric.world_size > 1:  # all of them stop together
                out_of_time = fabric.broadcast(out_of_time)
            if run.iteration % config.checkpoint_every == 0 or out_of_time:
                run.save()
            if out_of_time:
                break
    run.save()
    run.log.close()
    return run.export()


class _LossOf(nn.Module):
    """Network and loss as one module, so that what Fabric wraps takes and returns plain tensors."""

    def __init__(self, net: MSGANet, config: LossConfig, half_precision: bool) -> None:
        super().__init__()
        self.net = net
        self.config = config
        self.half_precision = half_precision

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
            result: MSGANetResult = self.net(batch.correspondences, batch.valid, batch.evidence)
        return result


class _Run:
    """Network, optimiser, average and log of one run, at one iteration."""

    def __init__(self, config: TrainConfig, fabric: Fabric, half_precision: bool) -> None:
        self.config = config
        self.fabric = fabric
        self.iteration = 0
        self.folder = Path(config.output)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.net = MSGANet(config.network)
        if config.start and not self.checkpoint.exists():
            start_from(self.net, config.start)
        optimiser = torch.optim.Adam(self.net.parameters(), lr=config.optimiser.learning_rate)
        self.loss_of, self.optimiser = fabric.setup(
            _LossOf(self.net, config.loss, half_precision), optimiser
        )
        self.average = {n: v.detach().clone() for n, v in self._state().items()}
        seed = config.seed + 7919 * fabric.global_rank
        source = BatchSource(config.batch, seed, fabric.device)
        # On a CPU a second thread would take the cores from the first.
        self.source = source if fabric.device.type == "cpu" else Prefetched(source)
        self.log = TrainingLog(self.folder, config.tensorboard)

    @property
    def checkpoint(self) -> Path:
        return self.folder / "last.pt"

    @property
    def weights(self) -> Path:
        return self.folder / "msga_net.safetensors"

    def resume(self) -> None:
        """Go on from the last checkpoint, if there is one."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, map_location=self.fabric.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average = state["average"]
        self.iteration = state["iteration"]

    def step(self) -> dict[str, float]:
        """One iteration; its figures."""
        settings = self.config.optimiser
        started = time.monotonic()
        rate = learning_rate(settings, self.iteration)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.loss_of.train()
        batch = self.source.batch(self.iteration)
        total, parts = self.loss_of(self.iteration, *batch.tensors())
        self.optimiser.zero_grad(set_to_none=True)
        self.fabric.backward(total)
        norm = self._clip(settings.clip or math.inf)
        if math.isfinite(norm):
            self.optimiser.step()
        self.iteration += 1
        self._update_average()
        seconds = time.monotonic() - started
        figures = {
            "iteration": float(self.iteration),
            "total": float(total.detach()),
            **{name: float(part) for name, part in parts.items()},
            "gradient_norm": norm,
            "learning_rate": rate,
            "seconds": seconds,
            "pairs_per_second": len(batch.valid) * self.fabric.world_size / seconds,
        }
        if self.fabric.is_global_zero:
            self.log.add(figures)
        return figures

    def _clip(self, largest: float) -> float:
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), largest)
        return float(norm)

    @torch.no_grad()
    def _update_average(self) -> None:
        # Shorter memory at first, so that the average does not drag the random start along.
        decay = min(self.config.optimiser.average, (1 + self.iteration) / (10 + self.iteration))
        for name, value in self._state().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - decay)
            else:
                self.average[name].copy_(value)

    def _state(self) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.net.state_dict()
        return state

    def save(self) -> None:
        """Write the checkpoint and the log; a kill in between leaves the last ones whole."""
        if not self.fabric.is_global_zero:
            return
        temporary = self.checkpoint.with_suffix(".tmp")
        torch.save(
            {
                "net": self._state(),
                "optimiser": self.optimiser.state_dict(),
                "average": self.average,
                "iteration": self.iteration,
            },
            temporary,
        )
        temporary.replace(self.checkpoint)
        self.log.flush()

    def export(self) -> Path:
        """Write the averaged weights with how they came about; the same ones are left alone."""
        if self.fabric.is_global_zero and _exported_iteration(self.weights) != self.iteration:
            notes = {
                "training": json.dumps(dataclasses.asdict(self.config)),
                "iteration": str(self.iteration),
            }
            save_checkpoint(self.weights, self.config.network, self.average, notes)
        self.fabric.barrier()
        return self.weights


def _exported_iteration(path: Path) -> int:
    """Of exported weights; -1 where there are none."""
    if not path.exists():
        return -1
    with safe_open(path, framework="pt") as file:
        return int(file.metadata()["iteration"])


def start_from(net: MSGANet, path: str | Path) -> None:
    """Give `net` the weights in `path`; columns of inputs that those do not have become zero, so
    that the network begins by computing what they computed.

    Raises:
        CheckpointError: the file is unreadable, or of another structure but for more inputs.
    """
    _, state = read_checkpoint(find_weights(path))
    for name, value in net.state_dict().items():
        old = state.get(name)
        if name.endswith(".embed.weight") and old is not None and old.shape[1] < value.shape[1]:
            state[name] = nn.functional.pad(old, (0, value.shape[1] - old.shape[1]))
    try:
        different = net.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit the network to train: {error}") from error
    missing = [n for n in different.missing_keys if not n.endswith("num_batches_tracked")]
    if missing or different.unexpected_keys:
        raise CheckpointError(
            f"{path} does not fit the network to train: missing {missing[:4]}, "
            f"unknown {different.unexpected_keys[:4]}"
        )
