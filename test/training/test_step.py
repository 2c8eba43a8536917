"""A step of the optimiser: clipping, gradients that are not finite, figures; the moving average."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from host_access import HostAccess
from small_networks import STRUCTURES
from torch import Tensor, nn

from msga_ros.network import MSGANet
from msga_ros.network.shapes import with_fixed_shapes
from msga_ros.training.average import MovingAverage
from msga_ros.training.batches import Batch, BatchConfig, BatchSource
from msga_ros.training.losses import LossConfig
from msga_ros.training.outlier_removal import NetworkLoss
from msga_ros.training.step import Step

NOTHING = Batch(*[torch.zeros(1)] * 6)


def step_of(
    gradients: Callable[[int], tuple[float, float]],
    clip: float = 0.0,
    optimiser: Callable[[list[nn.Parameter]], torch.optim.Optimizer] | None = None,
) -> tuple[Step, list[nn.Parameter]]:
    """A step of two weights, at zero, that have these gradients at an iteration; rate 1."""
    weights = [nn.Parameter(torch.zeros(())) for _ in range(2)]

    def loss_of(iteration: int, *_: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        terms = [g * w for g, w in zip(gradients(iteration), weights, strict=True)]
        return terms[0] + terms[1] + 3.0, {"part": torch.tensor(2.0)}

    made = optimiser(weights) if optimiser else torch.optim.SGD(weights, lr=1.0)
    return Step(loss_of, weights, made, torch.Tensor.backward, clip), weights


def values(weights: list[nn.Parameter]) -> list[float]:
    return [weight.item() for weight in weights]


def test_a_step_goes_down_the_gradient_and_says_how_it_went() -> None:
    step, weights = step_of(lambda _: (3.0, 4.0))
    figures = step(0, NOTHING)
    assert values(weights) == [-3.0, -4.0]
    assert {name: float(value) for name, value in figures.items()} == {
        "total": 3.0,
        "part": 2.0,
        "gradient_norm": 5.0,
    }
    assert not any(value.requires_grad for value in figures.values())
    assert float(step(1, NOTHING)["total"]) == 3.0 - 25.0
    assert values(weights) == [-6.0, -8.0]  # gradients do not add up


def test_a_long_gradient_is_clipped_and_a_short_one_is_not() -> None:
    step, weights = step_of(lambda i: ((3.0, 4.0), (0.3, 0.4))[i], clip=1.0)
    assert float(step(0, NOTHING)["gradient_norm"]) == 5.0  # as it was
    assert values(weights) == pytest.approx([-0.6, -0.8], rel=1e-5)
    step(1, NOTHING)
    assert values(weights) == pytest.approx([-0.9, -1.2], rel=1e-5)


@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_gradient_that_is_not_finite_changes_no_weight(broken: float, clip: float) -> None:
    """Not that of its own weight, and not that of another; the next one counts again."""
    step, weights = step_of(lambda i: ((0.1, broken), (0.3, 0.4))[i], clip)
    figures = step(0, NOTHING)
    assert values(weights) == [0.0, 0.0]
    assert not torch.isfinite(figures["gradient_norm"])
    step(1, NOTHING)
    assert values(weights) == pytest.approx([-0.3, -0.4])


def test_momentum_goes_on_as_without_a_gradient() -> None:
    def adam(weights: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(weights, lr=0.1)

    ends = []
    for third in ((torch.nan, 1.0), (0.0, 0.0)):
        step, weights = step_of(lambda i, g=third: g if i == 2 else (1.0, -1.0), 1.0, adam)
        for iteration in range(4):
            step(iteration, NOTHING)
        ends.append(values(weights))
    assert ends[0] == ends[1] and 0.3 < abs(ends[0][0]) < 0.5


def training(
    net: MSGANet, masks: bool, losses: LossConfig | None = None
) -> tuple[Step, torch.optim.Optimizer]:
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-3)
    loss_of = NetworkLoss(net, losses or LossConfig(), half_precision=False, masks=masks)
    step = Step(loss_of, list(net.parameters()), optimiser, torch.Tensor.backward, 1.0)
    return step, optimiser


@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_step_asks_for_no_values(structure: str, masks: bool) -> None:
    """On an accelerator it would wait, and could not be recorded; both directions, too."""
    net = MSGANet(STRUCTURES[structure]).train()
    step, _ = training(net, masks, LossConfig(view_swap=0.5))
    batch = BatchSource(BatchConfig(matches=400, sizes=(64,)), 0).batch(0)
    inputs = [*batch.tensors(), *net.parameters(), *net.buffers()]
    with with_fixed_shapes(), HostAccess(inputs) as access:
        step(0, batch)
    # The eigenvector is found otherwise on an accelerator, see `test_smallest_eigenvector.py`.
    assert [one for one in access.found if "_linalg_eigh" not in one] == []


def test_a_mask_that_masks_nothing_can_be_left_out() -> None:
    torch.manual_seed(0)
    start = MSGANet(STRUCTURES["ours"]).train()
    batch = BatchSource(BatchConfig(matches=400, sizes=(64,)), 0).batch(0)
    assert bool(batch.valid.all())
    figures, ends = [], []
    for masks in (True, False):
        net = copy.deepcopy(start)
        with with_fixed_shapes():
            figures.append(training(net, masks)[0](0, batch))
        ends.append(torch.cat([p.detach().flatten() for p in (*net.parameters(), *net.buffers())]))
    for name, value in figures[0].items():
        wanted = 0.05 if name == "gradient_norm" else 1e-3
        assert float(figures[1][name]) == pytest.approx(float(value), rel=wanted), name
    assert torch.allclose(*ends, rtol=1e-3, atol=1e-4)


def test_the_average_of_weights_and_statistics() -> None:
    torch.manual_seed(0)
    net = nn.BatchNorm1d(3)
    net(torch.randn(8, 3))
    average = MovingAverage(net)
    expected = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    for decay in (0.5, 0.9, 0.0):
        with torch.no_grad():
            net.weight.add_(torch.randn(3))
        net(torch.randn(8, 3) * 2 + 1)
        before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        average.update(net, decay)
        for name, now in net.state_dict().items():
            assert torch.equal(now, before[name])  # the network trains on as it was
            part = expected[name]
            mixed = decay * part + (1 - decay) * now if part.is_floating_point() else now
            expected[name] = mixed.clone()
            assert torch.allclose(average.net.state_dict()[name], mixed)
    assert torch.equal(average.net.weight, net.weight)  # decay 0: the last ones themselves
    assert int(average.net.num_batches_tracked) == 4
    assert not average.net.weight.requires_grad and net.weight.requires_grad
