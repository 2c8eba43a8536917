"""With fewer candidates than the caller asks for, no motion of two views is looked for."""

from __future__ import annotations

import numpy as np
import pytest

from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera
from msga_ros.two_view.pipeline import Status, TwoViewPipeline

CAMERA = Camera.pinhole(400, 400, 320, 240, 640, 480)
COUNT = 60


@pytest.fixture(scope="module")
def views() -> tuple[Features, Features]:
    """Both see the same points, the second one from half a metre to the right."""
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-2, 2, (COUNT, 2)), rng.uniform(4, 8, COUNT)])
    descriptors = rng.normal(size=(COUNT, 64)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    made = []
    for seen in (points, points - np.array([0.5, 0.0, 0.0])):
        pixels = CAMERA.project(seen[:, :2] / seen[:, 2:]).astype(np.float32)
        made.append(Features(pixels, np.ones(COUNT, np.float32), descriptors, (640, 480)))
    return made[0], made[1]


def test_the_motion_is_as_without_a_limit_or_none(views: tuple[Features, Features]) -> None:
    pipeline = TwoViewPipeline.from_config(**{"sieve.name": "none"})
    plain = pipeline.relate(*views, CAMERA, CAMERA)
    assert plain.status is Status.OK and plain.counts.network_inliers == COUNT
    enough = pipeline.relate(*views, CAMERA, CAMERA, fewest=COUNT)
    np.testing.assert_array_equal(enough.rotation, plain.rotation)
    np.testing.assert_array_equal(enough.inlier, plain.inlier)
    few = pipeline.relate(*views, CAMERA, CAMERA, fewest=COUNT + 1)
    assert few.status is Status.TOO_FEW_MATCHES
    assert few.counts.matched == few.counts.network_inliers == COUNT
    assert few.counts.geometric_inliers == 0 and not few.inlier.any()
    assert np.isnan(few.rotation).all() and np.isnan(few.covariance).all()
