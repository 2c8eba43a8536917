"""What a training leaves: its log, checkpoints in time and on any device, the average, a start."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_networks import SMALL
from torch import Tensor

from msga_ros.network import CheckpointError, MSGANet, MSGANetConfig, save_checkpoint
from msga_ros.network.evidence import EVIDENCE
from msga_ros.training.batches import Batch, BatchConfig, BatchSource
from msga_ros.training.config import OptimiserConfig, TrainConfig
from msga_ros.training.initial_weights import start_from
from msga_ros.training.run import Run
from msga_ros.training.trainer import make_fabric, train


def config(folder: Path, iterations: int = 6, **optimiser: float) -> TrainConfig:
    return TrainConfig(
        output=str(folder),
        checkpoint_every=1000,
        checkpoint_seconds=1e9,
        tensorboard=False,
        network=SMALL,
        batch=BatchConfig(matches=192, sizes=(64, 96)),
        optimiser=OptimiserConfig(iterations=iterations, warm_up=2, **optimiser),  # type: ignore[arg-type]
    )


def run_of(settings: TrainConfig) -> Run:
    torch.manual_seed(settings.seed)
    run = Run(settings, make_fabric("cpu"), half_precision=False)
    run.resume()
    return run


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def recorded(step: Callable[[int, Batch], dict[str, Tensor]]) -> Any:
    """`step` with figures that the next call overwrites, as those of a recorded step."""
    figures: dict[str, Tensor] = {}

    def take(iteration: int, batch: Batch) -> dict[str, Tensor]:
        for name, value in step(iteration, batch).items():
            figures.setdefault(name, value.clone()).copy_(value)
        return figures

    return take


def test_figures_that_are_read_many_at_a_time_are_all_in_the_log(tmp_path: Path) -> None:
    """In their order, also those of a slice whose end came before they were read."""
    train(config(tmp_path / "plain", iterations=9), accelerator="cpu", progress=False)
    settings = config(tmp_path / "bulk", iterations=9)
    for steps in (6, 1, 2):
        run = run_of(settings)
        run.read_every = 4
        run.take_step = recorded(run.take_step)
        for _ in range(steps):
            run.step()
        run.save()
        run.log.close()
    plain, bulk = rows(tmp_path / "plain"), rows(tmp_path / "bulk")
    assert [float(row["iteration"]) for row in bulk] == list(range(1, 10))
    timed = ("seconds", "pairs_per_second")
    for one, other in zip(plain, bulk, strict=True):
        assert list(one) == list(other)
        assert {k: v for k, v in one.items() if k not in timed} == {
            k: v for k, v in other.items() if k not in timed
        }
        assert all(float(other[name]) > 0 for name in timed)


def test_nothing_is_in_the_log_before_its_checkpoint(tmp_path: Path) -> None:
    """A run that is killed repeats it, and would write it twice."""
    run = run_of(config(tmp_path))
    for _ in range(3):
        run.step()
    assert not (tmp_path / "log.csv").exists()
    run.save()
    assert len(rows(tmp_path)) == 3


@pytest.mark.parametrize(("seconds", "kept"), [(0.0, 3), (1e9, 0)])
def test_a_checkpoint_when_time_has_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, kept: int
) -> None:
    """So that a kill loses no more than that, however many iterations a checkpoint is apart."""
    make = BatchSource.batch

    def batch(source: BatchSource, iteration: int) -> Batch:
        if iteration == 3:
            raise KeyboardInterrupt
        return make(source, iteration)

    monkeypatch.setattr(BatchSource, "batch", batch)
    with pytest.raises(KeyboardInterrupt):
        train(
            replace(config(tmp_path), checkpoint_seconds=seconds),
            accelerator="cpu",
            progress=False,
        )
    assert (tmp_path / "last.pt").exists() == (kept > 0)
    if kept:
        assert torch.load(tmp_path / "last.pt", weights_only=True)["iteration"] == kept
        assert len(rows(tmp_path)) == kept


def weights_of(net: MSGANet) -> torch.Tensor:
    state = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    kept = [state[name] for name in sorted(state) if not name.endswith("num_batches_tracked")]
    return torch.cat([tensor.detach().double().flatten() for tensor in kept])


def test_the_exported_weights_are_the_average_of_the_way(tmp_path: Path) -> None:
    run = run_of(config(tmp_path, average=0.6, learning_rate=1e-2))
    expected = weights_of(run.net)
    for iteration in range(1, 7):
        run.step()
        decay = min(0.6, (1 + iteration) / (10 + iteration))  # a shorter memory at first
        expected = decay * expected + (1 - decay) * weights_of(run.net)
    run.save()
    exported = weights_of(MSGANet.load(run.export(), fold=False))
    assert torch.allclose(exported, expected, rtol=1e-5, atol=1e-6)
    assert float((exported - weights_of(run.net)).abs().max()) > 1e-3


def test_a_checkpoint_of_a_gpu_goes_on_on_the_cpu(tmp_path: Path) -> None:
    """There the optimiser's rate is a tensor, and it is called for otherwise."""
    train(config(tmp_path / "whole"), accelerator="cpu", progress=False)
    settings = config(tmp_path / "moved")
    for _ in range(2):
        train(settings, max_seconds=0.0, accelerator="cpu", progress=False)
    path = tmp_path / "moved" / "last.pt"
    state = torch.load(path, weights_only=True)
    for group in state["optimiser"]["param_groups"]:
        group.update(lr=torch.tensor(0.5), capturable=True, fused=True)
    torch.save(state, path)
    train(settings, accelerator="cpu", progress=False)
    totals = [[row["total"] for row in rows(tmp_path / name)] for name in ("whole", "moved")]
    assert totals[0] == totals[1]


# Starting from weights that see less.


def saved(path: Path, structure: MSGANetConfig) -> Path:
    torch.manual_seed(1)
    save_checkpoint(path, structure, MSGANet(structure).state_dict())
    return path


@pytest.mark.parametrize("old", [(), ("ratio", "mutual"), ("mutual", "log_scale"), ("distance",)])
@pytest.mark.parametrize("agreement", [False, True])
def test_columns_of_inputs_are_found_by_their_names(
    tmp_path: Path, old: tuple[str, ...], agreement: bool
) -> None:
    """Wherever the new ones stand: those of the second module before its last one, the agreement;
    where nothing is known of the new ones, the network computes what it did."""
    structure = replace(SMALL, evidence=old, residual_input=agreement)
    path = saved(tmp_path / "old.safetensors", structure)
    new = MSGANet(replace(structure, evidence=EVIDENCE, residual_input=True))
    start_from(new, path)
    before, now = MSGANet.load(path), new.eval().fold()
    generator = torch.Generator().manual_seed(0)
    matches = torch.rand(1, 80, 4, generator=generator) - 0.5
    table = torch.rand(1, 80, len(EVIDENCE), generator=generator)
    known = table.clone()
    known[..., [i for i, name in enumerate(EVIDENCE) if name not in old]] = torch.nan
    with torch.no_grad():
        expected = before(matches, None, table)
        for told in (known, table):  # new inputs start without any weight
            for one, other in zip(expected.logits, now(matches, None, told).logits, strict=True):
                assert torch.allclose(one, other, atol=1e-4)
        if old:
            nothing = torch.full_like(table, torch.nan)
            assert not torch.allclose(now(matches, None, nothing).logits[0], expected.logits[0])


def test_new_inputs_learn(tmp_path: Path) -> None:
    path = saved(tmp_path / "old.safetensors", replace(SMALL, evidence=True))
    new = MSGANet(replace(SMALL, evidence=EVIDENCE)).train()
    start_from(new, path)
    start_of_them = new.sieve0.embed.weight[:, 6:]
    assert float(start_of_them.detach().abs().max()) == 0
    new(torch.rand(2, 80, 4) - 0.5, None, torch.rand(2, 80, 5)).logits[1].square().mean().backward()
    gradient = new.sieve0.embed.weight.grad
    assert gradient is not None and bool((gradient[:, 6:].abs().sum(0) > 0).all())


def test_weights_that_see_more_are_refused_by_name(tmp_path: Path) -> None:
    path = saved(tmp_path / "old.safetensors", replace(SMALL, evidence=("ratio", "rotation")))
    with pytest.raises(CheckpointError, match=r"it sees rotation\.cosine, rotation\.sine"):
        start_from(MSGANet(replace(SMALL, evidence=("ratio",))), path)
    path = saved(tmp_path / "with.safetensors", replace(SMALL, residual_input=True))
    with pytest.raises(CheckpointError, match="it sees agreement"):
        start_from(MSGANet(SMALL), path)
