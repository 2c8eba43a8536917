"""The feature cloud, read the way VINS-Fusion reads it."""

from __future__ import annotations

import numpy as np
import pytest
from plugs.scene import CAMERA, FISHEYE, PERIOD_NS, SPEED, Scene

from msga_ros.plugs.matches import PlugError, tracked_matches
from msga_ros.plugs.vins import ID_LIMIT, FeatureCloud, FeatureClouds

Frame = dict[int, list[tuple[int, np.ndarray]]]


def consume(cloud: FeatureCloud) -> Frame:
    """What VINS-Fusion makes of the message: by id, the cameras that see it and seven numbers.

    The channels go by their order alone. Everything that it asserts is asserted here.
    """
    channels = cloud.channels
    assert cloud.points.dtype == channels.dtype == np.float32
    assert len(channels) == 9  # more than five: then 6, 7 and 8 are read as well
    assert all(len(one) == len(cloud.points) for one in channels)
    frame: Frame = {}
    for i, (x, y, z) in enumerate(cloud.points):
        assert z == 1
        identity, camera = int(channels[0][i]), int(channels[1][i])
        seven = np.array([x, y, z, *(channels[c][i] for c in (2, 3, 4, 5))], dtype=np.float64)
        frame.setdefault(identity, []).append((camera, seven))
    for views in frame.values():  # its feature manager
        assert views[0][0] == 0
        assert len(views) <= 2
        assert len(views) == 1 or views[1][0] == 1
    return frame


def test_stereo_cloud() -> None:
    scene, clouds = Scene(), FeatureClouds()
    for number in range(3):
        cloud = clouds(tracked_matches(scene.stereo(number)))
        assert cloud.stamp_ns == scene.stamp(number)
        frame = consume(cloud)
        assert len(frame) == len(scene.points) - 1  # all but the match without a track
        (outlier,) = [one for one, views in frame.items() if len(views) == 1]
        assert outlier == len(scene.points) - 1  # its right point is of something else
        left, right = scene.normalised(number), scene.normalised(number, True)
        for identity, views in frame.items():
            row = identity - 1
            for (_, seven), truth in zip(views, (left, right), strict=False):
                np.testing.assert_allclose(seven[:2], truth[row], atol=1e-5)
                pixel = CAMERA.k @ [*seven[:2], 1.0]
                np.testing.assert_allclose(seven[3:5], pixel[:2], atol=1e-2)
            # A right camera sees a point further to the left.
            if identity != outlier:
                assert views[1][1][0] < views[0][1][0]


@pytest.mark.parametrize("stereo", [True, False])
def test_velocity_is_that_of_the_image_point(stereo: bool) -> None:
    scene, clouds = Scene(), FeatureClouds()
    for number in (1, 2):
        message = scene.stereo(number) if stereo else scene.temporal(number - 1, number)
        frame = consume(clouds(tracked_matches(message)))
    seconds = PERIOD_NS * 1e-9
    moved = (scene.normalised(2) - scene.normalised(1)) / seconds
    points = scene.in_view(2)
    # The derivative of (x/z, y/z) when the camera moves with SPEED, to first order.
    slope = (-SPEED[:2] + scene.normalised(2) * SPEED[2]) / points[:, 2:]
    for identity, views in frame.items():
        np.testing.assert_allclose(views[0][1][5:7], moved[identity - 1], atol=1e-4)
        np.testing.assert_allclose(views[0][1][5:7], slope[identity - 1], atol=0.02)


def test_first_velocity() -> None:
    """A stereo rig has none at first; one camera has the view before in the same message."""
    scene = Scene()
    frame = consume(FeatureClouds()(tracked_matches(scene.stereo(1))))
    assert all(not seven[5:].any() for views in frame.values() for _, seven in views)
    frame = consume(FeatureClouds()(tracked_matches(scene.temporal(0, 1))))
    assert all(seven[5:].any() for views in frame.values() for _, seven in views)


def test_no_velocity_through_a_jump_in_time() -> None:
    scene, clouds = Scene(), FeatureClouds()
    clouds(tracked_matches(scene.stereo(50)))
    frame = consume(clouds(tracked_matches(scene.stereo(1))))
    assert all(not seven[5:].any() for views in frame.values() for _, seven in views)


@pytest.mark.parametrize(("frames", "known"), [(9, True), (11, False)])
def test_no_velocity_over_a_long_gap(frames: int, known: bool) -> None:
    """Of a second and more: the mean over it is not the velocity now."""
    scene, clouds = Scene(), FeatureClouds()
    clouds(tracked_matches(scene.stereo(1)))
    frame = consume(clouds(tracked_matches(scene.stereo(1 + frames))))
    for views in frame.values():
        assert [bool(seven[5:].any()) for _, seven in views] == [known] * len(views)


@pytest.mark.parametrize(("side", "views"), [("reference_points", 0), ("points", 1)])
def test_a_point_that_a_lens_cannot_explain_is_left_out(side: str, views: int) -> None:
    """Far outside of the picture of a fisheye there is no ray, in whichever view it is."""
    scene = Scene(camera=FISHEYE)
    message = scene.stereo(0)
    getattr(message, side)[:2] = 1e5, 1e5
    frame = consume(FeatureClouds()(tracked_matches(message, FISHEYE, FISHEYE)))
    assert len(frame.get(1, [])) == views
    assert all(len(frame[one]) == 2 for one in range(2, len(scene.points) - 1))
    for found in frame.values():
        assert all(np.isfinite(seven).all() for _, seven in found)


def test_mono_cloud_has_camera_0_alone() -> None:
    scene = Scene()
    cloud = FeatureClouds()(tracked_matches(scene.temporal(2, 3)))
    assert cloud.stamp_ns == scene.stamp(3)
    frame = consume(cloud)
    assert {camera for views in frame.values() for camera, _ in views} == {0}
    for identity, views in frame.items():
        np.testing.assert_allclose(views[0][1][:2], scene.normalised(3)[identity - 1], atol=1e-5)


def test_distortion_is_removed() -> None:
    scene = Scene(camera=FISHEYE)
    message = scene.stereo(0)
    with pytest.raises(PlugError, match="camera_info"):
        tracked_matches(message)
    frame = consume(FeatureClouds()(tracked_matches(message, FISHEYE, FISHEYE)))
    for identity, views in frame.items():
        np.testing.assert_allclose(views[0][1][:2], scene.normalised(0)[identity - 1], atol=1e-5)
        # Pixels stay as received.
        np.testing.assert_allclose(views[0][1][3:5], scene.pixels(0)[identity - 1], atol=1e-2)


def test_ids_survive_their_way_through_float32() -> None:
    scene = Scene()
    first = ID_LIMIT - 10
    ids = np.arange(first, first + len(scene.points), dtype=np.uint64)
    frame = consume(FeatureClouds()(tracked_matches(scene.stereo(0, track_ids=ids))))
    assert len(frame) == len(scene.points)  # no two ids became one
    assert min(frame) >= 0


def test_each_id_once() -> None:
    scene = Scene()
    ids = np.full(len(scene.points), 7, dtype=np.uint64)
    probability = np.zeros(len(scene.points), dtype=np.float32)
    probability[3] = 1.0
    message = scene.stereo(0, track_ids=ids, inlier_probability=probability)
    frame = consume(FeatureClouds()(tracked_matches(message)))
    assert list(frame) == [7]
    np.testing.assert_allclose(frame[7][0][1][:2], scene.normalised(0)[3], atol=1e-5)


def test_empty_cloud() -> None:
    scene = Scene(count=10)
    message = scene.stereo(0, track_ids=np.zeros(10, dtype=np.uint64))
    assert consume(FeatureClouds()(tracked_matches(message))) == {}
    message = scene.temporal(0, 1, inlier=np.zeros(10, dtype=bool))
    assert consume(FeatureClouds()(tracked_matches(message))) == {}
