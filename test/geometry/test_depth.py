"""Depth images: units, what counts as no depth, and what is read at a keypoint."""

from __future__ import annotations

import numpy as np
import pytest

from msga_ros.geometry.depth import DepthError, inverse_depths_at, to_metres

JUMP = 0.05


def slanted_wall(shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    """Inverse depth of a plane: linear in pixel coordinates."""
    rows, columns = np.indices(shape)
    return 0.3 + 0.001 * columns - 0.0007 * rows


def test_millimetres_and_metres_are_the_same_depth() -> None:
    millimetres = np.array([[0, 1, 1500], [65535, 9999, 2]], np.uint16)
    metres = np.array([[0, 0.001, 1.5], [65.535, 9.999, 0.002]], np.float32)
    found = to_metres(millimetres)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, to_metres(metres), rtol=1e-6)
    np.testing.assert_array_equal(np.isnan(found), [[True, False, False], [False] * 3])
    np.testing.assert_allclose(to_metres(millimetres, 1 / 5000)[0, 2], 0.3, rtol=1e-6)


def test_what_is_no_depth() -> None:
    none = np.array([[np.nan, np.inf, -np.inf, 0.0, -1.0, 2.0]], np.float32)
    given = none.copy()
    found = to_metres(none)
    np.testing.assert_array_equal(np.isfinite(found), [[False] * 5 + [True]])
    np.testing.assert_array_equal(none, given)  # the caller's image stays as it is


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3), np.uint16),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4), np.int16),
        np.zeros(4, np.float32),
    ],
)
def test_other_images_are_refused(image: np.ndarray) -> None:
    with pytest.raises(DepthError, match="depth image"):
        to_metres(image)


def test_a_plane_is_read_exactly_between_pixels() -> None:
    depth = (1 / slanted_wall()).astype(np.float32)
    keypoints = np.random.default_rng(0).uniform([0, 0], [78.9, 58.9], (200, 2))
    found = inverse_depths_at(depth, keypoints, JUMP)
    expected = 0.3 + 0.001 * keypoints[:, 0] - 0.0007 * keypoints[:, 1]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_nothing_is_read_across_a_jump() -> None:
    """A wall at 2 m with an object at 1 m before it: each point has the depth of one or none."""
    depth = np.full((60, 80), 2.0, np.float32)
    depth[20:40, 30:50] = 1.0
    columns = np.arange(1.0, 78.0, 0.25)
    keypoints = np.column_stack([columns, np.full(len(columns), 30.4)])
    found = inverse_depths_at(depth, keypoints, JUMP)
    assert set(np.unique(found[np.isfinite(found)])) == {0.5, 1.0}
    nearest_edge = np.minimum(np.abs(columns - 29.5), np.abs(columns - 49.5))
    assert np.isfinite(found[nearest_edge > 2.0]).all()
    assert np.isnan(found[nearest_edge < 1.5]).all()  # the edge in the colour image may lie here
    # A jump below the share is a rough surface.
    depth[20:40, 30:50] = 1.92
    assert np.isfinite(inverse_depths_at(depth, keypoints, JUMP)).all()


def test_nothing_is_read_beside_a_hole_or_outside() -> None:
    depth = np.full((60, 80), 2.0, np.float32)
    depth[30, 40] = np.nan
    beside = np.array([[39.5, 30.0], [40.5, 29.2], [40.0, 30.0], [39.01, 29.01]])
    assert np.isnan(inverse_depths_at(depth, beside, JUMP)).all()
    apart = np.array([[38.9, 30.0], [41.0, 30.0], [40.0, 31.0], [0.0, 0.0], [78.9, 58.9]])
    np.testing.assert_array_equal(inverse_depths_at(depth, apart, JUMP), 0.5)
    outside = np.array([[-0.1, 5.0], [79.5, 5.0], [5.0, 59.5], [np.nan, 5.0], [np.inf, 5.0]])
    assert np.isnan(inverse_depths_at(depth, outside, JUMP)).all()
    assert inverse_depths_at(depth, np.empty((0, 2)), JUMP).shape == (0,)
