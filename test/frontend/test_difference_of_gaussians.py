"""Blobs where they were drawn, and as large as they were drawn."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_spots import HEIGHT, WIDTH, drawn

from msga_ros.frontend import difference_of_gaussians
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.difference_of_gaussians import Blobs, LevelMemory, scale_space
from msga_ros.frontend.difference_of_gaussians import blobs as blobs_of
from msga_ros.two_view.chosen_stages import create_frontend

# (x, y), standard deviation, contrast: of both signs, at any part of a pixel, of several octaves
DRAWN = (
    (30.3, 40.6, 1.2, 60.0),
    (60.75, 100.25, 1.7, -70.0),
    (100.5, 60.1, 2.6, 50.0),
    (150.9, 110.4, 4.5, -60.0),
    (155.2, 35.8, 7.0, 55.0),
)


def blobs(image: np.ndarray, most: int) -> Blobs:
    return blobs_of(scale_space(image), most)


def nearest(found: Blobs, x: float, y: float) -> int:
    """The strongest within two pixels."""
    near = np.flatnonzero(np.linalg.norm(found.points - (x, y), axis=1) < 2)
    assert len(near), f"no blob at {x}, {y}"
    return int(near[0])


@pytest.mark.parametrize("spot", DRAWN)
def test_a_blob_is_found_at_its_place_and_scale(spot: tuple[float, float, float, float]) -> None:
    x, y, sigma, contrast = spot
    found = blobs(drawn(*DRAWN), 200)
    which = nearest(found, x, y)
    np.testing.assert_allclose(found.points[which], (x, y), atol=0.06 * max(1.0, sigma / 2))
    # Between two levels, a sixth of an octave above the one that is named.
    assert found.sigmas[which] == pytest.approx(sigma / 2 ** (1 / 6), rel=0.12)
    assert 0.05 * abs(contrast) < found.scores[which] < 0.4 * abs(contrast)


@pytest.mark.parametrize("spot", DRAWN[1:])
def test_keypoints_have_the_size_that_sift_gives_them(
    spot: tuple[float, float, float, float],
) -> None:
    sizes = []
    for name in ("sift", "fast_sift"):
        features = create_frontend(FrontendConfig(name=name)).extract(drawn(*DRAWN))
        away = np.linalg.norm(features.keypoints - spot[:2], axis=1)
        assert away.min() < 1
        assert features.sizes is not None
        sizes.append(features.sizes[away.argmin()])
    assert sizes[1] == pytest.approx(sizes[0], rel=0.2)


def test_the_strongest_come_first_and_no_more_than_asked_for() -> None:
    found = blobs(drawn(*DRAWN), 200)
    assert np.all(np.diff(found.scores) <= 0)
    fewer = blobs(drawn(*DRAWN), 3)
    np.testing.assert_array_equal(fewer.points, found.points[:3])
    assert {nearest(fewer, x, y) for x, y, *_ in (DRAWN[0], DRAWN[1])} <= {0, 1, 2}


def test_all_that_there_are_come_where_fewer_than_asked_for_are_strong() -> None:
    """Edges are candidates, too, and stronger than the blob: it is found behind them."""
    image = drawn((150.3, 75.6, 2.0, 12.0))
    image[:, 40:44] = 250
    image[::3, 60:100] = 0
    found = blobs(image, 1)
    many = blobs(image, 100_000)
    assert len(found.scores) == 1 and len(many.scores) > 1
    nearest(many, 150.3, 75.6)
    assert np.all(np.diff(many.scores) <= 0)


@pytest.mark.parametrize("length", [8.0, 1e3])
def test_an_edge_is_no_blob(length: float) -> None:
    """A bar, of which one end at least is far from the middle, and one without ends."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    bar = (columns - 100.3) ** 2 / 4 + (rows - 75.6) ** 2 / length**2
    found = blobs((120 + 60 * np.exp(-bar / 2)).round().astype(np.uint8), 100)
    assert not (np.linalg.norm(found.points - (100.3, 75.6), axis=1) < 3).any()


@pytest.mark.parametrize("shape", [(1, 1), (23, 400), (24, 24), (30, 25)])
def test_small_and_flat_images_have_none(shape: tuple[int, int]) -> None:
    assert len(blobs(np.full(shape, 99, np.uint8), 10).scores) == 0
    noise = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    found = blobs(noise, 10)
    assert np.isfinite(found.points).all() and len(found.scores) <= 10


def test_octaves_go_on_where_the_one_before_ends() -> None:
    """The same level of two octaves shows the same, at half the size."""
    first, second, *_ = scale_space(drawn(*DRAWN))
    assert (first.step, second.step) == (1, 2)
    shared = first.gaussians[second.lowest - first.lowest]
    np.testing.assert_allclose(second.gaussians[0], shared[::2, ::2], atol=1e-3)
    after = first.gaussians[second.lowest - first.lowest + 2]
    np.testing.assert_allclose(second.gaussians[2], after[::2, ::2], atol=1.0)


def test_memory_that_is_used_again_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [drawn(*DRAWN), drawn(*DRAWN[:2])[:100, :120], drawn(*DRAWN[2:])]
    for most in (1 << 25, 1):  # 1: too big, each has its own
        monkeypatch.setattr(difference_of_gaussians, "_MOST_KEPT", most)
        memory, kept = LevelMemory(), []
        for picture in pictures * 2:
            octaves = scale_space(picture, memory)
            for octave, fresh in zip(octaves, scale_space(picture), strict=True):
                np.testing.assert_array_equal(octave.gaussians, fresh.gaussians)
                np.testing.assert_array_equal(octave.differences, fresh.differences)
            kept.append(octaves[0].gaussians)
        assert np.shares_memory(kept[-1], kept[-2]) == (most > 1)


def test_extrema_are_those_of_a_plain_search_in_memory_that_held_another_image() -> None:
    """Of each sample with its 26 neighbours, and with nothing of the image before."""
    generator, memory = np.random.default_rng(0), LevelMemory()
    for shape in ((150, 200), (60, 90), (130, 210)):
        octaves = scale_space(generator.integers(0, 256, shape).astype(np.uint8), memory)
        before = [octave.differences.copy() for octave in octaves]
        found = blobs_of(octaves, 100_000, memory)
        again = blobs_of(octaves, 100_000)
        np.testing.assert_array_equal(found.points, again.points)
        assert len(found.points) > 10
        scratch = np.full(difference_of_gaussians._SCRATCH * 150 * 210, np.nan, np.float32)
        for octave, levels in zip(octaves, before, strict=True):
            np.testing.assert_array_equal(octave.differences, levels)  # it is only read
            one = difference_of_gaussians._extrema(levels, scratch)
            places = set(
                zip(one.level.tolist(), one.row.tolist(), one.column.tolist(), strict=True)
            )
            assert places == plain_extrema(levels)


def plain_extrema(levels: np.ndarray) -> set[tuple[int, int, int]]:
    windows = np.lib.stride_tricks.sliding_window_view(levels, (3, 3, 3))
    middle = levels[1:-1, 1:-1, 1:-1]
    bright = (middle >= windows.max(axis=(3, 4, 5))) & (middle >= 1e-4)
    dark = (middle <= windows.min(axis=(3, 4, 5))) & (middle <= -1e-4)
    _, height, width = levels.shape
    places = (np.argwhere(bright | dark) + 1).tolist()
    return {
        (level, row, column)
        for level, row, column in places
        if 5 <= row < height - 5 and 5 <= column < width - 5
    }
