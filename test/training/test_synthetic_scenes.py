"""Synthetic scenes: what they claim of matches, motion and evidence holds, and all kinds occur."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from shared_data import shared_path
from torch import Tensor

from msga_ros.datasets.dumps import DumpFile
from msga_ros.geometry.eight_point import weighted_eight_point
from msga_ros.geometry.epipolar import essential_from_pose, symmetric_epipolar_distance_squared
from msga_ros.training.synthetic_scenes import SyntheticBatch, SyntheticConfig, synthetic_batch
from msga_ros.training.synthetic_scenes.config import Kind, Motion, Structure

NOISELESS = SyntheticConfig(noise=(1e-6, 2e-6))
PERMISSIVE = {"sfm_saharov32", "sfm_miku_plush", "sfm_banana", "mobilebrick_sample"}


def scenes(
    samples: int = 300, matches: int = 128, seed: int = 0, config: SyntheticConfig | None = None
) -> SyntheticBatch:
    return synthetic_batch(samples, matches, torch.Generator().manual_seed(seed), config)


def residual(batch: SyntheticBatch) -> Tensor:
    essential = essential_from_pose(batch.rotation.double(), batch.translation.double())
    return symmetric_epipolar_distance_squared(batch.correspondences.double(), essential)


def rays(batch: SyntheticBatch) -> tuple[Tensor, Tensor]:
    """Of both views `(B, N, 3)`, the first turned into the second camera's axes."""
    both = batch.correspondences.double().unflatten(-1, (2, 2))
    both = torch.nn.functional.pad(both, (0, 1), value=1.0)
    return both[:, :, 0] @ batch.rotation.double().transpose(1, 2), both[:, :, 1]


def parallax(batch: SyntheticBatch) -> Tensor:
    """`(B, N)`, degrees."""
    first, second = (torch.nn.functional.normalize(r, dim=-1) for r in rays(batch))
    return torch.rad2deg(torch.linalg.cross(first, second).norm(dim=-1).asin())


def test_motions_are_rigid_and_everything_is_finite() -> None:
    batch = scenes()
    assert batch.correspondences.shape == (300, 128, 4)
    assert batch.evidence.shape == (300, 128, 2)
    assert bool(torch.isfinite(batch.correspondences).all())
    identity = batch.rotation @ batch.rotation.transpose(1, 2)
    assert float((identity - torch.eye(3)).abs().max()) < 1e-5
    assert float((torch.linalg.det(batch.rotation) - 1).abs().max()) < 1e-5
    assert float((batch.translation.norm(dim=1) - 1).abs().max()) < 1e-5


def test_right_matches_obey_the_motion_and_wrong_ones_do_not() -> None:
    batch = scenes(config=NOISELESS)
    error = residual(batch)
    assert float(error[batch.inlier].max()) < 1e-9
    for kind, least in ((Kind.RANDOM, 0.9), (Kind.SHARED, 0.9), (Kind.REPEATED, 0.7)):
        assert float((error[batch.kind == kind] > 1e-4).double().mean()) > least
    for kind in set(Kind) - {Kind.RIGHT}:
        assert float((error[batch.kind == kind] > 1e-8).double().mean()) > 0.8


def test_noise_of_right_matches_is_a_few_pixels_and_has_a_tail() -> None:
    config = SyntheticConfig(noise=(1.0, 1.0), tail_share=(0.2, 0.2), image_width=(1000, 1000))
    batch = scenes(config=replace(config, field_of_view=(60, 60)))
    pixel = 2 * np.tan(np.radians(30)) / 1000
    error = (residual(batch)[batch.inlier] / 2).sqrt() / pixel
    assert 0.4 < float(error.median()) < 1.2
    normal = 2.44  # 90 % quantile over the median, of the absolute value of a normal variable
    assert float(error.quantile(0.9) / error.median()) > 1.15 * normal


def test_points_of_right_matches_lie_in_front_of_both_cameras() -> None:
    batch = scenes(config=NOISELESS)
    first, second = rays(batch)
    translation = batch.translation.double()[:, None].expand_as(first)
    # depth0 * first + t is parallel to second, and depth1 likewise.
    across = torch.linalg.cross(second, first)
    certain = batch.inlier & (across.norm(dim=-1) > 1e-5)
    depth0 = -(torch.linalg.cross(second, translation) * across).sum(-1) / across.square().sum(-1)
    depth1 = -(torch.linalg.cross(first, translation) * across).sum(-1) / across.square().sum(-1)
    assert float(certain.double().sum() / batch.inlier.double().sum()) > 0.95
    assert float(depth0[certain].min()) > 0
    assert float(depth1[certain].min()) > 0


def test_shares_of_right_matches_span_two_to_ninety_percent() -> None:
    share = scenes(1000, 500).inlier.double().mean(1)
    assert 0.015 < float(share.min()) < 0.03
    assert 0.8 < float(share.max()) < 0.92
    assert float((share < 0.1).double().mean()) > 0.2
    few = scenes(50, 64).inlier.sum(1)
    assert int(few.min()) >= SyntheticConfig().fewest_inliers


def test_every_kind_of_match_motion_and_structure_occurs() -> None:
    batch = scenes()
    assert set(batch.kind.flatten().tolist()) == set(Kind)
    assert set(batch.motion.tolist()) == set(Motion)
    assert set(batch.structure.tolist()) == set(Structure)
    assert 0.4 < float(batch.prefiltered.double().mean()) < 0.6
    # Mixtures differ: in some scenes a kind makes up most of the wrong matches.
    wrong = (~batch.inlier).sum(1).clamp_min(1)
    for kind in (Kind.RANDOM, Kind.REPEATED, Kind.MOVING, Kind.SHARED):
        assert float(((batch.kind == kind).sum(1) / wrong).max()) > 0.45


@pytest.mark.parametrize("motion", list(Motion))
def test_motions_are_what_their_names_say(motion: Motion) -> None:
    chosen = tuple(float(m == motion) for m in Motion)
    batch = scenes(200, config=replace(NOISELESS, motions=chosen, rolled=0.0))
    assert set(batch.motion.tolist()) == {motion}
    angle = torch.stack(
        [p[inlier].median() for p, inlier in zip(parallax(batch), batch.inlier, strict=True)]
    )
    turn = torch.rad2deg(
        ((batch.rotation.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1).acos()
    )
    ahead = batch.translation[:, 2].abs()
    if motion == Motion.SIDEWAYS:
        assert float(ahead.median()) < 0.6 and float(angle.median()) > 2
    elif motion == Motion.ORBIT:
        assert float(angle.median()) > 10 and float(turn.median()) > 15
    elif motion == Motion.FORWARD:
        assert float(ahead.quantile(0.1)) > 0.9
    elif motion == Motion.TINY:
        # Depths of 50 to 500 baselines.
        assert float(angle.max()) < 3 and 0.1 < float(angle.median()) < 1
    else:
        assert float(angle.max()) < 0.7 and float(turn.median()) > 8


def test_fields_of_view_and_roll_vary() -> None:
    batch = scenes(1000)
    widest = batch.correspondences[..., :2].abs().amax((1, 2))
    assert float(widest.min()) < np.tan(np.radians(13))
    assert float(widest.max()) > np.tan(np.radians(48))
    cosine = ((batch.rotation.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1)
    assert float((cosine < 0).double().mean()) > 0.05  # turned by more than 90 degrees


@pytest.mark.parametrize("structure", [Structure.CLOUD, Structure.DOMINANT_PLANE])
def test_a_dominant_plane_is_a_homography_and_a_cloud_is_not(structure: Structure) -> None:
    config = replace(
        NOISELESS,
        structures=tuple(float(s == structure) for s in Structure),
        motions=tuple(float(m == Motion.ORBIT) for m in Motion),
        inlier_share=(0.9, 0.9),
    )
    batch = scenes(20, 256, config=config)
    shares = []
    for matches, inlier in zip(batch.correspondences.numpy(), batch.inlier.numpy(), strict=True):
        right = matches[inlier].astype(np.float64)
        _, mask = cv2.findHomography(right[:, :2], right[:, 2:], cv2.RANSAC, 1e-4)
        shares.append(mask.mean())
    if structure == Structure.DOMINANT_PLANE:
        assert min(shares) > 0.8
    else:
        assert np.median(shares) < 0.4


def test_a_moving_object_has_one_motion_of_its_own() -> None:
    config = replace(NOISELESS, field_of_view=(60, 60))
    batch = scenes(600, 256, config=config)
    moving = batch.kind == Kind.MOVING
    chosen = moving.sum(1) > 60
    matches, weights = batch.correspondences.double()[chosen], moving.double()[chosen]
    own = weighted_eight_point(matches, weights, hartley=True)
    of_object = moving[chosen]
    agreed = symmetric_epipolar_distance_squared(matches, own)
    of_scene = residual(batch)[chosen]
    assert int(chosen.sum()) > 20
    assert float((agreed[of_object] < 1e-7).double().mean()) > 0.95
    assert float((of_scene[of_object] < 1e-7).double().mean()) < 0.05


def test_shared_keypoints_take_several_matches_and_are_mutual_with_none_of_them() -> None:
    batch = scenes(200)
    shared = batch.kind == Kind.SHARED
    assert not bool(shared[batch.prefiltered].any())
    assert float(batch.evidence[..., 1][shared].max()) == 0.0
    mutual = batch.evidence[..., 1] == 1
    most = 0
    for matches, one, wanted in zip(batch.correspondences, shared, mutual, strict=True):
        targets = matches[one, 2:]
        if len(targets) > 20:
            most = max(most, int(targets.unique(dim=0, return_counts=True)[1].max()))
        assert len(matches[wanted, 2:].unique(dim=0)) == int(wanted.sum())
    assert most >= 5


def test_keypoints_are_clustered_in_some_scenes() -> None:
    batch = scenes(200, 256, config=SyntheticConfig(field_of_view=(60, 60)))
    densest = []
    for points in batch.correspondences[..., :2].numpy():
        counts, _, _ = np.histogram2d(points[:, 0], points[:, 1], bins=8)
        densest.append(counts.max() / counts.sum())
    assert max(densest) > 0.25
    assert min(densest) < 0.08


def test_evidence_is_in_range_and_prefiltered_scenes_pass_both_checks() -> None:
    config = SyntheticConfig()
    batch = scenes(config=config)
    ratio, mutual = batch.evidence.unbind(-1)
    assert float(ratio.min()) > 0 and float(ratio.max()) <= 1
    assert set(mutual.unique().tolist()) == {0.0, 1.0}
    assert float(mutual[batch.prefiltered].min()) == 1
    assert float(ratio[batch.prefiltered].max()) < config.prefilter_ratio + 1e-6
    unfiltered = ~batch.prefiltered[:, None]
    assert float(ratio[batch.inlier & unfiltered].median()) < 0.8
    assert float(ratio[(batch.kind == Kind.RANDOM) & unfiltered].median()) > 0.94


def test_repeated_texture_makes_right_and_wrong_ratios_alike() -> None:
    batch = scenes(1000, config=SyntheticConfig(prefiltered=0.0))
    repeated = (batch.kind == Kind.REPEATED).double().mean(1) > 0.1
    ratio = batch.evidence[..., 0]
    ambiguous = ratio > 0.95
    wrong = ambiguous[batch.kind == Kind.REPEATED].double().mean()
    with_it = ambiguous[batch.inlier & repeated[:, None]].double().mean()
    without = ambiguous[batch.inlier & ~repeated[:, None]].double().mean()
    assert float(wrong) > 0.7
    assert float(with_it) > 1.5 * float(without)


def test_evidence_is_like_that_of_real_matches() -> None:
    real: dict[str, list[np.ndarray]] = {"right": [], "wrong": []}
    for shard in range(4):
        with DumpFile(shared_path(f"data/train-{shard}.h5")) as dump:
            for index in range(0, len(dump), 6):
                if not any(scene in dump.name(index) for scene in PERMISSIVE):
                    continue
                pair = dump[index]
                pixels = np.sqrt(pair.residual / 2) * pair.focal0.mean()
                rows = np.stack((pair.ratios, pair.mutuals), 1)
                real["right"].append(rows[pixels < 1].mean(0))
                real["wrong"].append(rows[pixels > 20].mean(0))
    batch = scenes(1000, config=SyntheticConfig(prefiltered=0.0))
    no_texture = (batch.kind != Kind.REPEATED).all(1, keepdim=True)
    for name, chosen in (("right", batch.inlier & no_texture), ("wrong", batch.kind == 1)):
        pairs = zip(batch.evidence, chosen, strict=True)
        made = np.stack([e[c].mean(0).numpy() for e, c in pairs if int(c.sum()) > 20])
        expected = np.median(real[name], axis=0)
        width = 0.06 if name == "right" else 0.02
        assert np.median(made[:, 0]) == pytest.approx(expected[0], abs=width)
        assert np.median(made[:, 1]) == pytest.approx(expected[1], abs=0.06)


def test_a_batch_is_a_function_of_the_generator_alone() -> None:
    torch.manual_seed(1)
    one = scenes(20)
    torch.manual_seed(2)
    np.random.default_rng().random()
    other = scenes(20)
    before = torch.get_rng_state()
    generator = torch.Generator().manual_seed(0)
    third = synthetic_batch(20, 128, generator)
    fourth = synthetic_batch(20, 128, generator)
    assert torch.equal(before, torch.get_rng_state())
    for again in (other, third):
        assert torch.equal(one.correspondences, again.correspondences)
        assert torch.equal(one.evidence, again.evidence)
        assert torch.equal(one.rotation, again.rotation)
    assert not torch.equal(third.correspondences, fourth.correspondences)
    assert not torch.equal(one.correspondences, scenes(20, seed=1).correspondences)


def test_everything_is_made_on_the_device_of_the_generator() -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):  # what names no device would land here, and not mix
        batch = synthetic_batch(20, 128, generator)
    assert {tensor.device.type for tensor in vars(batch).values()} == {"cpu"}
    assert torch.equal(batch.correspondences, scenes(20).correspondences)


def test_wrong_requests_are_refused() -> None:
    generator = torch.Generator()
    for samples, matches in ((0, 10), (3, 0)):
        with pytest.raises(ValueError, match="cannot make"):
            synthetic_batch(samples, matches, generator)
    for wrong in (
        {"motions": (1.0,)},
        {"inlier_share": (0.0, 0.5)},
        {"field_of_view": (20, 180)},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SyntheticConfig(**wrong)
    assert synthetic_batch(1, 1, generator).correspondences.shape == (1, 1, 4)
