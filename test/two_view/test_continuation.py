"""Pairs whose points are followed: most go on from the pair before, and none of them is worse."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from rendered_stream import FRAMES, LEFT, RIGHT, RenderedStream, stream_of
from scipy.spatial.transform import Rotation

from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence
from msga_ros.frontend import Features
from msga_ros.frontend.base import FollowedPair
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.pose import rotation_angle_deg
from msga_ros.network.match_scores import MatchScores
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.continuation import Continuation
from msga_ros.two_view.motion import Motion
from msga_ros.two_view.pipeline import Status, TwoViewPipeline, TwoViewResult
from msga_ros.two_view.relative_pose import continued_motion
from msga_ros.two_view.sieves.none import NoSieve
from msga_ros.two_view.stages import NormalisedMatches


@dataclass
class CountingSieve(NoSieve):
    """Lets all matches through, and counts how often it was asked."""

    asked: int = 0

    def __call__(self, matches: NormalisedMatches) -> MatchScores:
        self.asked += 1
        return super().__call__(matches)


@pytest.fixture(scope="module")
def stream() -> RenderedStream:
    return RenderedStream.made()


@pytest.fixture(scope="module")
def images(stream: RenderedStream) -> list[dict[str, np.ndarray]]:
    return stream_of(stream)


def pipeline(every: int = 5) -> tuple[TwoViewPipeline, CountingSieve]:
    sieve = CountingSieve()
    config = {"frontend.name": "tracks", "sieve.name": "none", "sieve.every": every}
    return TwoViewPipeline(PipelineConfig.load(**config), sieve), sieve


def angle_deg(one: np.ndarray, other: np.ndarray) -> float:
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def off_deg(result: TwoViewResult, before: Pose, after: Pose) -> tuple[float, float]:
    """Errors of rotation and of the direction of the translation."""
    motion = after.relative_to(before)
    turned = rotation_angle_deg(result.rotation @ motion.rotation.T)
    return turned, angle_deg(result.translation, motion.translation)


def views_of(pipe: TwoViewPipeline, images: list[dict[str, np.ndarray]]) -> list[Features]:
    views: list[Features] = []
    for one in images:
        views.append(pipe.follow(views[-1] if views else None, one[LEFT]))
    return views


def test_the_rig_is_judged_now_and_then_and_right_all_the_time(stream, images) -> None:
    pipe, sieve = pipeline(every=4)
    camera, left = stream.sequence.camera, None
    for index, one in enumerate(images):
        left = pipe.follow(left, one[LEFT])
        result = pipe.relate(left, pipe.beside(left, one[RIGHT]), camera, camera)
        poses = stream.sequence.poses(index)
        assert result.status is Status.OK
        turned, aside = off_deg(result, poses[LEFT], poses[RIGHT])
        assert turned < 0.3 and aside < 3.0
        assert (result.timings["network"] > 0) == (index % 4 == 0)
    assert sieve.asked == FRAMES / 4


def test_a_keyframe_is_compared_with_each_view_after_it(stream, images) -> None:
    pipe, sieve = pipeline(every=50)
    camera, poses = stream.sequence.camera, stream.sequence.poses
    views = views_of(pipe, images)
    for index in range(3, FRAMES):
        result = pipe.relate(views[0], views[index], camera, camera)
        assert result.status is Status.OK
        turned, aside = off_deg(result, poses(0)[LEFT], poses(index)[LEFT])
        assert turned < 0.3 and aside < 4.0
    # Once at the beginning, and whenever the baseline has become two and a half times as wide.
    assert sieve.asked == 2


def test_views_in_a_row_go_on_from_each_other(stream, images) -> None:
    pipe, sieve = pipeline(every=4)
    camera = stream.sequence.camera
    views = views_of(pipe, images)
    for before, after in itertools.pairwise(views):
        assert len(pipe.relate(before, after, camera, camera).inlier)
    assert sieve.asked == np.ceil((FRAMES - 1) / 4)


def test_the_rig_and_the_motion_over_time_are_not_judged_in_one_view(stream, images) -> None:
    """A view that takes much longer than the others would make those after it wait."""
    pipe, sieve = pipeline(every=4)
    camera, views, asked = stream.sequence.camera, [], []
    for one in images:
        views.append(pipe.follow(views[-1] if views else None, one[LEFT]))
        before = sieve.asked
        pipe.relate(views[-1], pipe.beside(views[-1], one[RIGHT]), camera, camera)
        if len(views) > 1:
            pipe.relate(views[-2], views[-1], camera, camera)
        asked.append(sieve.asked - before)
    later = asked[2:]  # both begin with a question
    assert set(later) == {0, 1} and all(sum(two) < 2 for two in itertools.pairwise(later))
    assert sum(later) >= 2 * (len(later) // 6)


def test_every_pair_where_that_is_asked_for(stream, images) -> None:
    pipe, sieve = pipeline(every=1)
    camera = stream.sequence.camera
    views = views_of(pipe, images[:4])
    for after in views[1:]:
        pipe.relate(views[0], after, camera, camera)
    assert sieve.asked == 3


def test_a_right_camera_that_was_turned_is_found_at_once(stream, images) -> None:
    """What does not agree with the motion before is not bent to agree with it."""
    pipe, _ = pipeline(every=100)
    turned = SyntheticSequence(replace(stream.sequence.options, rig_rotation_deg=(2.0, 3.0, 4.0)))
    camera, left = stream.sequence.camera, None
    for index, rig in enumerate((stream.sequence, stream.sequence, turned)):
        left = pipe.follow(left, images[index][LEFT])
        right = pipe.beside(left, RenderedStream(rig).images(index)[RIGHT])
        result = pipe.relate(left, right, camera, camera)
        assert result.status is Status.OK
        poses = rig.poses(index)
        assert off_deg(result, poses[LEFT], poses[RIGHT])[0] < 0.5


def test_points_that_do_not_move_with_the_scene_end(stream, images) -> None:
    """A third of the points are pushed about: outliers, and their ids are gone in the next view."""
    pipe, sieve = pipeline(every=5)
    camera = stream.sequence.camera
    views = views_of(pipe, images[:7])
    for index in (3, 4, 5):
        pipe.relate(views[0], views[index], camera, camera)
    last = views[6]
    wrong = np.arange(0, len(last), 3)
    pushed = last.keypoints.copy()
    pushed[wrong] += np.random.default_rng(0).choice([-1, 1], (len(wrong), 2)) * [12, 15]
    result = pipe.relate(views[0], replace(last, keypoints=pushed), camera, camera)
    assert result.status is Status.OK
    assert sieve.asked == 2  # at the beginning, and about what does not go on from there
    false = np.isin(result.indices1, wrong)
    assert result.inlier[false].mean() < 0.1 and result.inlier[~false].mean() > 0.9
    ended = last.ids[result.indices1[false & ~result.inlier]]
    assert len(ended) > 0.6 * false.sum()
    assert not np.isin(ended, pipe.follow(last, images[7][LEFT]).ids).any()


def test_another_scene_is_no_motion(stream, images) -> None:
    pipe, _ = pipeline()
    camera = stream.sequence.camera
    views = views_of(pipe, images[:3])
    pipe.relate(views[0], views[1], camera, camera)
    pipe.relate(views[0], views[2], camera, camera)
    elsewhere = SyntheticOptions(frames=1, width=480, height=360, focal=360.0, seed=5)
    other = RenderedStream(SyntheticSequence(elsewhere)).images(0)[LEFT]
    after = pipe.follow(views[2], other)
    assert pipe.relate(views[0], after, camera, camera).status is not Status.OK


FOCAL = 500.0
CONFIG = PipelineConfig.load(**{"frontend.name": "tracks", "sieve.name": "none", "sieve.every": 50})
POINTS = np.random.default_rng(3).uniform([-2, -2, 4], [2, 2, 9], (300, 3))
ALL = np.ones(len(POINTS), dtype=bool)


def seen(reference: float, current: float, turn_deg: float = 0.0) -> np.ndarray:
    """(N, 4) of a camera that moves 0.1 sideways and turns by `turn_deg` a view, quarter pixels."""
    views = []
    for time in (reference, current):
        turned = Rotation.from_euler("z", turn_deg * time, degrees=True).as_matrix()
        there = (POINTS - [0.1 * time, 0.0, 0.0]) @ turned.T
        views.append(there[:, :2] / there[:, 2:])
    noise = np.random.default_rng(int(10 * current)).normal(size=(len(POINTS), 4))
    return np.hstack(views) + 0.25 / FOCAL * noise


def solved(rows: np.ndarray, turn_deg: float) -> Motion:
    """The motion of `rows`, from a start near the true one."""
    start = Rotation.from_euler("z", turn_deg, degrees=True).as_matrix()
    motion = continued_motion(start, np.array([-1.0, 0.0, 0.0]), ALL, rows, CONFIG, FOCAL, 0.5)
    assert motion is not None
    return motion


def begun(reference: int, current: int, turn_deg: float = 0.0) -> Continuation:
    """Sieve and solver were asked about one pair."""
    known = Continuation()
    rows = seen(reference, current, turn_deg)
    motion = solved(rows, turn_deg * (current - reference))
    known.asked(FollowedPair(reference, current), ALL, rows, motion)
    return known


@pytest.mark.parametrize(("share", "goes_on"), [(0.05, True), (0.3, False)])
def test_the_sieve_is_asked_where_fewer_points_agree_than_before(
    share: float, goes_on: bool
) -> None:
    known, rows = begun(0, 4), seen(0, 5)
    wrong = np.arange(len(rows)) < share * len(rows)
    rows[wrong, 3] += 20 / FOCAL  # across the epipolar lines
    motion = known.motion(FollowedPair(0, 5), ALL, rows, CONFIG, FOCAL)
    assert (motion is not None) == goes_on
    if motion is not None:
        assert not motion.inlier[wrong].any()


@pytest.mark.parametrize(
    ("reference", "current", "goes_on"), [(2, 3, True), (2, 4, True), (2, 5, False), (3, 4, False)]
)
def test_the_motion_goes_on_from_a_view_that_has_become_the_reference(
    reference: int, current: int, goes_on: bool
) -> None:
    """Over no more frames than were measured, and from no other view."""
    rows = seen(reference, current)
    motion = begun(0, 2).motion(FollowedPair(reference, current), ALL, rows, CONFIG, FOCAL)
    assert (motion is not None) == goes_on
    if motion is not None:
        true = solved(rows, 0.0)
        assert rotation_angle_deg(motion.rotation @ true.rotation.T) < 0.3
        assert angle_deg(motion.translation, true.translation) < 3.0


def test_a_new_reference_does_not_hurry_the_next_question() -> None:
    """Its first views are too near to tell anything: the question comes when it is due."""
    config = replace(CONFIG, sieve=replace(CONFIG.sieve, every=4))
    known = begun(0, 3)
    asked = [
        known.motion(FollowedPair(*pair), ALL, seen(*pair), config, FOCAL) is None
        for pair in ((0, 4), (4, 5), (4, 6), (4, 7))
    ]
    assert asked == [False, False, False, True]


def test_a_camera_that_turns_fast_goes_on_turning() -> None:
    """Compared with one keyframe, each view is turned by 25 degrees more than the one before."""
    known, turn = begun(0, 2, 25.0), 25.0
    rows = seen(0, 3, turn)
    known.asked(FollowedPair(0, 3), ALL, rows, solved(rows, 3 * turn))
    # The fourth view, then the one from a new reference, then the next of that.
    for pair in ((0, 4), (4, 5), (4, 6)):
        motion = known.motion(FollowedPair(*pair), ALL, seen(*pair, turn), CONFIG, FOCAL)
        assert motion is not None
        whole = (pair[1] - pair[0]) * turn
        true = Rotation.from_euler("z", whole, degrees=True).as_matrix()
        assert rotation_angle_deg(motion.rotation @ true.T) < 0.3
