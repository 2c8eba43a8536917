"""Training on a GPU: recorded steps are the same steps, nothing waits, and runs change devices."""

from __future__ import annotations

import copy
import csv
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import pytest
import torch
from devices import ON_GPU, no_waiting

pytest.importorskip("h5py")
lightning_fabric = pytest.importorskip("lightning_fabric")

from msga_ros.network import MSGANet, MSGANetConfig  # noqa: E402
from msga_ros.training.batches import BatchConfig, BatchSource  # noqa: E402
from msga_ros.training.config import OptimiserConfig, TrainConfig, learning_rate  # noqa: E402
from msga_ros.training.losses import LossConfig  # noqa: E402
from msga_ros.training.outlier_removal import NetworkLoss  # noqa: E402
from msga_ros.training.run import Run  # noqa: E402
from msga_ros.training.step import RecordedStep, Step  # noqa: E402
from msga_ros.training.trainer import train  # noqa: E402

pytestmark = ON_GPU

CUDA = torch.device("cuda")
SMALL = MSGANetConfig(
    channels=16, residual_blocks=1, grid=4, msformer_layers=1, evidence=True, residual_input=True
)
GEOMETRY_FROM = 5
RECORDED_FROM = 11  # of two shapes in turn, after three steps each with the geometry


@dataclass(frozen=True)
class Training:
    """A network and what trains it, on the GPU."""

    net: MSGANet
    optimiser: torch.optim.Adam
    step: Step

    @classmethod
    def of(cls, start: MSGANet, losses: LossConfig, masks: bool = True) -> Training:
        net = copy.deepcopy(start).to(CUDA).train()
        rate = torch.tensor(1e-4, device=CUDA)
        optimiser = torch.optim.Adam(net.parameters(), lr=rate, fused=True, capturable=True)
        parameters = list(net.parameters())
        loss_of = NetworkLoss(net, losses, half_precision=False, masks=masks)
        return cls(net, optimiser, Step(loss_of, parameters, optimiser, torch.Tensor.backward, 1.0))

    def set_rate(self, rate: float) -> None:
        self.optimiser.param_groups[0]["lr"].fill_(rate)

    def take_over(self, other: Training) -> None:
        """The state of `other`, in the tensors that a recording knows."""
        self.net.load_state_dict(other.net.state_dict())
        for one, its in zip(self.net.parameters(), other.net.parameters(), strict=True):
            for name, value in self.optimiser.state[one].items():
                value.copy_(other.optimiser.state[its][name])

    def weights(self) -> torch.Tensor:
        return torch.cat([p.detach().flatten() for p in self.net.parameters()])


@pytest.fixture(scope="module")
def start() -> MSGANet:
    torch.manual_seed(0)
    return MSGANet(SMALL)


def source(sizes: tuple[int, ...] = (64, 96), matches: int = 768) -> BatchSource:
    return BatchSource(BatchConfig(matches=matches, sizes=sizes), 0, CUDA)


@pytest.mark.parametrize("losses", [LossConfig(), LossConfig(view_swap=0.5)], ids=["one", "both"])
def test_recorded_steps_are_the_same_steps(start: MSGANet, losses: LossConfig) -> None:
    """Two shapes in turn; both are recorded at their fourth turn, and played at the fifth.

    Each step from one state: sums in another order (a GPU's gradients are never twice the same)
    make other steps within six of them. Even so, a near-tie among neighbours, or of a solution, may
    go either way in some of them; and the gradient of a bias in front of a norm is rounding alone.
    """
    losses = replace(losses, geometry_from=GEOMETRY_FROM)
    apart: dict[str, list[float]] = {}
    plain, recorded = Training.of(start, losses), Training.of(start, losses)
    recorded_step = RecordedStep(recorded.step, GEOMETRY_FROM)
    for iteration in range(16):
        batch = source((64, 96)[iteration % 2 : iteration % 2 + 1]).batch(iteration)
        recorded.take_over(plain)
        before = plain.weights()
        expected = plain.step(iteration, batch)
        found = recorded_step(iteration, batch)
        assert set(found) == set(expected)
        for name, value in expected.items():
            difference = abs(float(found[name]) - float(value)) / abs(float(value))
            apart.setdefault(name, []).append(difference)
        geometry = losses.geometry if iteration >= GEOMETRY_FROM else 0.0
        parts = found["classification"] + geometry * found["geometry"]
        parts = parts + losses.view_swap * found.get("view_swap", 0.0)
        assert float(found["total"]) == pytest.approx(float(parts), rel=1e-4)
        now = plain.weights()
        moved = float((now - before).norm())
        assert moved > 0
        difference = float((recorded.weights() - now).norm()) / moved
        apart.setdefault("weights", []).append(difference)
    assert max(apart["total"]) < 0.02, apart
    for name, differences in apart.items():
        limit = {"gradient_norm": 0.1, "weights": 0.5}.get(name, 1e-3)
        for some in (differences[:RECORDED_FROM], differences[RECORDED_FROM:]):
            assert median(some) < limit, (name, differences)


def test_rate_and_batch_are_inputs_of_a_recorded_step(start: MSGANet) -> None:
    training = Training.of(start, LossConfig())
    step, batches = RecordedStep(training.step, 0), source((64,))
    for iteration in range(5):
        step(iteration, batches.batch(iteration))
    training.set_rate(0.0)
    before = training.weights()
    one = float(step(5, batches.batch(5))["total"])
    assert torch.equal(training.weights(), before)
    other = float(step(6, batches.batch(6))["total"])
    again = float(step(5, batches.batch(5))["total"])
    assert again == pytest.approx(one, rel=1e-3)
    assert abs(other - one) > 1e-2 * one
    training.set_rate(1e-3)
    step(7, batches.batch(7))
    assert not torch.equal(training.weights(), before)


def test_a_gradient_that_is_not_finite_changes_nothing_in_a_recorded_step(start: MSGANet) -> None:
    training = Training.of(start, LossConfig())
    step, batches = RecordedStep(training.step, 0), source((64,))
    for iteration in range(5):
        step(iteration, batches.batch(iteration))
    broken = batches.batch(5)
    broken = replace(broken, correspondences=torch.full_like(broken.correspondences, torch.nan))
    assert not torch.isfinite(step(5, broken)["gradient_norm"])
    assert bool(torch.isfinite(training.weights()).all())


def test_batches_are_like_those_of_any_other_device() -> None:
    """Other random numbers, but the same kind of samples."""
    cpu = BatchSource(BatchConfig(matches=8000, sizes=(200,)), 0).batch(0)
    gpu = source((200,), 8000).batch(0)
    assert all(part.device.type == "cuda" for part in gpu.tensors())
    for one, other in zip(cpu.tensors(), gpu.tensors(), strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
    shares = [float((b.residual < 1e-4).double().mean()) for b in (cpu, gpu)]
    assert shares[0] == pytest.approx(shares[1], abs=0.1)
    again = source((200,), 8000).batch(0)
    for one, other in zip(gpu.tensors(), again.tensors(), strict=True):
        assert torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("masks", [True, False])
def test_a_step_never_waits(start: MSGANet, masks: bool) -> None:
    training, batches = Training.of(start, LossConfig(view_swap=0.5), masks), source((64,))
    training.step(0, batches.batch(0))  # libraries set themselves up
    batch = batches.batch(1)
    with no_waiting():
        training.step(1, batch)


def run_config(folder: Path, iterations: int = 12) -> TrainConfig:
    return TrainConfig(
        output=str(folder),
        network=SMALL,
        tensorboard=False,
        batch=BatchConfig(matches=384, sizes=(64,)),
        optimiser=OptimiserConfig(iterations=iterations, warm_up=2),
    )


def test_an_iteration_of_the_trainer_never_waits(tmp_path: Path) -> None:
    """Neither the batch nor the recorded step nor the average of the weights."""
    fabric = lightning_fabric.Fabric(accelerator="cuda", devices=1)
    run = Run(run_config(tmp_path), fabric, half_precision=True)
    for _ in range(5):  # the fourth is recorded
        run.step()
    with no_waiting():
        for _ in range(3):
            run.step()
    run.save()
    with (tmp_path / "log.csv").open() as file:
        assert [int(float(row["iteration"])) for row in csv.DictReader(file)] == [*range(1, 9)]


@pytest.mark.parametrize("devices", [("cpu", "cuda"), ("cuda", "cpu"), ("cuda", "cuda")])
def test_a_run_goes_on_where_it_stopped_on_either_device(
    tmp_path: Path, devices: tuple[str, str]
) -> None:
    settings = run_config(tmp_path)
    train(settings, max_seconds=0.0, accelerator=devices[0], progress=False)
    weights = train(settings, accelerator=devices[1], progress=False)
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["iteration"]) for row in rows] == list(range(1, 13))
    for iteration, row in enumerate(rows):
        rate = learning_rate(settings.optimiser, iteration)
        assert float(row["learning_rate"]) == pytest.approx(rate)
    state = torch.load(tmp_path / "last.pt", map_location="cpu", weights_only=True)
    steps = {float(entry["step"]) for entry in state["optimiser"]["state"].values()}
    assert steps == {12.0}  # every one of them was a step of the optimiser
    MSGANet.load(weights)
