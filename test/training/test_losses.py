"""Losses: against recorded values of the published program, and what they must prefer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from shared_data import shared_path

from msga_ros.evaluation.metrics import precision_recall_f
from msga_ros.geometry.epipolar import essential_from_pose, symmetric_epipolar_distance_squared
from msga_ros.network import INLIER_THRESHOLD, MSGANet, MSGANetConfig
from msga_ros.training.batches import Batch, BatchConfig, BatchSource
from msga_ros.training.losses import (
    LossConfig,
    classification_loss,
    geometry_loss,
    loss,
    view_swap_loss,
    virtual_correspondences,
)

SMALL = MSGANetConfig(channels=16, residual_blocks=1, grid=4, msformer_layers=1)


@pytest.fixture
def batch() -> Batch:
    return BatchSource(BatchConfig(matches=384, sizes=(96,)), seed=0).batch(0)


@pytest.mark.parametrize("case", [0, 1, 2])
def test_losses_are_the_published_ones(case: int) -> None:
    file = np.load(shared_path("golden/msga_net_parity.npz"))

    def recorded(name: str) -> torch.Tensor:
        return torch.from_numpy(file[f"case{case}/{name}"])

    logits = [recorded(f"logits{i}") for i in range(5)]
    residual = recorded("label_residual")
    first = residual.gather(1, logits[1].topk(logits[2].shape[1], dim=1).indices)
    second = first.gather(1, logits[3].topk(logits[4].shape[1], dim=1).indices)
    labels = (residual, residual, first, first, second)
    classification = sum(
        float(classification_loss(x, y)) for x, y in zip(logits, labels, strict=True)
    )
    # What stood for virtual correspondences in the recording are the first 100 of the input.
    settings = LossConfig(geometry_kind="clamped")
    virtual = recorded("correspondences")[:, :100].double()
    essential = settings.geometry * float(
        geometry_loss(virtual, recorded("essential").double(), settings)
    )
    total, of_essential, of_classification, precision, recall = recorded(
        "loss_total_essential_classif_precision_recall"
    ).tolist()
    assert classification == pytest.approx(of_classification, rel=1e-4)
    assert essential == pytest.approx(of_essential, rel=1e-4)
    assert classification + essential == pytest.approx(total, rel=1e-4)
    scores = [
        precision_recall_f(found.numpy() < INLIER_THRESHOLD, true.numpy() < INLIER_THRESHOLD)
        for found, true in zip(recorded("residual"), residual, strict=True)
    ]
    assert np.mean(scores, axis=0)[:2] == pytest.approx([precision, recall], abs=1e-6)


def padded_batch(batch: Batch, counts: tuple[int, ...], garbage: float = 0.0) -> Batch:
    """Only the first matches of each sample are valid."""
    valid = torch.arange(batch.valid.shape[1]) < torch.tensor(counts)[:, None]
    return replace(
        batch,
        valid=valid,
        correspondences=torch.where(valid[..., None], batch.correspondences, garbage),
        residual=torch.where(valid, batch.residual, torch.inf),
    )


def frozen_norms(net: MSGANet) -> MSGANet:
    """In training mode, but samples do not see each other through batch statistics."""
    net.train()
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
    return net


@pytest.mark.parametrize("kind", ["log", "clamped"])
def test_loss_of_a_padded_batch_is_the_mean_over_its_samples_alone(batch: Batch, kind: str) -> None:
    torch.manual_seed(0)
    net = frozen_norms(MSGANet(SMALL))
    config = LossConfig(geometry_kind=kind)
    counts = (96, 60, 71, 48)
    padded = padded_batch(batch, counts)
    together = loss(net(padded.correspondences, padded.valid), padded, config, 0)
    alone = []
    for sample, count in enumerate(counts):
        rows = slice(sample, sample + 1)
        one = replace(
            batch,
            correspondences=batch.correspondences[rows, :count],
            residual=batch.residual[rows, :count],
            rotation=batch.rotation[rows],
            translation=batch.translation[rows],
        )
        alone.append(loss(net(one.correspondences), one, config, 0))
    for part in ("classification", "geometry", "total"):
        mean = np.mean([float(getattr(value, part).detach()) for value in alone])
        assert float(getattr(together, part).detach()) == pytest.approx(mean, rel=1e-4)


def test_what_padding_holds_changes_neither_loss_nor_gradient(batch: Batch) -> None:
    outcomes = []
    for garbage in (0.0, 7.0, float("nan")):
        torch.manual_seed(0)
        net = MSGANet(SMALL).train()
        padded = padded_batch(batch, (96, 60, 71, 48), garbage)
        value = loss(net(padded.correspondences, padded.valid), padded, LossConfig(), 0)
        value.total.backward()
        gradients = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
        outcomes.append((float(value.total.detach()), gradients))
    for total, gradients in outcomes[1:]:
        assert total == pytest.approx(outcomes[0][0], rel=1e-6)
        assert torch.allclose(gradients, outcomes[0][1], rtol=1e-5, atol=1e-6)


def test_a_sample_of_too_few_matches_counts_for_nothing(batch: Batch) -> None:
    torch.manual_seed(0)
    net = frozen_norms(MSGANet(SMALL))
    few = padded_batch(batch, (96, 3, 71, 48))
    value = loss(net(few.correspondences, few.valid), few, LossConfig(), 0)
    value.total.backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in net.parameters() if p.grad is not None)
    enough = torch.tensor([0, 2, 3])
    others = Batch(*(tensor[enough] for tensor in few.tensors()))
    expected = loss(net(others.correspondences, others.valid), others, LossConfig(), 0)
    assert float(value.total.detach()) == pytest.approx(float(expected.total.detach()), rel=1e-4)


@torch.no_grad()
def test_both_directions_agree_only_where_they_say_the_same(batch: Batch) -> None:
    torch.manual_seed(0)
    result = MSGANet(SMALL)(batch.correspondences)
    back = replace(result, essential=-result.essential.transpose(1, 2))
    assert float(view_swap_loss(result, back)) == pytest.approx(0.0, abs=1e-10)
    assert float(view_swap_loss(result, result)) > 0.01  # of both solutions one must be transposed
    other = replace(back, logits=(result.logits[0], result.logits[1] + 1, *result.logits[2:]))
    assert float(view_swap_loss(result, other)) > 0.001


def test_classification_prefers_right_scores() -> None:
    residual = torch.tensor([[1e-6, 1e-6, 1e-2, 1e-2, 1e-2]])
    right = torch.where(residual < 1e-4, 3.0, -3.0)
    assert classification_loss(right, residual) < 0.2 < classification_loss(-right, residual)


def test_classification_without_a_single_inlier_is_finite() -> None:
    value = classification_loss(torch.zeros(2, 8), torch.ones(2, 8))
    assert bool(torch.isfinite(value))


def test_virtual_correspondences_obey_the_motion(batch: Batch) -> None:
    matches, seen = virtual_correspondences(batch.rotation.double(), batch.translation.double())
    essential = essential_from_pose(batch.rotation.double(), batch.translation.double())
    distance = symmetric_epipolar_distance_squared(matches, essential)
    assert float(distance[seen].max()) < 1e-10
    assert float(seen.float().mean()) > 0.5


@torch.no_grad()
@pytest.mark.parametrize("kind", ["log", "clamped"])
def test_geometry_is_least_for_the_true_matrix(batch: Batch, kind: str) -> None:
    torch.manual_seed(0)
    result = MSGANet(SMALL)(batch.correspondences)
    config = LossConfig(geometry_kind=kind)
    estimated = loss(result, batch, config, 0)
    true = essential_from_pose(batch.rotation, batch.translation)
    true /= true.flatten(1).norm(dim=1)[:, None, None]
    perfect = loss(replace(result, essential=true), batch, config, 0)
    assert float(perfect.geometry) < 1e-2 * float(estimated.geometry)


@torch.no_grad()
def test_geometry_counts_from_its_iteration_on(batch: Batch) -> None:
    torch.manual_seed(0)
    result = MSGANet(SMALL)(batch.correspondences)
    config = LossConfig(geometry=2.0, geometry_from=10)
    before, after = loss(result, batch, config, 9), loss(result, batch, config, 10)
    assert float(before.total) == pytest.approx(float(before.classification))
    assert float(after.total - after.classification) == pytest.approx(
        2 * float(after.geometry), rel=1e-5
    )


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="geometry_kind"):
        LossConfig(geometry_kind="other")
    with pytest.raises(ValueError, match="view_swap"):
        LossConfig(view_swap=-1.0)
