"""Training: it learns, it goes on exactly where it stopped, and a batch depends on nothing else."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from shared_data import shared_path
from synthetic_dump import synthetic_pair, write_dump

from msga_ros.network import CheckpointError, MSGANet, MSGANetConfig
from msga_ros.training.batches import BatchConfig, BatchSource, choose_matches
from msga_ros.training.dumps import DumpFile
from msga_ros.training.trainer import (
    OptimiserConfig,
    TrainConfig,
    learning_rate,
    start_from,
    train,
)

SMALL = MSGANetConfig(channels=16, residual_blocks=1, grid=4, msformer_layers=1)


def config(folder: Path, iterations: int = 6) -> TrainConfig:
    return TrainConfig(
        output=str(folder),
        checkpoint_every=2,
        network=SMALL,
        batch=BatchConfig(matches=384, sizes=(64, 96)),
        optimiser=OptimiserConfig(iterations=iterations, warm_up=2),
    )


def losses(folder: Path) -> list[tuple[float, float]]:
    with (folder / "log.csv").open() as file:
        return [(float(row["iteration"]), float(row["total"])) for row in csv.DictReader(file)]


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    whole = train(config(tmp_path / "whole"), accelerator="cpu")
    interrupted = config(tmp_path / "cut")
    for _ in range(6):  # stops after every iteration
        path = train(interrupted, max_seconds=0.0, accelerator="cpu")
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "cut")) == 6
    one, other = (MSGANet.load(p, fold=False).state_dict() for p in (whole, path))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_killed_between_checkpoints_repeats_what_it_lost(tmp_path: Path) -> None:
    settings = config(tmp_path / "killed", iterations=3)
    train(settings, max_seconds=0.0, accelerator="cpu")
    checkpoint = (tmp_path / "killed" / "last.pt").read_bytes()
    train(settings, accelerator="cpu")
    finished = losses(tmp_path / "killed")[-1]
    # Back to the checkpoint of the first iteration, as if the rest had been lost.
    (tmp_path / "killed" / "last.pt").write_bytes(checkpoint)
    train(settings, accelerator="cpu")
    assert losses(tmp_path / "killed")[-1] == finished


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    settings = replace(
        config(tmp_path),
        network=replace(SMALL, evidence=True),
        batch=BatchConfig(matches=576, sizes=(96,)),
        optimiser=OptimiserConfig(iterations=70, warm_up=5, learning_rate=3e-3),
        loss=replace(config(tmp_path).loss, geometry=0.0),
    )
    train(settings, accelerator="cpu")
    values = [value for _, value in losses(tmp_path)]
    assert np.mean(values[-15:]) < 0.9 * np.mean(values[:15])


def test_the_configuration_file_in_the_repository_is_readable() -> None:
    path = Path(__file__).parents[2] / "configs" / "first.yaml"
    settings = TrainConfig.load(path)
    assert settings.batch.sizes
    assert settings.network.channels == 128


def test_unknown_entries_are_named(tmp_path: Path) -> None:
    for document in ({"optimizer": {}}, {"optimiser": {"learning_rat": 1e-3}}):
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(document))
        with pytest.raises(ValueError, match=r"optimizer|learning_rat"):
            TrainConfig.load(path)


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    settings = OptimiserConfig(iterations=100, learning_rate=1.0, warm_up=10)
    rates = [learning_rate(settings, i) for i in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert np.argmax(rates) in (9, 10)
    assert rates[100] == pytest.approx(0.0, abs=1e-9)


def test_a_batch_depends_on_seed_and_iteration_alone(tmp_path: Path) -> None:
    dump = tmp_path / "dump.h5"
    write_dump(dump, [synthetic_pair(i) for i in range(3)])
    settings = BatchConfig(dumps=(str(dump),), matches=256, sizes=(64,), synthetic=0.5)
    one, other = BatchSource(settings, seed=1), BatchSource(settings, seed=1)
    other.batch(3)
    first, second = one.batch(7), other.batch(7)
    assert torch.equal(first.correspondences, second.correspondences)
    assert torch.equal(first.residual, second.residual)
    assert not torch.equal(first.correspondences, one.batch(8).correspondences)
    assert not torch.equal(
        first.correspondences, BatchSource(settings, seed=2).batch(7).correspondences
    )


def test_chosen_matches_are_distinct_while_there_are_enough(tmp_path: Path) -> None:
    dump_path = shared_path("data/train-3.h5")
    with DumpFile(dump_path) as dump:
        pair = dump[0]
    shares = []
    for seed in range(20):
        chosen = choose_matches(pair, np.random.default_rng(seed), 256)
        assert len(set(chosen.tolist())) == 256
        shares.append(np.mean(pair.residual[chosen] < 1e-4))
    assert max(shares) > 1.5 * min(shares)  # prefilters of different strictness
    assert len(choose_matches(pair, np.random.default_rng(0), 5000)) == 5000


def test_more_inputs_start_as_the_weights_that_do_not_know_them(tmp_path: Path) -> None:
    path = train(config(tmp_path), accelerator="cpu")
    old = MSGANet.load(path)
    new = MSGANet(replace(SMALL, evidence=True, residual_input=True))
    start_from(new, path)
    new.eval().fold()
    matches, evidence = torch.rand(1, 80, 4) - 0.5, torch.rand(1, 80, 2)
    for one, other in zip(old(matches).logits, new(matches, None, evidence).logits, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    with pytest.raises(CheckpointError, match="does not fit"):
        start_from(MSGANet(replace(SMALL, channels=32)), path)
    with pytest.raises(CheckpointError, match="does not fit"):
        start_from(MSGANet(replace(SMALL, residual_blocks=2)), path)
