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
from safetensors import safe_open
from torch import Tensor, nn

from msga_ros.network import CheckpointError, MSGANet, MSGANetResult, save_checkpoint
from msga_ros.network.checkpoint import find_weights, read_checkpoint
from msga_ros.network.net import module_inputs
from msga_ros.network.sdgi import compile_interactions
from msga_ros.terminal.progress import progress_bar
from msga_ros.training.average import MovingAverage
from msga_ros.training.batches import Batch, BatchSource
from msga_ros.training.config import TrainConfig, learning_rate
from msga_ros.training.log import TrainingLog
from msga_ros.training.losses import LossConfig, loss, view_swap_loss
from msga_ros.training.step import RecordedStep, Step

Precision = Literal["32-true", "bf16-mixed"]


def train(
    config: TrainConfig | str | Path,
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
    """
    config = config if isinstance(config, TrainConfig) else TrainConfig.load(config)
    fabric = make_fabric(accelerator, devices, nodes)
    seed_everything(config.seed, verbose=False)
    run = Run(config, fabric, half_precision=precision == "bf16-mixed", compiled=compiled)
    run.resume()
    if run.iteration >= config.optimiser.iterations:
        return run.export()
    started = time.monotonic()
    with progress_bar(shown=progress and fabric.is_global_zero) as bar:
        task = bar.add_task("training", total=config.optimiser.iterations, completed=run.iteration)
        saved = time.monotonic()
        while run.iteration < config.optimiser.iterations:
            figures = run.step()
            if figures:
                bar.update(
                    task,
                    completed=run.iteration,
                    description=f"loss {figures['total']:.3f} geometry {figures['geometry']:.3f}",
                )
            out_of_time = time.monotonic() - started > max_seconds
            if fabric.world_size > 1:  # all of them stop together
                out_of_time = fabric.broadcast(out_of_time)
            old = time.monotonic() - saved > config.checkpoint_seconds
            if run.iteration % config.checkpoint_every == 0 or old or out_of_time:
                run.save()
                saved = time.monotonic()
            if out_of_time:
                break
    run.save()
    run.log.close()
    return run.export()


def make_fabric(accelerator: str = "auto", devices: int = 1, nodes: int = 1) -> Fabric:
    """The devices of a run, their processes started; the arguments are those of `train`."""
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes)
    fabric.launch()
    return fabric


class _LossOf(nn.Module):
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


class Run:
    """Network, optimiser, average and log of one run, at one iteration."""

    def __init__(
        self, config: TrainConfig, fabric: Fabric, half_precision: bool, compiled: bool = False
    ) -> None:
        self.config = config
        self.fabric = fabric
        self.iteration = 0
        self.folder = Path(config.output)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.net = MSGANet(config.network)
        if config.start and not self.checkpoint.exists():
            start_from(self.net, config.start)
        on_gpu = fabric.device.type == "cuda"
        self.net.to(fabric.device)
        if compiled:
            compile_interactions(self.net)
        # On a GPU the whole update is a part of the recorded step, the rate one of its inputs.
        rate = config.optimiser.learning_rate
        optimiser = torch.optim.Adam(
            self.net.parameters(),
            lr=torch.tensor(rate, device=fabric.device) if on_gpu else rate,
            fused=on_gpu,
            capturable=on_gpu,
        )
        loss_of = _LossOf(self.net, config.loss, half_precision, masks=not config.batch.fill)
        # Recorded steps see the plain network: several devices would wait for each other inside.
        recorded = on_gpu and fabric.world_size == 1
        if recorded:
            self.loss_of: nn.Module = loss_of
            self.optimiser: torch.optim.Optimizer = optimiser
        else:
            self.loss_of, self.optimiser = fabric.setup(loss_of, optimiser)
        self.average = MovingAverage(self.net)
        seed = config.seed + 7919 * fabric.global_rank
        self.source = BatchSource(config.batch, seed, fabric.device)
        self.log = TrainingLog(self.folder, config.tensorboard)
        step = Step(
            self.loss_of,
            list(self.net.parameters()),
            self.optimiser,
            torch.Tensor.backward if recorded else fabric.backward,
            config.optimiser.clip,
        )
        self.take_step: Step | RecordedStep = step
        if recorded:
            self.take_step = RecordedStep(step, config.loss.geometry_from)
        # Reading figures waits for the device: on a GPU they are read many at a time.
        self.read_every = 50 if on_gpu else 1
        self.figures: dict[str, float] = {}
        self._unread: list[tuple[dict[str, float], dict[str, Tensor]]] = []

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
        # How the optimiser is called for belongs to this device, only what it has seen to the run.
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({**state["optimiser"], "param_groups": groups})
        self.average.net.load_state_dict(state["average"])
        self.iteration = state["iteration"]

    def step(self) -> dict[str, float]:
        """One iteration; the figures that were read last."""
        settings = self.config.optimiser
        started = time.monotonic()
        rate = learning_rate(settings, self.iteration)
        for group in self.optimiser.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        self.loss_of.train()
        batch = self.source.batch(self.iteration)
        parts = self.take_step(self.iteration, batch)
        self.iteration += 1
        # Shorter memory at first, so that the average does not drag the random start along.
        decay = min(settings.average, (1 + self.iteration) / (10 + self.iteration))
        self.average.update(self.net, decay)
        known = {
            "iteration": float(self.iteration),
            "learning_rate": rate,
            "seconds": time.monotonic() - started,
            "pairs": float(len(batch.valid) * self.fabric.world_size),
        }
        self._unread.append((known, {name: part.clone() for name, part in parts.items()}))
        if len(self._unread) >= self.read_every:
            self._read()
        return self.figures

    def _read(self) -> None:
        """Put the figures of the steps since the last time into the log."""
        if not self._unread:
            return
        names = list(self._unread[0][1])
        started = time.monotonic()
        values = torch.stack([torch.stack([p[n] for n in names]) for _, p in self._unread]).tolist()
        waited = (time.monotonic() - started) / len(self._unread)
        for (known, _), row in zip(self._unread, values, strict=True):
            parts = dict(zip(names, row, strict=True))
            seconds = known["seconds"] + waited
            self.figures = {
                "iteration": known["iteration"],
                "total": parts.pop("total"),
                **parts,
                "learning_rate": known["learning_rate"],
                "seconds": seconds,
                "pairs_per_second": known["pairs"] / seconds,
            }
            if self.fabric.is_global_zero:
                self.log.add(self.figures)
        self._unread = []

    def _state(self) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.net.state_dict()
        return state

    def save(self) -> None:
        """Write the checkpoint and the log; a kill in between leaves the last ones whole."""
        self._read()
        if not self.fabric.is_global_zero:
            return
        temporary = self.checkpoint.with_suffix(".tmp")
        torch.save(
            {
                "net": self._state(),
                "optimiser": self.optimiser.state_dict(),
                "average": self.average.net.state_dict(),
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
            average = self.average.net.state_dict()
            save_checkpoint(self.weights, self.config.network, average, notes)
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
    config, state = read_checkpoint(find_weights(path), MSGANet)
    modules = ("sieve0", "sieve1")
    for module, old, new in zip(
        modules, module_inputs(config), module_inputs(net.config), strict=True
    ):
        name = f"{module}.embed.weight"
        if not set(old) <= set(new):
            unseen = ", ".join(sorted(set(old) - set(new)))
            raise CheckpointError(f"{path} does not fit the network to train: it sees {unseen}")
        grown = state[name].new_zeros(len(state[name]), len(new))
        grown[:, [new.index(entry) for entry in old]] = state[name]
        state[name] = grown
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
