"""Training of the detector-free matcher: it learns, resumes, leaves alone what is frozen."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training.dense.test_supervision import SIZE, files

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.network import CheckpointError
from msga_ros.network.dense.config import DenseConfig
from msga_ros.network.dense.net import DenseMatcher
from msga_ros.training.config import OptimiserConfig, TrainConfig
from msga_ros.training.dense.batches import DenseBatchConfig
from msga_ros.training.dense.config import DenseTrainConfig
from msga_ros.training.dense.objective import DenseLossConfig
from msga_ros.training.run import with_rates
from msga_ros.training.tasks import load_run
from msga_ros.training.trainer import train

__all__ = ["files"]  # a fixture

SMALL = DenseConfig(
    patch_layers=1, patch_channels=16, cell_channels=8, neighbours=3, cell_neighbours=2, heads=2
)


def config(files: tuple[str, str], folder: Path, iterations: int = 4) -> DenseTrainConfig:
    return DenseTrainConfig(
        output=str(folder),
        checkpoint_every=2,
        tensorboard=False,
        network=SMALL,
        batch=DenseBatchConfig(files[:1], files[1:], 3, *SIZE, shares=(0.4, 0.3, 0.3)),
        loss=DenseLossConfig(refined=24),
        optimiser=OptimiserConfig(iterations=iterations, warm_up=1, learning_rate=2e-3),
        slow=("graph.",),
    )


def losses(folder: Path, name: str = "total") -> list[float]:
    with (folder / "log.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file)]


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    files: tuple[str, str], tmp_path: Path
) -> None:
    whole = train(config(files, tmp_path / "whole"), accelerator="cpu", progress=False)
    for _ in range(4):  # stops after every iteration
        cut = train(config(files, tmp_path / "cut"), 0.0, accelerator="cpu", progress=False)
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    one, other = (DenseMatcher.load(path).state_dict() for path in (whole, cut))
    assert all(torch.equal(one[name], other[name]) for name in one)
    # The trunk is frozen by default, its statistics too.
    fresh = DenseMatcher(SMALL).state_dict()
    assert torch.equal(
        one["backbone.trunk.stage1.0.1.running_mean"],
        fresh["backbone.trunk.stage1.0.1.running_mean"],
    )
    # Another stage starts from it; a graph that it does not have stays new.
    second = replace(
        config(files, tmp_path / "second", 1),
        start=str(whole),
        network=replace(SMALL, patch_layers=2),
    )
    train(second, accelerator="cpu", progress=False)
    wide = replace(second, network=replace(SMALL, quarter_channels=8), output=str(tmp_path / "w"))
    with pytest.raises(CheckpointError, match="does not fit the network to train"):
        train(wide, accelerator="cpu", progress=False)


def test_the_refinement_learns(files: tuple[str, str], tmp_path: Path) -> None:
    settings = config(files, tmp_path, 24)
    batch = replace(settings.batch, shares=(1.0, 0.0, 0.0))
    train(replace(settings, batch=batch), accelerator="cpu", progress=False)
    for name in ("quarter", "half"):
        values = losses(tmp_path, name)
        assert sum(values[-6:]) < 0.9 * sum(values[:6]), name


def test_confidence_learns_which_matches_are_true(files: tuple[str, str], tmp_path: Path) -> None:
    torch.manual_seed(0)
    others = ("backbone", "graph", "assignment", "decoder")  # the same matches in each step
    settings = replace(config(files, tmp_path), frozen=others)
    task = settings.task()
    net = task.network()
    loss = task.loss_of(net, False).train()
    tensors = task.source(0, torch.device("cpu")).batch(0).tensors()
    optimiser = torch.optim.Adam(net.confidence.parameters(), lr=1e-2)
    values = []
    for _ in range(12):
        total, parts = loss(0, *tensors)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        values.append(float(parts["confidence"]))
    assert values[-1] < 0.8 * values[0]


def test_a_stage_of_the_graph_alone_changes_nothing_else(
    files: tuple[str, str], tmp_path: Path
) -> None:
    settings = replace(
        config(files, tmp_path, 3),
        frozen=("backbone", "decoder", "confidence"),
        loss=DenseLossConfig(fine=0.0, offset=0.0, confidence=0.0),
    )
    before = settings.task().network().state_dict()
    settings.task().save(tmp_path / "start.safetensors", before, {})
    settings = replace(settings, start=str(tmp_path / "start.safetensors"))
    after = DenseMatcher.load(train(settings, accelerator="cpu", progress=False)).state_dict()
    changed = {name.split(".")[0] for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"graph", "assignment"}
    assert "quarter" not in (tmp_path / "log.csv").read_text()


@pytest.mark.parametrize("device", [None, torch.device("cpu")])
def test_slow_modules_have_a_rate_of_their_own(
    files: tuple[str, str], tmp_path: Path, device: torch.device | None
) -> None:
    task = config(files, tmp_path).task()
    groups = with_rates(task.parameter_groups(task.network()), 1.0, device)
    optimiser = torch.optim.Adam(groups)
    assert [float(group["lr"]) for group in optimiser.param_groups] == pytest.approx([1.0, 0.1])
    if device is not None:  # as a training on a GPU changes it in place
        optimiser.param_groups[1]["lr"].fill_(0.5)
        assert float(optimiser.param_groups[0]["lr"]) == 1.0


def test_a_file_says_which_task_it_is_for(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("output: x\n")
    assert isinstance(load_run(path), TrainConfig)
    path.write_text("task: dense\nbatch:\n  photographs: [a.h5]\n  shares: [1, 0, 0]\n")
    run = load_run(path)
    assert isinstance(run, DenseTrainConfig)
    assert list(run.task().inputs) == [("a.h5", "file of photographs")]
    path.write_text("task: cooking\n")
    with pytest.raises(ConfigError, match="unknown task 'cooking'; there are outlier_removal, den"):
        load_run(path)
