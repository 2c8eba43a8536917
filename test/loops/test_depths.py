"""Depths of a keyframe's features by the odometry's motion to another keyframe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from loops.world import CAMERA, World, ring

from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.loops.depths import Depths, triangulated
from msga_ros.loops.keyframe import Keyframe
from msga_ros.odometry.poses import UncertainPose
from msga_ros.two_view.result import TwoViewResult

STEP = 0.5  # metres, along the optical axis


@pytest.fixture(scope="module")
def world() -> World:
    """Two views, the second one straight ahead: what lies in the middle has no parallax."""
    made = ring(laps=1 / 16)
    (first,) = made.views
    made.views.append(Pose(first.rotation, first.translation - np.array([0.0, 0.0, STEP])))
    return made


@pytest.fixture(scope="module")
def keyframes(world: World) -> list[Keyframe]:
    images = [np.array([[0, number]], np.uint8) for number in range(2)]
    nothing = np.zeros(1, np.float32)
    return [Keyframe("", 0.0, CAMERA, world.extract(one), nothing) for one in images]


@pytest.fixture(scope="module")
def result(world: World, keyframes: list[Keyframe]) -> TwoViewResult:
    found = world.relate(*(one.features for one in keyframes), CAMERA, CAMERA)
    assert found.status.name == "OK"
    return found


def motion(
    turn_deg: float = 0.0, direction_deg: float = 0.0, length: float = STEP
) -> UncertainPose:
    """What the odometry says of it, so far off."""
    aside = np.deg2rad(direction_deg)
    position = length * np.array([np.sin(aside), 0.0, np.cos(aside)])
    covariance = np.diag([1.0, 1.0, 0.03**2, 1.0, 1.0, 1.0])
    return UncertainPose(rotation_matrix([0.0, np.deg2rad(turn_deg), 0.0]), position, covariance)


def test_depths_are_in_the_length_that_the_odometry_says(
    world: World, keyframes: list[Keyframe], result: TwoViewResult
) -> None:
    first, second = keyframes
    names = first.features.descriptors[:, 0].astype(int)
    true = (world.points[names] @ world.views[0].rotation.T + world.views[0].translation)[:, 2]
    for length in (STEP, 3 * STEP):
        found = triangulated(first, second, result, motion(length=length))
        assert isinstance(found, Depths) and found.count > 20
        inverse, sigma, share = found.of(np.arange(len(names)))
        seen = np.isfinite(inverse)
        assert np.allclose(inverse[seen] * true[seen], STEP / length, rtol=0.02)
        assert np.isfinite(sigma[seen]).all() and share == pytest.approx(0.03 / length)


def test_what_has_no_parallax_has_no_depth(
    keyframes: list[Keyframe], result: TwoViewResult
) -> None:
    first, second = keyframes
    found = triangulated(first, second, result, motion())
    assert found is not None and result.indices0 is not None
    rays = [
        np.column_stack([CAMERA.normalize(one), np.ones(len(one))])
        for one in (result.keypoints0, result.keypoints1)  # the second view has not turned
    ]
    unit0, unit1 = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in rays)
    parallax = np.degrees(np.arcsin(np.linalg.norm(np.cross(unit0, unit1), axis=1)))
    known = np.isfinite(found.of(result.indices0)[0])
    clear = result.inlier & (np.abs(parallax - 1.0) > 0.05)
    assert (clear & (parallax < 1.0)).any()
    np.testing.assert_array_equal(known[clear], parallax[clear] > 1.0)


@pytest.mark.parametrize(
    "said", [motion(turn_deg=8.0), motion(direction_deg=40.0), motion(length=0.0)]
)
def test_an_odometry_that_contradicts_the_images_gives_none(
    keyframes: list[Keyframe], result: TwoViewResult, said: UncertainPose
) -> None:
    assert triangulated(*keyframes, result, said) is None


def test_nothing_is_made_of_a_pose_that_is_not_known(
    keyframes: list[Keyframe], result: TwoViewResult
) -> None:
    degenerate = replace(result, status=type(result.status).DEGENERATE)
    assert triangulated(*keyframes, degenerate, motion()) is None
