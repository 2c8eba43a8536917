"""Which view is the reference, and ids that follow a point."""

from __future__ import annotations

import numpy as np
import pytest
from stream.fakes import CAMERA, make_features, make_result

from msga_ros.odometry.tracks import Tracks
from msga_ros.stream.reference_view import ReferencePolicy, View
from msga_ros.two_view.pipeline import Status


def view(features: int = 100) -> View:
    return View(None, np.zeros((480, 640), np.uint8), CAMERA, make_features(features))


KEYFRAME = ReferencePolicy("keyframe", max_parallax_deg=5.0, min_inliers=50, min_inlier_ratio=0.1)


def test_previous_frame_always_moves_on() -> None:
    policy = ReferencePolicy("previous")
    assert policy.replaces(view(), make_result())
    assert policy.replaces(view(), make_result(status=Status.TOO_FEW_MATCHES, inliers=0))


@pytest.mark.parametrize(
    ("result", "replaced"),
    [
        (make_result(inliers=80, parallax_deg=4.9), False),
        (make_result(inliers=80, parallax_deg=5.1), True),
        (make_result(inliers=49, parallax_deg=1.0), True),
        (make_result(inliers=50, parallax_deg=1.0), False),
        (make_result(count=1000, inliers=90, parallax_deg=1.0), True),
        (make_result(count=1000, inliers=110, parallax_deg=1.0), False),
        (make_result(inliers=0, status=Status.TOO_FEW_MATCHES), True),
        (make_result(inliers=80, parallax_deg=0.01, status=Status.DEGENERATE), False),
    ],
)
def test_keyframe_stays_until_parallax_or_inliers_say_so(result: object, replaced: bool) -> None:
    assert KEYFRAME.replaces(view(), result) is replaced


def test_a_second_front_end_does_not_keep_the_keyframe_that_the_first_one_lost() -> None:
    refused = make_result(inliers=0, status=Status.TOO_FEW_MATCHES)
    result = make_result(inliers=80, parallax_deg=1.0, refused=refused)
    assert KEYFRAME.replaces(view(), result)


@pytest.mark.parametrize("kind", ["previous", "keyframe"])
def test_a_view_without_features_is_never_the_reference(kind: str) -> None:
    policy = ReferencePolicy(kind, min_features=12)
    lost = make_result(0, 0, status=Status.TOO_FEW_MATCHES)
    assert not policy.usable(view(11))
    assert not policy.replaces(view(0), lost)


def test_tracks_follow_points_from_frame_to_frame() -> None:
    tracks = Tracks()
    first, second, third = view(), view(), view()
    # Feature i of the first is i + 1 of the second; that is i + 3 of the third.
    step = np.arange(10)
    ids_a = tracks.follow(first, second, make_result(10, 8, indices0=step, indices1=step + 1))
    ids_b = tracks.follow(second, third, make_result(10, 10, indices0=step, indices1=step + 2))
    assert (ids_a[:8] > 0).all() and (ids_a[8:] == 0).all()
    assert len(set(ids_a[:8].tolist())) == 8
    # Row i of the second result begins at feature i of the second view: point i - 1 of the first.
    np.testing.assert_array_equal(ids_b[1:9], ids_a[:8])
    new = set(ids_b.tolist()) - set(ids_a.tolist())
    assert len(new) == 2 and min(new) > max(ids_a)


def test_tracks_keep_their_ids_against_a_keyframe() -> None:
    tracks = Tracks()
    keyframe = view()
    step = np.arange(10)
    ids_a = tracks.follow(keyframe, view(), make_result(10, 10, indices0=step, indices1=step))
    ids_b = tracks.follow(keyframe, view(), make_result(10, 10, indices0=step, indices1=step[::-1]))
    np.testing.assert_array_equal(ids_a, ids_b)


def test_one_feature_carries_one_track() -> None:
    tracks = Tracks()
    current = view()
    result = make_result(
        3,
        3,
        indices0=np.array([4, 5, 6]),
        indices1=np.array([7, 7, 8]),
        inlier_probability=np.array([0.6, 0.9, 0.8], np.float32),
    )
    ids = tracks.follow(view(), current, result)
    assert ids[0] == 0 and ids[1] > 0 and ids[2] > 0
    assert current.tracks == {7: int(ids[1]), 8: int(ids[2])}


def test_ids_are_never_used_again() -> None:
    tracks = Tracks()
    seen: set[int] = set()
    for _ in range(5):
        ids = tracks.follow(view(), view(), make_result(20, 20)).tolist()
        assert not seen & set(ids)
        seen |= set(ids)
