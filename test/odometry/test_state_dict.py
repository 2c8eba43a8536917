"""An odometry that goes on from the state of another one does the same, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from odometry.rig_scene import CAMERA, RIG, Scene, same_index, with_outliers

from msga_ros.bags.state import from_bytes, to_bytes
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.matches import FilteredMatches
from msga_ros.odometry.mono import MonoOdometry
from msga_ros.odometry.stereo import StereoOdometry
from msga_ros.odometry.updates import OdometryStatus, OdometryUpdate

FRAMES = 14
BLIND = (6, 11)  # frames that show nothing of what the others do
TURNED = (4, 9)  # frames that show what the one before does, and nothing of earlier ones
CONFIG = OdometryConfig(keyframe_share=0.5, keyframe_inliers=20)


def blind(*views: Any) -> FilteredMatches:
    """Matches of which none holds."""
    found = same_index(*views)
    nothing = np.zeros_like(found.inlier)
    return FilteredMatches(found.indices0, found.indices1, nothing, found.inlier_probability)


def updates(stereo: bool, resume_at: int | None) -> Iterator[OdometryUpdate]:
    """A drive; before the frame `resume_at` a new odometry takes over by way of bytes."""
    rng = np.random.default_rng(3)
    scene = Scene.drive(rng, FRAMES, points=500)
    now = 0
    frames: dict[bytes, int] = {}  # by their keypoints

    def relate(*views: Any) -> FilteredMatches:
        age = now - frames[views[0].keypoints.tobytes()]
        if now in BLIND or (now in TURNED and age > 1):
            return blind(*views)
        generator = np.random.default_rng(now)
        return with_outliers(same_index(*views), 0.1, generator)

    def made() -> StereoOdometry | MonoOdometry:
        return StereoOdometry(RIG, relate, CONFIG) if stereo else MonoOdometry(relate, CONFIG)

    odometry = made()
    for now in range(FRAMES):
        if now == resume_at:
            state = to_bytes(odometry.state_dict())
            odometry = made()
            odometry.load_state_dict(from_bytes(state))
            assert to_bytes(odometry.state_dict()) == state
        left, right = scene.view(now, rng, 0.3), scene.view(now, rng, 0.3, RIG)
        frames[left.keypoints.tobytes()] = now
        if isinstance(odometry, StereoOdometry):
            matches = same_index(left, right, CAMERA, CAMERA)
            yield odometry.update(0.1 * now, left, right, CAMERA, CAMERA, matches)
        else:
            yield odometry.update(0.1 * now, left, CAMERA)


@pytest.mark.parametrize("stereo", [True, False])
def test_the_same_comes_after_an_interruption_at_any_frame(stereo: bool) -> None:
    whole = list(updates(stereo, None))
    assert {one.status for one in whole} >= {OdometryStatus.OK, OdometryStatus.LOST}
    assert any(one.keyframe for one in whole[1:])
    for resume_at in range(1, FRAMES):
        for before, after in zip(whole, updates(stereo, resume_at), strict=True):
            assert before.status is after.status and before.keyframe is after.keyframe
            assert (before.pose is None) == (after.pose is None)
            if before.pose is not None and after.pose is not None:
                np.testing.assert_array_equal(before.pose.matrix, after.pose.matrix)
                np.testing.assert_array_equal(before.pose.covariance, after.pose.covariance)
            np.testing.assert_array_equal(before.track_ids, after.track_ids)
            np.testing.assert_array_equal(before.feature_ids, after.feature_ids)
            assert (before.rig is None) == (after.rig is None)
            if before.rig is not None and after.rig is not None:
                np.testing.assert_array_equal(before.rig.rotation_deg, after.rig.rotation_deg)
                assert before.rig.matches == after.rig.matches
