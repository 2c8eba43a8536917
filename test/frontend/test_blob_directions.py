"""Directions of blobs: those of their surroundings, one or several."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_spots import drawn

from msga_ros.frontend.blob_directions import directions
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.difference_of_gaussians import Blobs, blobs, scale_space
from msga_ros.two_view.chosen_stages import create_frontend

X, Y = 100.0, 75.0
BLOB = (X, Y, 1.5, -60.0)


def degrees_at(image: np.ndarray, x: float = X, y: float = Y) -> np.ndarray:
    """Directions of the strongest blob within two pixels, the clearest one first."""
    octaves = scale_space(image)
    found = blobs(octaves, 100)
    which, angles = directions(octaves, found)
    assert np.all(np.diff(which) >= 0)
    np.testing.assert_array_equal(np.unique(which), np.arange(len(found.scores)))
    assert np.all((angles >= 0) & (angles < 2 * np.pi + 1e-6))
    near = np.flatnonzero(np.linalg.norm(found.points - (x, y), axis=1) < 2)
    return np.rad2deg(angles[which == near[0]])


def apart(one: np.ndarray | float, other: float) -> np.ndarray:
    return np.abs((np.asarray(one) - other + 180) % 360 - 180)


def beside(degrees: float, contrast: float = 60.0) -> tuple[float, float, float, float]:
    turn = np.deg2rad(degrees)
    return X + 6 * np.cos(turn), Y + 6 * np.sin(turn), 2.0, contrast


def test_the_direction_points_to_the_brighter_side() -> None:
    """From +x towards +y, which is clockwise on the screen; more exactly than the bins are wide."""
    wanted = np.arange(0.0, 360.0, 13.0)
    errors = [
        apart(degrees_at(drawn((X, Y, 1.5, -60.0), beside(degrees)))[0], degrees)
        for degrees in wanted
    ]
    assert np.max(errors) < 10
    assert np.sqrt(np.mean(np.square(errors))) < 3.5


def test_it_is_that_of_the_surroundings_not_of_what_is_far() -> None:
    image = drawn((X, Y, 1.2, -60.0), (X + 4, Y, 2.0, 60.0), (X - 40, Y, 16.0, 60.0))
    assert apart(degrees_at(image)[0], 0.0) < 10


@pytest.mark.parametrize("between", [90.0, 130.0, 180.0])
def test_a_blob_between_two_bright_sides_has_both_directions(between: float) -> None:
    """The clearer one first."""
    found = degrees_at(drawn(BLOB, beside(20.0, 60.0), beside(20.0 + between, 54.0)))
    assert len(found) == 2
    assert apart(found[0], 20.0) < 15
    assert apart(found[1], 20.0 + between) < 15


def test_directions_turn_with_the_image() -> None:
    image = drawn(BLOB, beside(20.0), beside(150.0, 57.0))
    upright = degrees_at(image)
    turned = degrees_at(np.ascontiguousarray(np.rot90(image)), Y, image.shape[1] - 1 - X)
    assert len(turned) == len(upright)
    for one in upright:
        assert apart(turned, one - 90).min() < 2


def test_without_gradients_there_is_a_direction_still() -> None:
    octaves = scale_space(np.zeros((60, 80), np.uint8))
    flat = Blobs(
        np.array([[30.0, 20.0]], np.float32), np.array([1.5], np.float32), np.ones(1, np.float32)
    )
    which, angles = directions(octaves, flat)
    assert which.tolist() == [0]
    assert np.isfinite(angles).all()


def test_keypoints_of_two_directions_count_twice_and_no_more_than_asked_for_are_kept() -> None:
    others = [(x, y, 1.7, -50.0) for x in (40.0, 70.0, 160.0) for y in (40.0, 110.0)]
    image = drawn(BLOB, beside(20.0), beside(150.0, 57.0), *others)
    all_of_them = create_frontend(FrontendConfig(name="fast_sift")).extract(image)
    at_blob = np.linalg.norm(all_of_them.keypoints - (X, Y), axis=1) < 1
    assert at_blob.sum() >= 2
    assert all_of_them.angles is not None
    assert len(np.unique(all_of_them.angles[at_blob])) == at_blob.sum()
    some = create_frontend(FrontendConfig(name="fast_sift", max_keypoints=8)).extract(image)
    assert len(some) == 8
    np.testing.assert_array_equal(some.keypoints, all_of_them.keypoints[:8])
