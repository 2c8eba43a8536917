"""The pose of a loop without a length, where the two views do not tell one motion for certain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from loops.world import CAMERA, ring

from msga_ros.loops.edge_pose import without_length
from msga_ros.loops.reports import UNKNOWN_VARIANCE
from msga_ros.two_view.result import Status, TwoViewResult


@pytest.fixture(scope="module")
def result() -> TwoViewResult:
    """Two views of the round room."""
    world = ring(laps=2 / 16)
    images = [np.array([[0, number]], np.uint8) for number in range(2)]
    found = world.relate(*(world.extract(one) for one in images), CAMERA, CAMERA)
    assert isinstance(found, TwoViewResult) and found.status is Status.OK
    return found


def test_a_second_motion_that_is_as_likely_is_in_the_covariance(result: TwoViewResult) -> None:
    points = [
        CAMERA.normalize(one[result.inlier]) for one in (result.keypoints0, result.keypoints1)
    ]
    other = np.deg2rad(40.0)  # about the vertical
    covariance = result.covariance.copy()
    covariance[4, 4] += other**2 / 2
    ambiguous = replace(result, status=Status.DEGENERATE, covariance=covariance)
    found = without_length(ambiguous, *points, CAMERA.mean_focal)
    assert found.covariance[4, 4] >= other**2 / 2
    np.testing.assert_allclose(found.covariance[:3, :3], UNKNOWN_VARIANCE * np.eye(3))
    assert not found.position.any()
    unknown = replace(ambiguous, covariance=np.full((6, 6), np.nan))
    turn = without_length(unknown, *points, CAMERA.mean_focal)
    assert 0 < turn.covariance[4, 4] < other**2 / 10
