"""Two views in metres by the depths of the reference view, and the odometry over such views."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from node.stereo_drive import Related
from odometry.rig_scene import CAMERA, Scene, same_index, with_outliers
from odometry.test_rgbd import FARTHEST, KNOWN_NOISE, LITTLE_PARALLAX, view
from scipy import stats
from stream.fakes import make_result, raw_header

from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.odometry.poses import UncertainPose, pose_error
from msga_ros.stream.depth_motion import in_metres
from msga_ros.stream.depth_tracking import DepthTracking
from msga_ros.stream.message_fields import relative_pose_fields
from msga_ros.stream.odometry_fields import motion_fields
from msga_ros.stream.processor import Outcome
from msga_ros.stream.reference_view import View
from msga_ros.two_view.result import Status, TwoViewResult

STEP_NS = 100_000_000


class Stream:
    """Views with depth images; a share `missing` of the keypoints of a frame has no depth."""

    def __init__(
        self, scene: Scene, seed: int = 1, missing: dict[int, float] | None = None
    ) -> None:
        self.scene, self._rng = scene, np.random.default_rng(seed)
        self.views = []
        for frame in range(len(scene.positions)):
            features, depth = view(scene, frame, self._rng, (missing or {}).get(frame, 0.2))
            pixels = np.zeros((480, 640), np.uint8)
            made = View(raw_header(frame * STEP_NS, "camera"), pixels, CAMERA, features)
            made.depth = depth
            self.views.append(made)

    def result(
        self, first: int, last: int, status: Status = Status.OK, outliers: float = 0.0
    ) -> TwoViewResult:
        """All true matches as inliers; of rotation and translation nothing is known."""
        seen = [self.views[number].features for number in (first, last)]
        found = with_outliers(same_index(*seen, CAMERA, CAMERA), outliers, self._rng)
        return make_result(
            len(found.inlier),
            len(found.inlier),
            status=status,
            keypoints0=seen[0].keypoints[found.indices0],
            keypoints1=seen[1].keypoints[found.indices1],
            indices0=found.indices0,
            indices1=found.indices1,
            inlier_probability=np.ones(len(found.inlier), np.float32),
        )

    def related(self, first: int, last: int, **how: Any) -> tuple[TwoViewResult, Any]:
        result = self.result(first, last, **how)
        return in_metres(result, self.views[first], self.views[last], KNOWN_NOISE)

    def outcome(self, first: int, last: int) -> Outcome:
        result, metric = self.related(first, last)
        ids = np.zeros(len(result.inlier), np.uint64)
        views = self.views[first], self.views[last]
        return Outcome(*views, result, ids, False, False, None, metric=metric)


def squared(pose: UncertainPose, truth: tuple[np.ndarray, np.ndarray]) -> float:
    wrong = pose_error(pose, *truth)
    return float(wrong @ np.linalg.solve(pose.covariance, wrong))


def test_the_motion_is_in_metres_and_its_covariance_holds() -> None:
    rng, found = np.random.default_rng(2), []
    for seed in range(12):
        stream = Stream(Scene.drive(rng, 2, points=300), seed)
        result, metric = stream.related(0, 1)
        true = stream.scene.true_motion(0, 1)
        assert metric is not None and result.status is Status.OK
        assert np.linalg.norm(metric.position - true[1]) < 0.08 * np.linalg.norm(true[1])
        found.append(squared(metric, true))
    low, high = stats.chi2.ppf([0.001, 0.999], 6 * len(found))
    assert low < sum(found) < high


def test_result_and_message_are_that_motion() -> None:
    stream = Stream(Scene.drive(np.random.default_rng(3), 2, points=300))
    outcome = stream.outcome(0, 1)
    result, metric = outcome.result, outcome.metric
    assert metric is not None
    np.testing.assert_allclose(result.rotation, metric.rotation.T)
    np.testing.assert_allclose(
        np.linalg.norm(metric.position) * result.translation, -metric.rotation.T @ metric.position
    )
    assert np.linalg.matrix_rank(result.covariance, tol=1e-12) == 5  # of a direction
    fields = relative_pose_fields(outcome)
    assert fields["translation_scale_known"] is True
    np.testing.assert_array_equal(fields["translation"], metric.position)
    np.testing.assert_array_equal(fields["covariance"], metric.covariance.ravel())
    essential = np.reshape(fields["essential"], (3, 3))
    rays = [
        np.column_stack([CAMERA.normalize(points[result.inlier]), np.ones(result.inlier.sum())])
        for points in (result.keypoints0, result.keypoints1)
    ]
    error = np.einsum("ni,ij,nj->n", rays[1], essential, rays[0])
    assert np.abs(error).max() < 3e-3


def test_a_turn_on_the_spot_is_known_where_the_essential_matrix_knows_nothing() -> None:
    turns = np.array([np.eye(3), rotation_matrix([0.0, 0.03, 0.01])])
    cloud = np.random.default_rng(4).uniform([-4, -3, 2], [4, 3, FARTHEST], (400, 3))
    stream = Stream(Scene(cloud, turns, np.zeros((2, 3))))
    result, metric = stream.related(0, 1, status=Status.DEGENERATE)
    assert result.status is Status.OK and metric is not None
    assert squared(metric, stream.scene.true_motion(0, 1)) < stats.chi2.ppf(0.999, 6)
    assert np.linalg.norm(metric.position) < 0.02


def test_matches_of_a_second_front_end_get_their_depths_as_any_others() -> None:
    stream = Stream(Scene.drive(np.random.default_rng(3), 4, points=300))
    first = make_result(8, 0, status=Status.TOO_FEW_MATCHES)
    found = replace(stream.result(0, 3), frontend="other", refused=first)
    plain = in_metres(stream.result(0, 3), stream.views[0], stream.views[3], KNOWN_NOISE)[1]
    second = replace(found, indices0=None, indices1=None)
    result, metric = in_metres(second, stream.views[0], stream.views[3], KNOWN_NOISE)
    assert plain is not None and metric is not None
    np.testing.assert_array_equal(metric.matrix, plain.matrix)
    assert (result.status, result.frontend) == (Status.OK, "other")
    assert result.of_features is first


def test_matches_that_the_depths_contradict_are_no_inliers() -> None:
    stream = Stream(Scene.drive(np.random.default_rng(5), 2, points=400))
    result, metric = stream.related(0, 1, outliers=0.2)
    assert metric is not None
    wrong = result.indices0 != result.indices1
    assert wrong.sum() > 20 and result.inlier[wrong].mean() < 0.1
    assert result.inlier[~wrong].mean() > 0.9
    assert result.counts.geometric_inliers == result.inlier.sum()


@pytest.mark.parametrize("status", [Status.OK, Status.DEGENERATE])
def test_without_depths_the_result_is_as_it_was(status: Status) -> None:
    stream = Stream(Scene.drive(np.random.default_rng(6), 2), missing={0: 1.0})
    before = stream.result(0, 1, status)
    views = stream.views
    for depth in (views[0].depth, None):
        views[0].depth = depth
        result, metric = in_metres(before, views[0], views[1], KNOWN_NOISE)
        assert metric is None and result is before
    none = make_result(0, 0, status=Status.TOO_FEW_MATCHES)
    assert in_metres(none, views[1], views[0], KNOWN_NOISE) == (none, None)


def test_the_odometry_begins_with_the_first_view_and_goes_on_in_metres() -> None:
    stream = Stream(Scene.drive(np.random.default_rng(7), 6, points=400))
    said: list[str] = []
    tracking = DepthTracking(Matching(), said.append, lambda error: None, KNOWN_NOISE)
    results = [
        tracking.update(view, stream.outcome(number - 1, number) if number else None, 1, True)
        for number, view in enumerate(stream.views)
    ]
    assert results[0] is not None and results[-1] is not None
    assert results[0].update.pose is not None and not results[0].update.pose.position.any()
    true, last = stream.scene.true_motion(0, 5), results[-1].update.pose
    assert last is not None and squared(last, true) < stats.chi2.ppf(0.999, 6)
    report = tracking.report
    assert (report.session, report.frames, report.lost, report.status) == (1, 6, 0, "OK")
    assert said == ["odometry: session 1 begins at the origin: the first frame"]
    assert report.depth is not None and 20 < report.depth.with_depth < report.depth.keypoints
    assert tracking.update(stream.views[5], None, 1, wanted=False) is None
    assert not tracking.report.running and tracking.report.depth is not None
    again = tracking.update(stream.views[5], None, 1, wanted=True)
    assert again is not None and again.session == 2


def test_a_length_that_was_guessed_is_told_as_a_direction() -> None:
    """The depth images end, and every point of the last one leaves the view."""
    missing = dict.fromkeys((3, 4), 1.0)
    stream = Stream(Scene.drive(np.random.default_rng(14), 5, points=500), missing=missing)
    tracking = DepthTracking(
        Matching(in_sight=1, stream=stream), lambda text: None, lambda error: None, LITTLE_PARALLAX
    )
    results = [tracking.update(view, None, 1, True) for view in stream.views]
    last = results[-1]
    assert last is not None and last.update.status.name == "RESCALED"
    fields = motion_fields(last)
    assert fields["translation_scale_known"] is False and fields["status"] == 0
    assert np.linalg.norm(fields["translation"]) == pytest.approx(1.0)
    covariance = np.reshape(fields["covariance"], (6, 6))
    np.testing.assert_allclose(covariance[:3, :3] @ fields["translation"], 0.0, atol=1e-9)
    true = stream.scene.true_motion(3, 4)[1]
    assert fields["translation"] @ true > 0.99 * np.linalg.norm(true)


class Matching:
    """A pipeline that finds the true matches, of frames at most `in_sight` apart."""

    def __init__(self, in_sight: int = 100, stream: Stream | None = None) -> None:
        self._in_sight = in_sight
        views = [] if stream is None else stream.views
        self._numbers = {id(one.features): number for number, one in enumerate(views)}

    def relate(self, *views: Any, ask_second: bool) -> Any:
        assert not ask_second  # for the odometry, which needs matches of the features
        matches = Related(**vars(same_index(*views)))
        first, last = (self._numbers.get(id(one), 0) for one in views[:2])
        if last - first > self._in_sight:
            return replace(matches, inlier=np.zeros_like(matches.inlier))
        return matches
