"""What matches say of a motion that was found without them, and of a camera that only turned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom
from stream.fakes import CAMERA, make_result
from two_view_scene import TwoViewScene, random_scene

from msga_ros.geometry.epipolar import sampson_distance_squared
from msga_ros.geometry.pose import essential_matrix
from msga_ros.geometry.significance import chance_of_as_many
from msga_ros.two_view.config import PoseConfig
from msga_ros.two_view.result import TwoViewResult
from msga_ros.two_view.witness import Witnesses, hardly_moved

BOTH = (CAMERA, CAMERA)


def seen(scene: TwoViewScene, **fields: Any) -> TwoViewResult:
    """The matches of `scene` in pixels, none of them an inlier of anything."""
    pixels = [
        (points * [500.0, 510.0] + [320.0, 240.0]).astype(np.float32)
        for points in (scene.points0, scene.points1)
    ]
    none = np.zeros(len(pixels[0]), dtype=bool)
    values = {"keypoints0": pixels[0], "keypoints1": pixels[1], "inlier": none, **fields}
    return make_result(len(none), 0, **values)


def chance_of(
    essential: np.ndarray, result: TwoViewResult, cameras: Any, px: float, independent: bool
) -> float:
    return Witnesses.of(result, cameras, px, independent).chance_of(essential)


def true_essential(scene: TwoViewScene) -> np.ndarray:
    return essential_matrix(scene.rotation, scene.translation)


@pytest.mark.parametrize(
    ("matches", "inliers", "chance"), [(40, 3, 0.01), (9, 9, 0.3), (500, 2, 0.01)]
)
def test_the_chance_is_the_tail_of_the_binomial(matches: int, inliers: int, chance: float) -> None:
    drawn = np.random.default_rng(0).random((200_000, matches)) < chance if matches < 50 else None
    found = chance_of_as_many(matches, inliers, chance)
    assert found == pytest.approx(binom.sf(inliers - 1, matches, chance), rel=1e-9)
    if drawn is not None:
        assert found == pytest.approx((drawn.sum(axis=1) >= inliers).mean(), rel=0.2, abs=5e-5)
    assert chance_of_as_many(matches, 0, chance) == 1.0
    assert chance_of_as_many(0, 0, chance) == 1.0


def test_few_true_matches_among_many_false_ones_are_a_strong_witness() -> None:
    scene = random_scene(1, 200, outliers=0.9)  # twenty are true
    assert chance_of(true_essential(scene), seen(scene), BOTH, 1.0, True) < 1e-12
    others = [true_essential(random_scene(seed)) for seed in range(2, 22)]
    chances = [chance_of(other, seen(scene), BOTH, 1.0, True) for other in others]
    assert min(chances) > 1e-4 and np.median(chances) > 0.05


def test_unrelated_matches_agree_with_a_motion_about_as_often_as_is_expected() -> None:
    chances = [
        chance_of(true_essential(random_scene(seed)), seen(scene), BOTH, 2.0, True)
        for seed, scene in (
            (100 + seed, random_scene(seed, 200, outliers=1.0)) for seed in range(60)
        )
    ]
    assert np.mean(np.array(chances) < 1e-3) <= 0.02  # it promises less than one in a thousand
    assert np.mean(np.array(chances) < 0.5) > 0.05  # and is not far from what it promises


def test_false_matches_agree_no_more_often_than_their_band_says() -> None:
    shares, promised = [], []
    for seed in range(40):
        scene = random_scene(seed, 400, outliers=1.0)
        drawn = np.random.default_rng(seed).uniform(-0.5, 0.5, (2, 400, 2))  # all over both images
        false = replace(scene, points0=drawn[0], points1=drawn[1])
        witnesses = Witnesses.of(seen(false), BOTH, 4.0, True)
        essential = true_essential(random_scene(100 + seed))
        squared = sampson_distance_squared(
            torch.from_numpy(witnesses.rows), torch.from_numpy(essential)
        )
        shares.append(float((squared < witnesses.threshold**2).double().mean()))
        promised.append(witnesses.by_chance)
    assert 0.3 < np.mean(shares) / np.mean(promised) < 1.0


def test_the_band_of_a_sideways_motion_is_as_wide_as_it_is() -> None:
    """Both lines are as far from their points then: a strip of the height of the band across a
    square, where the promise is of its diagonal."""
    drawn = np.random.default_rng(0).uniform(-0.4, 0.4, (2, 20_000, 2))
    false = replace(random_scene(0, 20_000), points0=drawn[0], points1=drawn[1])
    witnesses = Witnesses.of(seen(false), BOTH, 4.0, True)
    sideways = essential_matrix(np.eye(3), [1.0, 0.0, 0.0])
    squared = sampson_distance_squared(torch.from_numpy(witnesses.rows), torch.from_numpy(sideways))
    share = float((squared < witnesses.threshold**2).double().mean())
    assert share / witnesses.by_chance == pytest.approx(np.sqrt(0.5), rel=0.12)


def test_a_match_that_the_camera_cannot_explain_is_no_witness() -> None:
    scene = random_scene(1, 60, outliers=0.8)
    unknown = scene.points0.copy()
    unknown[::4] = np.nan
    rest = replace(
        scene,
        points0=np.delete(scene.points0, np.s_[::4], 0),
        points1=np.delete(scene.points1, np.s_[::4], 0),
    )
    found = chance_of(true_essential(scene), seen(replace(scene, points0=unknown)), BOTH, 1.0, True)
    assert found == chance_of(true_essential(scene), seen(rest), BOTH, 1.0, True) < 0.1


def test_matches_that_err_together_count_once() -> None:
    scene = random_scene(1, 40, outliers=0.7)
    essential = true_essential(scene)
    alone = chance_of(essential, seen(scene), BOTH, 1.0, True)
    crowd = replace(
        scene,
        points0=np.repeat(scene.points0, 10, axis=0),
        points1=np.repeat(scene.points1, 10, axis=0),
    )
    assert chance_of(essential, seen(crowd), BOTH, 1.0, True) < 1e-3 * alone
    together = chance_of(essential, seen(crowd), BOTH, 1.0, False)
    assert together >= 0.99 * chance_of(essential, seen(scene), BOTH, 1.0, False)


def test_without_matches_nothing_is_confirmed() -> None:
    scene = random_scene(1, 60)
    none = seen(replace(scene, points0=scene.points0[:0], points1=scene.points1[:0]))
    assert chance_of(true_essential(scene), none, BOTH, 1.0, True) == 1.0
    unknown = seen(replace(scene, points0=np.full_like(scene.points0, np.nan)))
    assert chance_of(true_essential(scene), unknown, BOTH, 1.0, True) == 1.0


def test_what_so_few_could_confirm_at_best() -> None:
    for count, least, most in ((0, 1.0, 1.0), (2, 1e-5, 1e-2), (8, 0.0, 1e-12)):
        scene = random_scene(1, 60)
        few = replace(scene, points0=scene.points0[:count], points1=scene.points1[:count])
        witnesses = Witnesses.of(seen(few), BOTH, 1.0, True)
        assert least <= witnesses.least_chance <= most
        assert witnesses.least_chance == witnesses.chance_of(true_essential(scene))


def test_whether_the_camera_moved() -> None:
    config = PoseConfig()
    all_hold = np.ones(100, dtype=bool)
    moved = random_scene(1, 100, noise=1e-3)
    result = seen(moved, essential=true_essential(moved), inlier=all_hold)
    assert not hardly_moved(result, BOTH, config, True)
    still = replace(result, median_parallax=np.radians(0.05))
    assert hardly_moved(still, BOTH, config, True)
    far = random_scene(1, 100, noise=1e-3, depth=(3000.0, 8000.0))  # as good as a turn
    turned = seen(far, essential=true_essential(far), inlier=all_hold)
    assert hardly_moved(turned, BOTH, config, True)
    assert not hardly_moved(turned, BOTH, replace(config, min_parallax_over_noise=0.0), True)
