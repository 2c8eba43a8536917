"""Pictures of matches: what is drawn where, and in which colour."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from msga_ros.two_view.drawing import INLIER_COLOUR, OUTLIER_COLOUR, draw_before_after, draw_matches


@dataclass
class FakeMatches:
    keypoints0: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    keypoints1: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    inlier: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))


def lines(*rows: tuple[float, float, float, float, bool]) -> FakeMatches:
    table = np.array([row[:4] for row in rows], np.float64)
    return FakeMatches(table[:, :2], table[:, 2:], np.array([row[4] for row in rows]))


def has_colour(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    return bool((picture == np.array(colour, np.uint8)).all(axis=-1).any())


BLACK = np.zeros((60, 80), np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_images_of_different_sizes_and_kinds(dtype: type, channels: tuple[int, ...]) -> None:
    picture = draw_matches(
        np.zeros((60, 80, *channels), dtype),
        np.full((100, 40), 200, np.uint8),
        lines((10, 10, 20, 90, True)),
        caption="",
    )
    assert picture.dtype == np.uint8
    assert picture.shape == (100, 80 + 4 + 40, 3)
    assert picture[5, -5].tolist() == [200, 200, 200]
    assert picture[95, 5].tolist() == [0, 0, 0]


def test_a_line_joins_the_two_keypoints() -> None:
    picture = draw_matches(BLACK, BLACK, lines((10, 10, 30, 50, True)), caption="")
    assert picture[10, 10].tolist() == list(INLIER_COLOUR)
    assert picture[50, 84 + 30].tolist() == list(INLIER_COLOUR)
    assert picture[30, 62].any()  # the middle of the line
    assert not picture[50, 10].any()


def test_inliers_are_drawn_above_outliers() -> None:
    crossing = lines((10, 10, 70, 10, True), (10, 10, 70, 10, False))
    picture = draw_matches(BLACK, BLACK, crossing, caption="")
    assert has_colour(picture, INLIER_COLOUR)
    assert not has_colour(picture[:, 20:140], OUTLIER_COLOUR)


def test_outliers_can_be_left_out() -> None:
    both = lines((10, 10, 70, 10, True), (10, 40, 70, 40, False))
    assert has_colour(draw_matches(BLACK, BLACK, both, caption=""), OUTLIER_COLOUR)
    without = draw_matches(BLACK, BLACK, both, outliers=False, caption="")
    assert not has_colour(without, OUTLIER_COLOUR)
    assert has_colour(without, INLIER_COLOUR)


def test_max_lines_thins_each_kind() -> None:
    many = lines(*[(5, y, 70, y, y % 2 == 0) for y in range(2, 58, 4) for _ in range(2)])
    few = draw_matches(BLACK, BLACK, many, max_lines=2, caption="")
    every = draw_matches(BLACK, BLACK, many, caption="")
    assert 0 < np.count_nonzero(few.any(axis=2)) < np.count_nonzero(every.any(axis=2)) / 2
    none = draw_matches(BLACK, BLACK, many, max_lines=0, caption="")
    assert not none.any()


def test_caption_is_a_strip_above_the_views() -> None:
    plain = draw_matches(BLACK, BLACK, FakeMatches(), caption="")
    legend = draw_matches(BLACK, BLACK, FakeMatches())
    other = draw_matches(BLACK, BLACK, FakeMatches(), caption="another text")
    assert plain.shape[0] == 60
    assert legend.shape == other.shape and legend.shape[0] > 60
    assert not np.array_equal(legend, other)
    np.testing.assert_array_equal(legend[-60:], plain)


def test_before_after_shows_outliers_above_only() -> None:
    both = lines((10, 10, 70, 10, True), (10, 40, 70, 40, False))
    picture = draw_before_after(BLACK, BLACK, both)
    upper, lower = np.split(picture, 2)
    strip = len(upper) - 60
    assert has_colour(upper[strip:], OUTLIER_COLOUR)
    assert not has_colour(lower, OUTLIER_COLOUR)
    assert has_colour(lower[strip:], INLIER_COLOUR)


def test_the_images_are_left_as_they_were() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    draw_matches(image, image, lines((10, 10, 70, 10, True)))
    assert not image.any()


def test_colours_differ_in_lightness_as_well() -> None:
    """So they can be told apart in grey, too."""
    weights = np.array([0.114, 0.587, 0.299])
    assert abs(np.dot(weights, INLIER_COLOUR) - np.dot(weights, OUTLIER_COLOUR)) > 50


def test_points_outside_and_nan_do_not_raise() -> None:
    wild = lines((-1e4, 10, 1e5, 20, True), (np.nan, 5, 5, 5, False), (5, np.inf, 5, 5, True))
    assert draw_matches(BLACK, BLACK, wild).shape[2] == 3
