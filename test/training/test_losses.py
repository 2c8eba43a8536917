"""Losses: against recorded values of the published program, and what they must prefer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from shared_data import shared_path

from msga_ros.geometry.epipolar import essential_from_pose, symmetric_epipolar_distance_squared
from msga_ros.network import MSGANet, MSGANetConfig
from msga_ros.training.batches import Batch, BatchConfig, BatchSource
from msga_ros.training.losses import (
    LossConfig,
    classification_loss,
    loss,
    true_essential,
    virtual_correspondences,
)

SMALL = MSGANetConfig(channels=16, residual_blocks=1, grid=4, msformer_layers=1)


@pytest.fixture
def batch() -> Batch:
    return BatchSource(BatchConfig(matches=384, sizes=(96,)), seed=0).batch(0)


@pytest.mark.parametrize("case", [0, 1, 2])
def test_classification_is_the_published_one(case: int) -> None:
    file = np.load(shared_path("golden/msga_net_parity.npz"))
    logits = [torch.from_numpy(file[f"case{case}/logits{i}"]) for i in range(5)]
    residual = torch.from_numpy(file[f"case{case}/label_residual"])
    first = residual.gather(1, logits[1].topk(logits[2].shape[1], dim=1).indices)
    second = first.gather(1, logits[3].topk(logits[4].shape[1], dim=1).indices)
    labels = (residual, residual, first, first, second)
    total = sum(float(classification_loss(x, y)) for x, y in zip(logits, labels, strict=True))
    recorded = file[f"case{case}/loss_total_essential_classif_precision_recall"]
    assert total == pytest.approx(recorded[2], rel=1e-4)


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


@pytest.mark.parametrize("kind", ["log", "clamped"])
def test_geometry_is_least_for_the_true_matrix(batch: Batch, kind: str) -> None:
    torch.manual_seed(0)
    result = MSGANet(SMALL)(batch.correspondences)
    config = LossConfig(geometry_kind=kind)
    estimated = loss(result, batch, config, 0)
    perfect = loss(replace(result, essential=true_essential(batch)), batch, config, 0)
    assert float(perfect.geometry) < 1e-2 * float(estimated.geometry)


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
