"""Training: it learns, and goes on exactly where it stopped; configurations and logs."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from synthetic_dump import synthetic_pair, write_dump

from msga_ros.network import CheckpointError, MSGANet, MSGANetConfig
from msga_ros.training.ablation import AblationConfig
from msga_ros.training.batches import BatchConfig
from msga_ros.training.config import OptimiserConfig, TrainConfig, learning_rate
from msga_ros.training.initial_weights import start_from
from msga_ros.training.log import TrainingLog
from msga_ros.training.losses import LossConfig
from msga_ros.training.tasks import load_run
from msga_ros.training.trainer import train

CONFIGS = Path(__file__).parents[2] / "configs"
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


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_configuration_files_in_the_repository_are_readable(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    if "variants" in document:
        assert AblationConfig.load(path).variants
    else:
        settings = load_run(path)
        assert settings.task().inputs
        assert settings.optimiser.iterations > 0


def test_the_published_recipe_is_a_configuration() -> None:
    settings = TrainConfig.load(CONFIGS / "published.yaml")
    assert settings.network == MSGANetConfig()
    rates = [learning_rate(settings.optimiser, i) for i in (0, 399_999, 400_000, 499_999)]
    assert rates == [1e-3, 1e-3, 5e-4, 5e-4]
    assert settings.batch.matches // settings.batch.sizes[0] == 32
    assert (settings.loss.geometry_kind, settings.loss.geometry) == ("clamped", 0.5)
    assert settings.loss.geometry_from == 20_000


def test_the_published_recipe_trains(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "dump.h5", [synthetic_pair(i, matches=200) for i in range(3)])
    published = TrainConfig.load(CONFIGS / "published.yaml")
    settings = replace(
        published,
        output=str(tmp_path),
        network=SMALL,
        batch=replace(published.batch, dumps=(str(dump),), matches=1000, sizes=(500,)),
        optimiser=replace(published.optimiser, iterations=3),
    )
    weights = train(settings, accelerator="cpu")
    # No average: the exported weights are the last ones.
    last = torch.load(tmp_path / "last.pt", weights_only=True)["net"]
    exported = MSGANet.load(weights, fold=False).state_dict()
    tracked = "num_batches_tracked"  # not exported
    assert all(torch.equal(exported[n], last[n]) for n in exported if not n.endswith(tracked))


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


def test_the_step_schedule_halves_the_rate_at_its_iterations() -> None:
    settings = OptimiserConfig(learning_rate=1.0, warm_up=0, schedule="step", halve_at=(10, 20))
    assert [learning_rate(settings, i) for i in (0, 9, 10, 19, 20, 99)] == [
        1,
        1,
        0.5,
        0.5,
        0.25,
        0.25,
    ]


def test_optimiser_settings_that_make_no_sense_are_refused() -> None:
    for wrong in (
        {"schedule": "other"},
        {"halve_at": (3,)},
        {"average": 1.0},
        {"clip": -1.0},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            OptimiserConfig(**wrong)


def test_a_run_with_masks_and_both_directions_is_resumed_exactly(tmp_path: Path) -> None:
    dump = write_dump(
        tmp_path / "dump.h5", [synthetic_pair(i, matches=150 + 60 * i) for i in range(4)]
    )

    def settings(name: str) -> TrainConfig:
        return replace(
            config(tmp_path / name, iterations=4),
            batch=BatchConfig(
                dumps=(str(dump),), matches=800, sizes=(200,), fill=False, synthetic=0.3
            ),
            loss=LossConfig(view_swap=1.0),
        )

    train(settings("whole"), accelerator="cpu")
    for _ in range(4):
        train(settings("cut"), max_seconds=0.0, accelerator="cpu")
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    with (tmp_path / "whole" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        parts = float(row["classification"]) + 0.5 * float(row["geometry"])
        assert float(row["total"]) == pytest.approx(parts + float(row["view_swap"]), rel=1e-5)
        assert float(row["view_swap"]) > 0


def test_half_precision_keeps_its_hands_off_the_losses(tmp_path: Path) -> None:
    dump = write_dump(
        tmp_path / "dump.h5", [synthetic_pair(i, matches=100 + 60 * i) for i in range(3)]
    )
    figures = []
    for precision in ("32-true", "bf16-mixed"):
        settings = config(tmp_path / precision, iterations=1)
        batch = BatchConfig(dumps=(str(dump),), matches=800, sizes=(200,), fill=False)
        settings = replace(settings, batch=batch)
        train(settings, accelerator="cpu", precision=precision)
        with (tmp_path / precision / "log.csv").open() as file:
            figures.append(next(csv.DictReader(file)))
    half, full = (torch.tensor(float(figure["geometry"])) for figure in figures[::-1])
    assert float(half) == pytest.approx(float(full), rel=0.1)
    assert float(half.bfloat16()) != float(half)  # more digits than half precision has


def test_two_processes_train_one_network_in_slices(tmp_path: Path) -> None:
    settings = tmp_path / "config.yaml"
    document = {
        "output": str(tmp_path / "run"),
        "network": {"channels": 16, "residual_blocks": 1, "grid": 4, "msformer_layers": 1},
        "batch": {"matches": 192, "sizes": [64]},
        "optimiser": {"iterations": 2, "warm_up": 1},
    }
    settings.write_text(yaml.safe_dump(document))
    command = [sys.executable, "-m", "msga_ros.cli", "train", str(settings), "--accelerator", "cpu"]
    for limit in (["--max-seconds", "0"], []):
        subprocess.run([*command, "--devices", "2", *limit], check=True, timeout=300)
    assert [iteration for iteration, _ in losses(tmp_path / "run")] == [1, 2]
    alone = replace(TrainConfig.load(settings), output=str(tmp_path / "alone"))
    one = MSGANet.load(train(alone, accelerator="cpu"), fold=False).state_dict()
    both = MSGANet.load(tmp_path / "run" / "msga_net.safetensors", fold=False).state_dict()
    # The second process has batches of its own, which count.
    assert not all(torch.equal(one[name], both[name]) for name in one)
    first = losses(tmp_path / "alone")[0]
    assert first == pytest.approx(losses(tmp_path / "run")[0], rel=1e-4)


def test_the_log_says_rate_gradient_and_speed(tmp_path: Path) -> None:
    settings = replace(config(tmp_path, iterations=3), tensorboard=False)
    train(settings, accelerator="cpu")
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    for iteration, row in enumerate(rows):
        rate = learning_rate(settings.optimiser, iteration)
        assert float(row["learning_rate"]) == pytest.approx(rate)
        assert float(row["gradient_norm"]) > 0
        assert float(row["pairs_per_second"]) > 0
    assert not list(tmp_path.glob("events*"))


def test_a_log_of_an_older_version_keeps_its_columns(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("iteration,total,seconds\n1,2.0,0.5\n")
    log = TrainingLog(tmp_path, tensorboard=False)
    log.add({"iteration": 2.0, "total": 1.5, "learning_rate": 1e-3, "seconds": 0.4})
    log.close()
    assert (tmp_path / "log.csv").read_text().splitlines()[1:] == ["1,2.0,0.5", "2.0,1.5,0.4"]


def test_tensorboard_shows_each_iteration_once_after_a_kill(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = config(tmp_path, iterations=4)
    train(settings, max_seconds=0.0, accelerator="cpu")
    checkpoint = (tmp_path / "last.pt").read_bytes()
    train(settings, max_seconds=0.0, accelerator="cpu")
    (tmp_path / "last.pt").write_bytes(checkpoint)  # the second iteration is lost
    train(settings, accelerator="cpu")
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert {"total", "learning_rate", "gradient_norm", "pairs_per_second"} <= set(
        events.Tags()["scalars"]
    )
    assert [event.step for event in events.Scalars("total")] == [1, 2, 3, 4]


def test_a_missing_tensorboard_is_said_once_and_trains_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    train(config(tmp_path, iterations=4), accelerator="cpu")
    assert len(losses(tmp_path)) == 4
    told = [record for record in caplog.records if "TensorBoard" in record.message]
    assert len(told) == 1
    assert "msga_ros[tensorboard]" in told[0].message


def test_a_resumed_run_needs_the_weights_that_it_started_from_no_longer(tmp_path: Path) -> None:
    first = train(config(tmp_path / "first", iterations=2), accelerator="cpu")
    settings = replace(config(tmp_path / "second", iterations=2), start=str(first))
    train(settings, max_seconds=0.0, accelerator="cpu")
    first.unlink()
    train(settings, accelerator="cpu")
    assert len(losses(tmp_path / "second")) == 2


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
