"""Few tracks of many, each without a gap: what a filter or a window of frames can hold."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from plugs.flickering import MODES, messages
from plugs.scene import Scene
from plugs.test_vins import Frame, consume
from plugs.vins_window import NUM_OF_F, Window

from msga_ros.plugs.matches import PlugError, tracked_matches
from msga_ros.plugs.msckf import StereoMeasurements
from msga_ros.plugs.track_selection import MAX_FEATURES, TrackSelection
from msga_ros.plugs.vins import ID_LIMIT, MOST_FEATURES, FeatureClouds


def frames_of(mode: str, max_features: int = MAX_FEATURES) -> list[Frame]:
    clouds = FeatureClouds(max_features)
    return [consume(clouds(tracked_matches(one))) for one in messages(mode)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("parallax", ["always", "never", "sometimes"])
def test_a_window_of_frames_holds_every_observation_at_its_frame(mode: str, parallax: str) -> None:
    window = Window()
    rng = np.random.default_rng(1)
    choices = {
        "always": lambda: True,
        "never": lambda: False,
        "sometimes": lambda: rng.random() < 0.5,
    }
    for number, frame in enumerate(frames_of(mode)):
        window.add(number, frame, choices[parallax]())
    assert window.total > 10_000
    assert window.wrong == 0
    assert window.most_used <= NUM_OF_F


@pytest.mark.parametrize("mode", ["stereo", "keyframe"])
def test_the_ids_of_the_messages_would_be_at_wrong_frames(mode: str) -> None:
    """That the window and the messages are hard enough to tell."""
    window = Window()
    for number, message in enumerate(messages(mode)):
        matches = tracked_matches(message)
        window.add(number, matches.ids[matches.paired].tolist(), parallax=True)
    assert window.wrong > 0.1 * window.total
    assert window.most_used > NUM_OF_F


def test_the_largest_number_fits_and_no_larger_one_is_taken() -> None:
    window = Window()
    for number, frame in enumerate(frames_of("stereo", MOST_FEATURES)):
        assert len(frame) == MOST_FEATURES
        window.add(number, frame, parallax=True)
    assert window.wrong == 0 and window.most_used <= NUM_OF_F
    with pytest.raises(PlugError, match="at most 363"):
        FeatureClouds(MOST_FEATURES + 1)
    for maker in (FeatureClouds, StereoMeasurements):
        with pytest.raises(PlugError, match="at least 1"):
            maker(0)


@pytest.mark.parametrize("mode", MODES)
def test_what_was_chosen_stays_as_long_as_it_lives(mode: str) -> None:
    sets = [tracked_matches(one) for one in messages(mode)]
    selection = TrackSelection(MAX_FEATURES)
    before: dict[int, int] = {}
    for matches in sets:
        selected = selection(matches)
        assert len(selected.rows) == MAX_FEATURES
        now = dict(zip(matches.ids[selected.rows].tolist(), selected.ids.tolist(), strict=True))
        alive = before.keys() & set(matches.ids.tolist())
        assert {one: now[one] for one in alive} == {one: before[one] for one in alive}
        before = now


@pytest.mark.parametrize("mode", MODES)
def test_an_id_has_no_gap_and_is_one_point(mode: str) -> None:
    seen: dict[int, list[int]] = {}
    for number, frame in enumerate(frames_of(mode)):
        for identity in frame:
            seen.setdefault(identity, []).append(number)
    for numbers in seen.values():
        assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_points_of_the_left_view_alone_keep_a_track_alive() -> None:
    frames = frames_of("stereo")
    left_only = [sum(len(views) == 1 for views in frame.values()) for frame in frames]
    assert min(left_only[1:]) > 0
    lasting = [len(now.keys() & before.keys()) / MAX_FEATURES for before, now in pairwise(frames)]
    # 1 of 10 has no match or no track; with those that are outliers it would be 1 of 5 and more.
    assert np.mean(lasting) > 0.8


def test_they_are_spread_over_the_image() -> None:
    """The probable ones lie in one corner; the rest of the image gets its share all the same."""
    scene = Scene(2000)
    message = scene.stereo(0)
    corner = (scene.pixels(0) < np.quantile(scene.pixels(0), 0.4, axis=0)).all(axis=1)
    message.inlier_probability = np.where(corner, 1.0, 0.5).astype(np.float32)
    matches = tracked_matches(message)
    chosen = matches.reference_pixels[TrackSelection(100)(matches).rows]
    low, high = matches.reference_pixels.min(axis=0), matches.reference_pixels.max(axis=0)
    cells = np.floor((chosen - low) / (high - low + 1e-9) * 5).astype(int)
    counts = np.bincount(cells[:, 0] * 5 + cells[:, 1], minlength=25)
    assert counts.min() >= 2 and counts.max() <= 8


def test_free_places_go_where_none_is_held() -> None:
    """Half of the tracks are held, all of them on the left: most others come from the right."""
    scene = Scene(2000)
    whole = tracked_matches(scene.stereo(0))
    left = whole.reference_pixels[:, 0] < np.median(whole.reference_pixels[:, 0])
    selection = TrackSelection(100)
    held = selection(whole.only(np.flatnonzero(left)[:50]))
    assert len(held.rows) == 50
    chosen = selection(whole)
    assert len(chosen.rows) == 100
    assert (~left[chosen.rows]).sum() > 30  # 25, if it were not looked at


def test_the_right_view_of_a_point_that_it_has_lost_is_unknown() -> None:
    matches = tracked_matches(Scene().stereo(0))
    assert (~matches.paired).sum() == 1
    for values in (matches.pixels, matches.points):
        np.testing.assert_array_equal(np.isnan(values).any(axis=1), ~matches.paired)


def test_the_more_probable_of_a_part_is_taken() -> None:
    matches = tracked_matches(Scene(50).stereo(0))
    (row,) = TrackSelection(1)(matches).rows
    assert matches.probability[row] == matches.probability[matches.paired].max()


def test_ids_of_a_publisher_that_begins_again_are_new_ones() -> None:
    """A node that was started anew counts from 1 again; for the consumer it is the same stream."""
    scene, clouds = Scene(), FeatureClouds()
    before = consume(clouds(tracked_matches(scene.stereo(0))))
    nothing = scene.stereo(1, track_ids=np.zeros(len(scene.points), dtype=np.uint64))
    assert consume(clouds(tracked_matches(nothing))) == {}
    after = consume(clouds(tracked_matches(scene.stereo(2))))
    assert len(after) == len(before) and not after.keys() & before.keys()


def test_ids_that_have_come_round_do_not_meet() -> None:
    """Two tracks whose ids differ by as much as a float32 can count, and both live."""
    scene, clouds = Scene(count=4), FeatureClouds()
    ids = np.array([1, 2, 3, ID_LIMIT // 2 + 1], dtype=np.uint64)
    frames = []
    for number in range(3):
        message = scene.stereo(number, track_ids=ids, inlier=np.ones(4, dtype=bool))
        frames.append(consume(clouds(tracked_matches(message))))
    assert [len(one) for one in frames] == [4, 4, 4]
    assert frames[0].keys() == frames[2].keys()


def test_measurements_of_two_cameras_are_of_both_and_have_no_gap() -> None:
    measurements = StereoMeasurements()
    seen: dict[int, list[int]] = {}
    for number, message in enumerate(messages("stereo")):
        made = measurements(tracked_matches(message))
        assert len(made.ids) == len(made.coordinates) == MAX_FEATURES
        assert np.isfinite(made.coordinates).all()
        for identity in made.ids.tolist():
            seen.setdefault(identity, []).append(number)
    for numbers in seen.values():
        assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_free_places_go_where_few_tracks_are_held() -> None:
    """A crowd in one corner is held; what comes next is taken from the rest of the image first."""
    rng = np.random.default_rng(0)
    matches = tracked_matches(Scene(200).stereo(0))
    crowd, rest = np.arange(60), np.arange(60, 160)
    pixels = np.empty_like(matches.reference_pixels)
    pixels[crowd] = rng.uniform(0, 60, (60, 2))
    pixels[60:] = rng.uniform(0, 640, (len(pixels) - 60, 2))
    pixels[[60, 61]] = (0, 0), (640, 640)
    matches = replace(matches, reference_pixels=pixels)
    selection = TrackSelection(64)
    assert len(selection(matches.only(crowd)).rows) == 60
    both = matches.only(np.concatenate([crowd, rest]))
    added = np.setdiff1d(selection(both).rows, crowd)
    assert len(added) == 4
    assert (both.reference_pixels[added] > 80).any(axis=1).all()
