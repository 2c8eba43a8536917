"""Batches: what they depend on, what filters leave, what is padding, and that labels stay true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from msga_ros.training.prefetch import Prefetched
from shared_data import shared_path
from synthetic_dump import synthetic_pair, write_dump

from msga_ros.datasets.dumps import DumpFile
from msga_ros.geometry.epipolar import essential_from_pose, symmetric_epipolar_distance_squared
from msga_ros.training.batches import Batch, BatchConfig, BatchSource, choose_matches


@pytest.fixture
def dump(tmp_path: Path) -> str:
    """Pairs of 150 to 450 matches."""
    pairs = [synthetic_pair(i, matches=150 + 100 * i) for i in range(4)]
    return str(write_dump(tmp_path / "dump.h5", pairs))


def residual_to_motion(batch: Batch) -> torch.Tensor:
    essential = essential_from_pose(batch.rotation.double(), batch.translation.double())
    return symmetric_epipolar_distance_squared(batch.correspondences.double(), essential)


def test_a_batch_depends_on_seed_and_iteration_alone(dump: str) -> None:
    settings = BatchConfig(dumps=(dump,), matches=512, sizes=(64, 96), synthetic=0.5)
    one, other = BatchSource(settings, seed=1), BatchSource(settings, seed=1)
    other.batch(3)
    torch.manual_seed(5)
    first, second = one.batch(7), other.batch(7)
    assert all(torch.equal(a, b) for a, b in zip(first.tensors(), second.tensors(), strict=True))
    assert not torch.equal(
        BatchSource(settings, seed=2).batch(7).residual.sum(), first.residual.sum()
    )
    assert not torch.equal(one.batch(8).residual.sum(), first.residual.sum())


@pytest.mark.parametrize("fill", [True, False])
def test_residuals_are_those_to_the_true_motion(dump: str, fill: bool) -> None:
    settings = BatchConfig(dumps=(dump,), matches=1024, sizes=(128,), synthetic=0.5, fill=fill)
    batch = BatchSource(settings, seed=0).batch(0)
    true = residual_to_motion(batch)[batch.valid]
    stated = batch.residual[batch.valid].double()
    assert torch.allclose(stated.sqrt(), true.sqrt(), atol=2e-5, rtol=1e-2)
    assert 0.05 < float((stated < 1e-4).double().mean()) < 0.9


def test_filling_up_makes_samples_of_one_size(dump: str) -> None:
    settings = BatchConfig(dumps=(dump,), matches=2000, sizes=(500,), synthetic=0.0)
    batch = BatchSource(settings, seed=0).batch(0)
    assert batch.correspondences.shape == (4, 500, 4)
    assert bool(batch.valid.all())


def test_masks_leave_what_a_filter_leaves(dump: str) -> None:
    settings = BatchConfig(
        dumps=(dump,),
        matches=8000,
        sizes=(400,),
        synthetic=0.0,
        fill=False,
        filters=(0, 0, 0, 1, 0),
        augment=False,
        unknown_evidence=0.0,
    )
    batch = BatchSource(settings, seed=0).batch(0)
    counts = batch.valid.sum(1)
    assert int(counts.max()) == batch.valid.shape[1]  # no longer than needed
    assert len(counts.unique()) > 1
    assert float(batch.evidence[..., 0][batch.valid].max()) < 0.95
    assert float(batch.evidence[..., 1][batch.valid].min()) == 1
    padding = ~batch.valid
    assert float(batch.correspondences[padding].abs().max()) == 0
    assert float(batch.evidence[padding].abs().max()) == 0
    assert bool(torch.isinf(batch.residual[padding]).all())
    for matches, valid in zip(batch.correspondences, batch.valid, strict=True):
        assert len(matches[valid].unique(dim=0)) == int(valid.sum())


def test_synthetic_and_real_samples_of_different_sizes_share_a_batch(dump: str) -> None:
    settings = BatchConfig(dumps=(dump,), matches=6400, sizes=(400,), synthetic=0.5, fill=False)
    batch = BatchSource(settings, seed=0).batch(0)
    counts = batch.valid.sum(1)
    assert batch.valid.shape == (16, 400)
    assert 2 <= int((counts == 400).sum()) <= 14


def test_a_filter_that_leaves_too_little_is_not_applied() -> None:
    pair = synthetic_pair(0, matches=200)
    pair = replace(pair, mutuals=np.zeros(200, dtype=bool))
    generator = np.random.default_rng(0)
    chosen = choose_matches(pair, generator, 500, filters=(0, 1, 0, 0, 0), fill=False)
    assert sorted(chosen.tolist()) == list(range(200))
    assert len(choose_matches(pair, generator, 80, filters=(0, 1, 0, 0, 0), fill=False)) == 80


def test_chosen_matches_are_distinct_while_there_are_enough() -> None:
    with DumpFile(shared_path("data/train-3.h5")) as dump:
        pair = dump[0]
    shares = []
    for seed in range(20):
        chosen = choose_matches(pair, np.random.default_rng(seed), 256)
        assert len(set(chosen.tolist())) == 256
        shares.append(np.mean(pair.residual[chosen] < 1e-4))
    assert max(shares) > 1.5 * min(shares)  # prefilters of different strictness
    assert len(choose_matches(pair, np.random.default_rng(0), 5000)) == 5000


def test_matches_are_chosen_among_the_candidates_only() -> None:
    pair = synthetic_pair(0, matches=300)
    candidates = np.arange(100, 220)
    for fill in (True, False):
        chosen = choose_matches(pair, np.random.default_rng(1), 150, candidates, fill=fill)
        assert set(chosen.tolist()) <= set(candidates.tolist())


def test_crops_narrow_the_field_of_view(dump: str) -> None:
    whole = BatchConfig(
        dumps=(dump,), matches=4000, sizes=(100,), synthetic=0.0, augment=True, crops=0.0
    )
    extents = []
    for settings in (whole, replace(whole, crops=1.0)):
        matches = BatchSource(settings, seed=0).batch(0).correspondences
        extents.append(float((matches.amax(1) - matches.amin(1)).median()))
    assert extents[1] < 0.9 * extents[0]


def test_wrong_focal_lengths_keep_labels_but_not_the_motion(dump: str) -> None:
    settings = BatchConfig(dumps=(dump,), matches=2000, sizes=(200,), synthetic=0.0, augment=False)
    right = BatchSource(settings, seed=0).batch(0)
    wrong = BatchSource(replace(settings, focal_error=0.2), seed=0).batch(0)
    # The first sample is the same pair in both.
    one, other = right.residual[0] < 1e-4, wrong.residual[0] < 1e-4
    assert float((one == other).double().mean()) > 0.9
    # The true motion is no longer what such coordinates obey.
    of_truth = residual_to_motion(wrong)[0][other]
    assert float(of_truth.median()) > 10 * float(residual_to_motion(right)[0][one].median())


def test_a_swapped_batch_is_as_true(dump: str) -> None:
    settings = BatchConfig(dumps=(dump,), matches=1024, sizes=(128,), synthetic=0.5, fill=False)
    batch = BatchSource(settings, seed=0).batch(0)
    back = batch.swapped()
    assert torch.equal(back.residual, batch.residual)
    valid = batch.valid
    one, other = residual_to_motion(batch)[valid], residual_to_motion(back)[valid]
    assert torch.allclose(one.sqrt(), other.sqrt(), atol=1e-5, rtol=1e-3)
    again = back.swapped()
    assert torch.equal(again.correspondences, batch.correspondences)
    assert torch.allclose(again.translation, batch.translation, atol=1e-6)


def test_of_some_samples_the_descriptors_know_nothing(dump: str) -> None:
    settings = BatchConfig(dumps=(dump,), matches=8000, sizes=(100,), unknown_evidence=0.5)
    evidence = BatchSource(settings, seed=0).batch(0).evidence
    unknown = (evidence == torch.tensor([1.0, 0.0])).all(-1).all(-1)
    assert 0.3 < float(unknown.double().mean()) < 0.7


def test_only_the_scenes_that_are_named(dump: str) -> None:
    source = BatchSource(BatchConfig(dumps=(dump,), scenes=("scene1",)), seed=0)
    assert {pair.scene for pair in source.pairs} == {"scene1"} and len(source.pairs) == 2
    with pytest.raises(ValueError, match="no pairs of scene7"):
        BatchSource(BatchConfig(dumps=(dump,), scenes=("scene1", "scene7")), seed=0)


def test_prefetched_batches_are_those_of_the_source_in_any_order(dump: str) -> None:
    settings = BatchConfig(dumps=(dump,), matches=256, sizes=(64,), synthetic=0.5)
    source = BatchSource(settings, seed=0)
    ahead = Prefetched(BatchSource(settings, seed=0))
    for iteration in (0, 1, 2, 7, 3, 4):
        expected, found = source.batch(iteration), ahead.batch(iteration)
        pairs = zip(expected.tensors(), found.tensors(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


def test_an_error_while_prefetching_is_raised_where_the_batch_is_asked_for(dump: str) -> None:
    class Broken(BatchSource):
        def batch(self, iteration: int) -> Batch:
            if iteration == 2:
                raise OSError("gone")
            return super().batch(iteration)

    ahead = Prefetched(Broken(BatchConfig(dumps=(dump,), matches=256, sizes=(64,)), seed=0))
    ahead.batch(0)
    ahead.batch(1)
    with pytest.raises(OSError, match="gone"):
        ahead.batch(2)


def test_wrong_settings_are_refused() -> None:
    for wrong in ({"filters": (1.0,)}, {"filters": (0.0,) * 5}, {"sizes": ()}, {"sizes": (0,)}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            BatchConfig(**wrong)
