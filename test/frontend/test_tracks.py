"""The front end `tracks`: long tracks, none that jumps, ids that never come back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rendered_stream import FRAMES, LEFT, RIGHT, RenderedStream, stream_of

from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence
from msga_ros.frontend import Features, FrontendError
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.tracking.corners import new_corners
from msga_ros.frontend.tracks import Config, TracksFrontend
from msga_ros.two_view.chosen_stages import create_frontend
from msga_ros.two_view.pipeline import TwoViewPipeline

JUMP = 3.0  # pixels off the true place


def frontend(**own: float) -> TracksFrontend:
    return TracksFrontend(FrontendConfig(name="tracks", own=Config(**own)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def stream() -> RenderedStream:
    return RenderedStream.made()


@pytest.fixture(scope="module")
def images(stream: RenderedStream) -> list[dict[str, np.ndarray]]:
    return stream_of(stream)


def followed(front: TracksFrontend, images: list[np.ndarray]) -> list[Features]:
    views = [front.extract(images[0])]
    for image in images[1:]:
        views.append(front.follow(views[-1], image))
    return views


def common(view0: Features, view1: Features) -> tuple[np.ndarray, np.ndarray]:
    assert view0.ids is not None and view1.ids is not None
    return np.intersect1d(view0.ids, view1.ids, return_indices=True)[1:]


def jumps(
    stream: RenderedStream, view0: Features, view1: Features, first: int, last: int, side: str
) -> float:
    """Share of the common points, of those with a known true place, that are not there."""
    rows0, rows1 = common(view0, view1)
    truth = stream.true_points(view0.keypoints[rows0], first, last, side)
    off = np.linalg.norm(view1.keypoints[rows1] - truth, axis=1)
    known = np.isfinite(off)
    assert known.sum() > 40
    return float((off[known] > JUMP).mean())


def test_points_stay_where_they_are_in_the_world(stream, images) -> None:
    views = followed(frontend(), [one[LEFT] for one in images])
    for step in (1, 4, 8):
        assert jumps(stream, views[2], views[2 + step], 2, 2 + step, LEFT) < 0.03


def test_tracks_are_long_and_many(images) -> None:
    views = followed(frontend(), [one[LEFT] for one in images])
    counts = [len(view) for view in views]
    assert min(counts) > 100 and max(counts) <= 300
    lengths = np.unique(np.concatenate([view.ids for view in views]), return_counts=True)[1]
    seen_again = lengths[lengths >= 2]
    assert np.median(seen_again) >= 8
    assert (seen_again >= 3).mean() > 0.8


def test_corners_spread_over_the_image_and_lie_apart(images) -> None:
    view = frontend().extract(images[0][LEFT])
    quarters = (view.keypoints > np.array(view.image_size) / 2) @ [1, 2]
    assert np.bincount(quarters.astype(int), minlength=4).min() > len(view) / 12
    distance = np.linalg.norm(view.keypoints[:, None] - view.keypoints[None], axis=2)
    assert distance[~np.eye(len(view), dtype=bool)].min() > 2


def test_new_corners_keep_away_from_points_that_are_followed(images) -> None:
    occupied = frontend().extract(images[0][LEFT]).keypoints[:80]
    new = new_corners(images[0][LEFT], occupied, 300).points
    assert len(new) > 50
    assert np.linalg.norm(new[:, None] - occupied[None], axis=2).min() > 4


def test_what_descriptors_say_of_followed_points_is_there_for_who_asks(images) -> None:
    before, after = followed(frontend(), [one[LEFT] for one in images[:2]])
    matches = frontend().match(before, after)
    ratio, mutual = matches.evidence[:, :2].T
    assert np.isfinite(matches.evidence[:, [0, 1, 4]]).all()
    assert (mutual == 1).mean() > 0.6 and np.median(ratio) < 0.8


def test_of_two_points_that_meet_the_older_one_goes_on(images) -> None:
    front = frontend()
    view = front.extract(images[0][LEFT])
    points = view.payload.points.copy()
    points[5] = points[0]
    met = replace(view, payload=replace(view.payload, points=points))
    after = front.follow(met, images[1][LEFT])
    assert np.isin(view.ids[[0, 5]], after.ids).tolist() == [True, False]


def test_left_points_are_found_in_the_right_image(stream, images) -> None:
    front = frontend()
    left = front.extract(images[3][LEFT])
    right = front.beside(left, images[3][RIGHT])
    assert len(right) > 0.5 * len(left)
    assert jumps(stream, left, right, 3, 3, RIGHT) < 0.03
    matches = front.match(left, right)
    assert matches.followed is not None and matches.followed.reference == matches.followed.current
    np.testing.assert_array_equal(left.ids[matches.indices0], right.ids[matches.indices1])


DISTURBANCES = {
    "blur": lambda image: cv2.GaussianBlur(image, (0, 0), 2.0),
    "darker": lambda image: cv2.convertScaleAbs(image, alpha=0.5),
    "brighter": lambda image: cv2.convertScaleAbs(image, alpha=1.0, beta=60),
    "occlusion": lambda image: _hidden(image),
    "noise": lambda image: _noisy(image),
}


def _hidden(image: np.ndarray) -> np.ndarray:
    """Something with a texture of its own before a third of the view."""
    out = image.copy()
    rng = np.random.default_rng(1)
    patch = cv2.resize(rng.integers(0, 255, (30, 40), np.uint8), (160, 200))
    out[80:280, 150:310] = patch
    return out


def _noisy(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(2).normal(0, 12, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", DISTURBANCES)
def test_nothing_jumps_in_a_disturbed_image(stream, images, kind: str) -> None:
    """From frame 4 on all is disturbed: tracks may end, they must not go elsewhere."""
    disturb = DISTURBANCES[kind]
    shown = [one[LEFT] if i < 4 else disturb(one[LEFT]) for i, one in enumerate(images[:7])]
    views = followed(frontend(), shown)
    rows0, rows1 = common(views[3], views[5])
    truth = stream.true_points(views[3].keypoints[rows0], 3, 5)
    if kind == "occlusion":  # nothing that is hidden by now is known to be anywhere
        inside = ((truth > [158, 88]) & (truth < [302, 272])).all(1)
        assert inside.sum() <= 0.02 * len(truth)
    off = np.linalg.norm(views[5].keypoints[rows1] - truth, axis=1)
    known = np.isfinite(off)
    assert known.sum() > 20
    assert (off[known] > JUMP).mean() < 0.04


def test_a_black_frame_ends_all_tracks_and_their_ids_never_come_back(images) -> None:
    front = frontend()
    shown = [one[LEFT] for one in images]
    shown[5] = np.zeros_like(shown[5])
    views = followed(front, shown)
    assert len(views[5]) == 0
    before = np.concatenate([view.ids for view in views[:5]])
    after = np.concatenate([view.ids for view in views[6:]])
    assert len(after) and not np.isin(after, before).any()
    again = front.match(views[4], views[6])  # by descriptors
    assert again.followed is None and len(again) > 50


def test_a_stream_that_jumps_elsewhere_keeps_no_track(images) -> None:
    """A bag that loops: the last image of the way, then the first one of another place."""
    front = frontend()
    elsewhere = SyntheticOptions(frames=1, width=480, height=360, focal=360.0, seed=5)
    other = RenderedStream(SyntheticSequence(elsewhere)).images(0)[LEFT]
    view = front.extract(images[0][LEFT])
    after = front.follow(view, other)
    assert len(common(view, after)[0]) == 0


def test_points_that_were_ended_are_not_followed_and_their_ids_are_gone(images) -> None:
    front = frontend()
    view = front.extract(images[0][LEFT])
    front.end(view, np.arange(0, len(view), 2))
    after = front.follow(view, images[1][LEFT])
    assert not np.isin(view.ids[::2], after.ids).any()
    assert np.isin(view.ids[1::2], after.ids).mean() > 0.7


def test_a_false_right_point_is_looked_for_anew_and_the_left_one_goes_on(images) -> None:
    front = frontend()
    left = front.extract(images[0][LEFT])
    right = front.beside(left, images[0][RIGHT])
    front.end(right, np.arange(len(right)))
    assert np.isnan(left.payload.offset).all()
    assert np.isin(left.ids, front.follow(left, images[1][LEFT]).ids).mean() > 0.7


def test_ids_go_on_when_settings_change(images) -> None:
    front = frontend()
    first = front.extract(images[0][LEFT])
    other = front.reconfigured(FrontendConfig(name="tracks", max_keypoints=50))
    second = other.extract(images[0][LEFT])
    assert not np.isin(second.ids, first.ids).any()


def test_images_that_are_scaled_down_give_pixels_as_received(stream, images) -> None:
    config = FrontendConfig(name="tracks", own=Config(), max_image_size=240)
    front = TracksFrontend(config)
    views = followed(front, [one[LEFT] for one in images[:3]])
    assert views[0].keypoints.max() > 300
    assert jumps(stream, views[0], views[2], 0, 2, LEFT) < 0.03


def test_another_size_begins_anew(images) -> None:
    front = frontend()
    view = front.extract(images[0][LEFT])
    small = front.follow(view, cv2.resize(images[0][LEFT], (240, 180)))
    assert small.image_size == (240, 180) and not np.isin(small.ids, view.ids).any()


def test_features_of_another_front_end_are_refused(images) -> None:
    other = create_frontend(FrontendConfig(name="orb")).extract(images[0][LEFT])
    front = frontend()
    mine = front.extract(images[0][LEFT])
    for call in (
        lambda: front.match(mine, other),
        lambda: front.follow(other, images[0][LEFT]),
        lambda: front.beside(other, images[0][LEFT]),
    ):
        with pytest.raises(FrontendError, match="another front end"):
            call()


def test_at_most_so_many_points_are_followed(images) -> None:
    views = followed(frontend(most=60), [one[LEFT] for one in images[:FRAMES]])
    assert max(map(len, views)) <= 60


@pytest.fixture(scope="module")
def pipeline(trained_weights: Path) -> TwoViewPipeline:
    values = {"frontend.name": "tracks", "network.device": "cpu"}
    return TwoViewPipeline.from_config(**values, **{"network.weights": str(trained_weights)})


@pytest.mark.parametrize("back", [0, 2])
def test_a_bag_that_loops_leaves_no_track_elsewhere(stream, images, pipeline, back: int) -> None:
    """From the last image of the way straight to one of its first, 60 pixels at once."""
    order = [*range(6, FRAMES), back, back + 1, back + 2]
    views = [pipeline.follow(None, images[order[0]][LEFT])]
    for number in order[1:]:
        views.append(pipeline.follow(views[-1], images[number][LEFT]))
    last = FRAMES - 7
    rows0, rows1 = common(views[last], views[last + 1])
    truth = stream.true_points(views[last].keypoints[rows0], FRAMES - 1, back)
    off = np.linalg.norm(views[last + 1].keypoints[rows1] - truth, axis=1)
    known = np.isfinite(off)
    assert (off[known] > JUMP).sum() <= 0.08 * max(known.sum(), 1)  # before anybody judges
    # What the network and the pose let through, which is what is published with an id.
    camera = stream.sequence.camera
    result = pipeline.relate(views[last], views[last + 1], camera, camera)
    kept = result.inlier if result.status.name == "OK" else np.zeros(len(result.inlier), bool)
    truth = stream.true_points(result.keypoints0[kept], FRAMES - 1, back)
    off = np.linalg.norm(result.keypoints1[kept] - truth, axis=1)
    wrong = (off[np.isfinite(off)] > JUMP).mean()
    assert kept.sum() > 60 and wrong < 0.02  # one may lie on its epipolar line
    assert jumps(stream, views[last + 1], views[last + 3], back, back + 2, LEFT) < 0.06


def test_no_id_comes_back_on_bad_footage(images) -> None:
    """Blur, flicker, something that passes, a black frame, the beginning again."""
    shown = [one[LEFT] for one in images]
    for number, kind in ((2, "blur"), (4, "darker"), (5, "brighter"), (7, "occlusion")):
        shown[number] = DISTURBANCES[kind](shown[number])
    shown[9] = np.zeros_like(shown[9])
    shown += [shown[0], shown[1]]
    gone: set[int] = set()
    before: set[int] = set()
    for view in followed(frontend(), shown):
        ids = view.ids.tolist()
        assert len(ids) == len(set(ids)) and not gone & set(ids)
        gone |= before - set(ids)
        before = set(ids)
    assert len(gone) > 300  # tracks did end
