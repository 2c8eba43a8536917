"""A training at one iteration: network, optimiser, average and log, with exact resume."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from safetensors import safe_open
from torch import Tensor, nn

from msga_ros.training.average import MovingAverage
from msga_ros.training.config import RunConfig, learning_rate
from msga_ros.training.log import TrainingLog
from msga_ros.training.step import RecordedStep, Step
from msga_ros.whole_files import write_whole


class Clock:
    """How long a run has trained, in all calls together, and how much of its time is over."""

    def __init__(self) -> None:
        self.before = 0.0  # seconds, of earlier calls
        self.given = math.inf  # seconds, of this call
        self._started = time.monotonic()

    def start(self, given: float) -> None:
        """This call begins, and may last for `given` seconds."""
        self.given = given
        self._started = time.monotonic()

    def seconds(self) -> float:
        """Of all calls until now."""
        return self.before + time.monotonic() - self._started

    def share(self) -> float:
        """Of the time until the end of this call, 0 to 1."""
        whole = self.before + self.given
        return min(1.0, self.seconds() / whole) if whole > 0 else 1.0


class Run:
    """Network, optimiser, average and log of one run, at one iteration."""

    def __init__(
        self, config: RunConfig, fabric: Fabric, half_precision: bool, compiled: bool = False
    ) -> None:
        self.config = config
        self.fabric = fabric
        self.iteration = 0
        self.clock = Clock()
        self.folder = Path(config.output)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.task = task = config.task()
        self.net: nn.Module = task.network()
        if config.start and not self.checkpoint.exists():
            task.start_from(self.net, config.start)
        on_gpu = fabric.device.type == "cuda"
        self.net.to(fabric.device)
        if compiled:
            task.fuse(self.net)
        # On a GPU the whole update is a part of the recorded step, the rate one of its inputs.
        rate = config.optimiser.learning_rate
        optimiser = torch.optim.Adam(
            with_rates(task.parameter_groups(self.net), rate, fabric.device if on_gpu else None),
            fused=on_gpu,
            capturable=on_gpu,
        )
        loss_of = task.loss_of(self.net, half_precision)
        # Recorded steps see the plain network: several devices would wait for each other inside.
        changes = task.recorded_from
        recorded = on_gpu and fabric.world_size == 1 and changes is not None
        if recorded:
            self.loss_of: nn.Module = loss_of
            self.optimiser: torch.optim.Optimizer = optimiser
        else:
            self.loss_of, self.optimiser = fabric.setup(loss_of, optimiser)
        self.average = MovingAverage(self.net)
        seed = config.seed + 7919 * fabric.global_rank
        self.source = task.source(seed, fabric.device)
        self.log = TrainingLog(self.folder, config.tensorboard)
        step = Step(
            self.loss_of,
            [p for p in self.net.parameters() if p.requires_grad],
            self.optimiser,
            torch.Tensor.backward if recorded else fabric.backward,
            config.optimiser.clip,
        )
        self.take_step: Step | RecordedStep = step
        if recorded and changes is not None:
            self.take_step = RecordedStep(step, changes)
        # Reading figures waits for the device: on a GPU they are read many at a time.
        self.read_every = 50 if on_gpu else 1
        self.figures: dict[str, float] = {}
        self._unread: list[tuple[dict[str, float], dict[str, Tensor]]] = []

    @property
    def checkpoint(self) -> Path:
        """The whole state, to go on from."""
        return self.folder / "last.pt"

    @property
    def weights(self) -> Path:
        """The weights alone, for the pipeline."""
        return self.folder / self.task.weights_name

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
        self.clock.before = state.get("seconds", 0.0)

    def step(self) -> dict[str, float]:
        """One iteration; the figures that were read last."""
        settings = self.config.optimiser
        started = time.monotonic()
        share = self.clock.share() if settings.schedule == "clock" else 0.0
        if settings.schedule == "clock" and self.fabric.world_size > 1:
            share = self.fabric.broadcast(share)  # all devices take the same step
        rate = learning_rate(settings, self.iteration, share)
        for group in self.optimiser.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * group["factor"])
            else:
                group["lr"] = rate * group["factor"]
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
            "pairs": float(batch.samples * self.fabric.world_size),
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
        made = io.BytesIO()  # torch names no cause where the disk is full
        torch.save(
            {
                "net": self._state(),
                "optimiser": self.optimiser.state_dict(),
                "average": self.average.net.state_dict(),
                "iteration": self.iteration,
                "seconds": self.clock.seconds(),
            },
            made,
        )
        write_whole(self.checkpoint, made.getvalue())
        self.log.flush()

    def export(self) -> Path:
        """Write the averaged weights with how they came about; the same ones are left alone."""
        if self.fabric.is_global_zero and _exported_iteration(self.weights) != self.iteration:
            notes = {
                "training": json.dumps(dataclasses.asdict(self.config)),
                "iteration": str(self.iteration),
            }
            average = self.average.net.state_dict()
            self.task.save(self.weights, average, notes)
        self.fabric.barrier()
        return self.weights


def with_rates(
    groups: list[dict[str, Any]], rate: float, device: torch.device | None
) -> list[dict[str, Any]]:
    """Each of an optimiser's groups with a rate of its own; on a `device` a tensor of its own."""
    rates = [rate * group["factor"] for group in groups]
    return [
        {**group, "lr": own if device is None else torch.tensor(own, device=device)}
        for group, own in zip(groups, rates, strict=True)
    ]


def _exported_iteration(path: Path) -> int:
    """Of exported weights; -1 where there are none."""
    if not path.exists():
        return -1
    with safe_open(path, framework="pt") as file:
        return int(file.metadata()["iteration"])
