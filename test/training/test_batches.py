"""Batches: what they depend on, what filters leave, what is padding, and that labels stay true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from host_access import HostAccess
from synthetic_dump import synthetic_pair, write_dump

from msga_ros.datasets.dumps import DumpFile
from msga_ros.geometry.epipolar import essential_from_pose, symmetric_epipolar_distance_squared
from msga_ros.network.evidence import EVIDENCE
from msga_ros.training.batches import Batch, BatchConfig, BatchSource
from msga_ros.training.padded_pairs import PaddedPairs
from msga_ros.training.synthetic_scenes.draws import Draws


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
    assert all(
        torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)
        for a, b in zip(first.tensors(), second.tensors(), strict=True)
    )
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


def test_thinned_samples_have_fewer_true_matches(dump: str) -> None:
    settings = BatchConfig(dumps=(dump,), matches=20000, sizes=(100,), synthetic=0.0)
    plain, thin = (
        (BatchSource(replace(settings, thinned=share), seed=0).batch(0).residual < 1e-4)
        .double()
        .mean(1)
        for share in (0.0, 1.0)
    )
    assert float(thin.median()) < 0.75 * float(plain.median())
    assert float(thin.min()) > 0


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
    assert batch.valid.shape == (20, 400)  # whatever the filter leaves
    counts = batch.valid.sum(1)
    assert len(counts.unique()) > 1
    assert int(counts.max()) < 400
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
    # They are the distances to what such coordinates do obey.
    pixels = right.correspondences[0].double(), wrong.correspondences[0].double()
    scale = (pixels[1] / pixels[0]).median(0).values
    assert float((scale - 1).abs().min()) > 1e-3
    assert torch.allclose(pixels[1], pixels[0] * scale, atol=1e-6)
    essential = essential_from_pose(right.rotation[0].double(), right.translation[0].double())
    undo = [torch.diag(F.pad(1 / part, (0, 1), value=1.0)) for part in scale.split(2)]
    obeyed = symmetric_epipolar_distance_squared(pixels[1], undo[1] @ essential @ undo[0])
    assert torch.allclose(wrong.residual[0].double().sqrt(), obeyed.sqrt(), rtol=1e-2, atol=1e-5)
    # The true motion is no longer that.
    of_truth = residual_to_motion(wrong)[0][other]
    assert float(of_truth.median()) > 10 * float(residual_to_motion(right)[0][one].median())


def test_a_swapped_batch_is_as_true(dump: str) -> None:
    settings = BatchConfig(dumps=(dump,), matches=1024, sizes=(128,), synthetic=0.5, fill=False)
    batch = BatchSource(settings, seed=0).batch(0)
    told = torch.rand(batch.evidence.shape, generator=torch.Generator().manual_seed(0))
    batch = replace(batch, evidence=told)
    back = batch.swapped()
    # What turned and grew from the first view to the second does the opposite on the way back.
    signs = torch.tensor([-1.0 if name in ("rotation", "log_scale") else 1.0 for name in EVIDENCE])
    assert torch.equal(back.evidence, told * signs)
    assert torch.equal(back.residual, batch.residual)
    valid = batch.valid
    one, other = residual_to_motion(batch)[valid], residual_to_motion(back)[valid]
    assert torch.allclose(one.sqrt(), other.sqrt(), atol=1e-5, rtol=1e-3)
    again = back.swapped()
    for once, twice in zip(batch.tensors(), again.tensors(), strict=True):
        assert torch.allclose(once, twice, atol=1e-6, equal_nan=True)


def test_of_some_samples_the_descriptors_know_nothing(dump: str) -> None:
    settings = BatchConfig(dumps=(dump,), matches=20000, sizes=(100,), unknown_evidence=0.5)
    evidence = BatchSource(settings, seed=0).batch(0).evidence
    unknown = evidence.isnan().all(-1).all(-1)
    assert 0.35 < float(unknown.double().mean()) < 0.65
    # Of the others ratio and mutual are known of every match.
    assert bool(torch.isfinite(evidence[~unknown][..., :2]).all())


def test_single_entries_are_hidden_from_whole_samples() -> None:
    """But for ratio and mutual, and each on its own."""
    shape = (400, 30)
    known = torch.rand(*shape, len(EVIDENCE), generator=torch.Generator().manual_seed(0))
    batch = Batch(
        torch.zeros(*shape, 4),
        torch.zeros(shape),
        torch.eye(3).expand(400, 3, 3),
        torch.ones(400, 3),
        known,
        torch.arange(30).expand(shape) < 25,
    )
    settings = BatchConfig(hidden_evidence=0.3, unknown_evidence=0.0, augment=False)
    draws = Draws(torch.Generator().manual_seed(0))
    found = BatchSource(settings, seed=0)._with_evidence_changed(batch, draws).evidence
    hidden = found.isnan()[:, :25]
    assert torch.equal(hidden.all(1), hidden.any(1))
    shares = hidden[:, 0].double().mean(0)
    assert shares[:2].tolist() == [0, 0]
    assert float(shares[2:].min()) > 0.2 and float(shares[2:].max()) < 0.4
    both = (hidden[:, 0, 2] & hidden[:, 0, 3]).double().mean()
    assert 0.04 < float(both) < 0.15
    assert torch.equal(found[:, :25][~hidden], known[:, :25][~hidden])
    assert float(found[:, 25:].abs().max()) == 0  # padding says nothing


def test_all_but_ratio_and_mutual_is_hidden_together() -> None:
    known = torch.rand(400, 6, len(EVIDENCE), generator=torch.Generator().manual_seed(0))
    batch = Batch(
        torch.zeros(400, 6, 4),
        torch.zeros(400, 6),
        torch.eye(3).expand(400, 3, 3),
        torch.ones(400, 3),
        known,
        torch.ones(400, 6, dtype=torch.bool),
    )
    settings = BatchConfig(
        hidden_evidence=0.0, hidden_together=0.3, unknown_evidence=0.0, augment=False
    )
    draws = Draws(torch.Generator().manual_seed(0))
    found = BatchSource(settings, seed=0)._with_evidence_changed(batch, draws).evidence
    hidden = found.isnan()
    assert torch.equal(hidden[..., 2:].all(-1).all(-1), hidden.any(-1).any(-1))
    assert not bool(hidden[..., :2].any())
    assert 0.23 < float(hidden[..., 2].double().mean()) < 0.37
    assert torch.equal(found[~hidden], known[~hidden])


def test_batches_made_together_are_parts_of_one_draw(dump: str) -> None:
    """Whatever the order in which they are asked for: a run that goes on begins anywhere."""
    settings = BatchConfig(
        dumps=(dump,), matches=1600, sizes=(40, 80), synthetic=0.4, fill=False, together=5
    )
    source, other = BatchSource(settings, seed=1), BatchSource(settings, seed=1)
    batches = [source.batch(iteration) for iteration in range(10)]
    for iteration in (7, 2, 9):
        again = other.batch(iteration)
        for one, two in zip(batches[iteration].tensors(), again.tensors(), strict=True):
            assert torch.allclose(one, two, rtol=0, atol=0, equal_nan=True)
    for batch in batches:
        size = batch.valid.shape[1]
        assert batch.samples == 1600 // size
    assert len({float(batch.rotation.sum()) for batch in batches}) == 10


def test_batches_made_together_have_synthetic_samples_each(dump: str) -> None:
    settings = BatchConfig(
        dumps=(dump,),
        matches=1600,
        sizes=(40,),
        synthetic=0.5,
        augment=False,
        unknown_evidence=0.0,
        together=4,
    )
    source = BatchSource(settings, seed=0)
    for iteration in range(4):
        ratio = source.batch(iteration).evidence[..., 0]
        low, high = 0.5, 0.95  # those of a synthetic dump's pairs
        apart = torch.minimum((ratio - low).abs(), (ratio - high).abs()).amax(1)
        assert 8 <= int((apart > 1e-6).sum()) <= 32  # of 40


def test_ratios_of_a_sample_are_spread_otherwise_in_their_order(dump: str) -> None:
    settings = BatchConfig(
        dumps=(dump,),
        matches=2000,
        sizes=(150,),
        synthetic=0.0,
        unknown_evidence=0.0,
        filters=(1, 0, 0, 0, 0),
    )
    plain = BatchSource(replace(settings, augment=False), seed=0).batch(0).evidence[..., 0]
    low, high = 0.5, 0.95  # those of a synthetic pair
    assert float(torch.minimum((plain - low).abs(), (plain - high).abs()).max()) < 1e-6
    found = BatchSource(settings, seed=0).batch(0).evidence[..., 0]
    exponents = found.amin(1, keepdim=True).log() / np.log(low)
    assert 0.7 < float(exponents.min()) < 0.9
    assert 1.1 < float(exponents.max()) < 1.4
    apart = [(found - ratio**exponents).abs() for ratio in (low, high)]
    assert float(torch.minimum(*apart).max()) < 1e-4
    assert all(float(part.amin(1).max()) < 1e-4 for part in apart)


def test_only_the_scenes_that_are_named(dump: str) -> None:
    source = BatchSource(BatchConfig(dumps=(dump,), scenes=("scene1",)), seed=0)
    assert source.names == ["scene1 a1.jpg b1.jpg", "scene1 a3.jpg b3.jpg"]
    with DumpFile(dump) as file:
        lengths = {len(file[i].correspondences) for i in (1, 3)}
    batch = BatchSource(
        BatchConfig(
            dumps=(dump,),
            scenes=("scene1",),
            synthetic=0.0,
            matches=10000,
            sizes=(500,),
            fill=False,
            filters=(1, 0, 0, 0, 0),
        ),
        seed=0,
    ).batch(0)
    assert set(batch.valid.sum(1).tolist()) == lengths
    with pytest.raises(ValueError, match="no pairs of scene7"):
        BatchSource(BatchConfig(dumps=(dump,), scenes=("scene1", "scene7")), seed=0)


def test_no_batch_waits_for_the_device(dump: str) -> None:
    """Constants are copied there once, with the first batch."""
    settings = BatchConfig(
        dumps=(dump,),
        matches=1000,
        sizes=(100,),
        synthetic=0.5,
        crops=0.5,
        thinned=0.5,
        focal_error=0.1,
    )
    for fill, together in ((True, 1), (False, 1), (True, 2)):
        source = BatchSource(replace(settings, fill=fill, together=together), seed=0)
        assert source._pairs is not None
        with HostAccess(vars(source._pairs).values()) as access:
            source.batch(0)
            access.found.clear()
            source.batch(together)
        assert access.found == []


def test_wrong_settings_are_refused() -> None:
    for wrong in (
        {"filters": (1.0,)},
        {"filters": (0.0,) * 5},
        {"sizes": ()},
        {"sizes": (0,)},
        {"hidden_together": 1.5},
        {"together": 0},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            BatchConfig(**wrong)


@pytest.mark.parametrize(("hard", "expected"), [(0.0, 0.5), (1.0, 0.75)])
def test_hard_pairs_are_drawn_more_often(tmp_path: Path, hard: float, expected: float) -> None:
    # 0.8 and 0.27 of true matches: with hard = 1 the second is drawn three times as often.
    pairs = [synthetic_pair(0, matches=200, outliers=0.2, noise_px=0.0)]
    pairs.append(synthetic_pair(1, matches=200, outliers=0.73, noise_px=0.0))
    dump = str(write_dump(tmp_path / "dump.h5", pairs))
    settings = BatchConfig(
        dumps=(dump,),
        matches=6400,
        sizes=(16,),
        synthetic=0.0,
        augment=False,
        hard=hard,
        filters=(1.0, 0.0, 0.0, 0.0, 0.0),
    )
    rotation = BatchSource(settings, seed=0).batch(0).rotation
    second = (rotation - torch.from_numpy(pairs[1].rotation).float()).abs().amax((1, 2)) < 1e-4
    assert float(second.float().mean()) == pytest.approx(expected, abs=0.06)


def test_shares_of_true_matches_count_matches_alone(tmp_path: Path) -> None:
    pairs = [synthetic_pair(0, matches=50, outliers=0.5), synthetic_pair(1, matches=300)]
    shares = PaddedPairs.of(pairs, torch.device("cpu")).true_shares()
    expected = [float((pair.residual < 1e-4).mean()) for pair in pairs]
    assert shares.tolist() == pytest.approx(expected, abs=0.011)


def test_how_much_harder_is_bounded() -> None:
    with pytest.raises(ValueError, match="hard must be"):
        BatchConfig(hard=3.0)
