"""Track ids of matches over time, and matches that are not of features."""

from __future__ import annotations

import numpy as np
import pytest
from stream.fakes import CAMERA, make_features, make_result, raw_header

from msga_ros.stream.feature_matches import NO_FIXED_KEYPOINTS, feature_matches
from msga_ros.stream.processor import Outcome
from msga_ros.stream.reference_view import View
from msga_ros.stream.track_ids import TrackIds
from msga_ros.two_view.result import TwoViewResult

WITHOUT = make_result(5, 3, indices0=None, indices1=None)


def outcome(result: TwoViewResult) -> Outcome:
    """Of two views over time, as the processor gives it."""
    image = np.zeros((480, 640), np.uint8)
    views = [View(raw_header(ns, "camera"), image, CAMERA, make_features(100)) for ns in (1, 2)]
    ids = np.zeros(len(result.inlier), np.uint64)
    return Outcome(*views, result, ids, stereo=False, rectified=True, baseline=None)


def test_inliers_get_ids_and_outliers_get_none() -> None:
    followed = TrackIds().follow(outcome(make_result(5, 3)))
    assert sorted(followed.track_ids[:3].tolist()) == [1, 2, 3]
    assert followed.track_ids[3:].tolist() == [0, 0]


def test_what_has_no_fixed_keypoints_is_not_followed() -> None:
    ids = TrackIds()
    followed = ids.follow(outcome(WITHOUT))
    assert not followed.track_ids.any() and len(followed.track_ids) == 5
    assert not followed.reference.tracks and not followed.current.tracks
    assert ids.next_id == 1


def test_features_are_asked_for_only_where_there_are_some() -> None:
    result = make_result(5, 3)
    assert feature_matches(result) is result
    with pytest.raises(ValueError, match=NO_FIXED_KEYPOINTS):
        feature_matches(WITHOUT)
