"""When two views count as views of one place."""

from __future__ import annotations

from dataclasses import replace

import pytest
from loops.world import CAMERA, ring

from msga_ros.loops.config import LoopConfig
from msga_ros.loops.verification import holds
from msga_ros.two_view.result import Status, TwoViewResult


@pytest.fixture(scope="module")
def result() -> TwoViewResult:
    """Two neighbouring views of a room."""
    world = ring()
    features = [world.extract(world.view(number, 0.0, None).image) for number in (0, 1)]
    found: TwoViewResult = world.relate(*features, CAMERA, CAMERA)
    assert found.counts.geometric_inliers >= 30
    return found


@pytest.mark.parametrize(
    ("inliers", "status", "expected"),
    [
        (30, Status.OK, True),
        (30, Status.DEGENERATE, True),
        (29, Status.OK, False),
        (29, Status.DEGENERATE, False),
        (30, Status.TOO_FEW_MATCHES, False),
    ],
)
def test_matches_that_agree_and_a_motion(
    result: TwoViewResult, inliers: int, status: Status, expected: bool
) -> None:
    counts = replace(result.counts, geometric_inliers=inliers)
    assert holds(replace(result, status=status, counts=counts), LoopConfig()) == expected
