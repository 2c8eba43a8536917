"""Track ids of matches over time, and matches that are not of features."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from stream.fakes import CAMERA, make_features, make_result, raw_header

from msga_ros.stream.feature_matches import NO_FIXED_KEYPOINTS, feature_matches
from msga_ros.stream.processor import Outcome
from msga_ros.stream.reference_view import View
from msga_ros.stream.track_ids import TrackIds, with_ids_of_the_odometry
from msga_ros.two_view.result import SecondOpinion, Status, TwoViewResult

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


def by_a_second_front_end(first: TwoViewResult) -> TwoViewResult:
    """Seven matches of no features, where the first one had `first`."""
    opinion = SecondOpinion("other", stands=True)
    return make_result(7, 6, indices0=None, indices1=None, second=opinion, refused=first)


def test_tracks_go_on_by_the_first_front_end_where_a_second_has_the_pose() -> None:
    first = make_result(5, 3, status=Status.TOO_FEW_MATCHES)
    ids, alone = TrackIds(), TrackIds()
    made, without = outcome(by_a_second_front_end(first)), outcome(first)
    followed = ids.follow(made)
    alone.follow(without)
    assert followed.result is made.result and followed.track_ids.tolist() == [0] * 7
    assert made.current.tracks == without.current.tracks and len(made.current.tracks) == 3
    assert ids.next_id == alone.next_id == 4
    assert feature_matches(made.result) is first


def test_a_first_front_end_without_fixed_keypoints_has_no_tracks_either_way() -> None:
    made = outcome(by_a_second_front_end(WITHOUT))
    assert not TrackIds().follow(made).track_ids.any() and not made.current.tracks
    with pytest.raises(ValueError, match=NO_FIXED_KEYPOINTS):
        feature_matches(made.result)


def test_matches_of_a_second_front_end_have_no_ids_of_the_odometry() -> None:
    update = SimpleNamespace(feature_ids=np.arange(1, 101, dtype=np.uint64))
    first = outcome(make_result(5, 3))
    assert with_ids_of_the_odometry(first, update).track_ids.tolist() == [1, 2, 3, 4, 5]
    made = outcome(by_a_second_front_end(first.result))
    assert with_ids_of_the_odometry(made, update) is made
