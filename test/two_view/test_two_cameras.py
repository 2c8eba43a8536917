"""Matches of known points in two unlike cameras: units, and what the result is worth."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from two_view_scene import TwoViewScene, random_scene

from msga_ros.frontend.base import Matches
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.pose import essential_matrix, pose_error_deg
from msga_ros.network.match_scores import MatchScores
from msga_ros.two_view import relative_pose, robust_pose
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.pipeline import Status, TwoViewPipeline, TwoViewResult
from msga_ros.two_view.relative_pose import estimate_motion
from msga_ros.two_view.stages import NormalisedMatches

WIDE = Camera(
    Camera.pinhole(300.0, 500.0, 310.0, 250.0).k, "plumb_bob", np.array([-0.05, 0.01, 0, 0, 0])
)
LONG = Camera.pinhole(1500.0, 1300.0, 900.0, 700.0)


def related(scene: TwoViewScene, camera0: Camera, camera1: Camera, **entries: Any) -> TwoViewResult:
    pipeline = TwoViewPipeline.from_config(**{"sieve.name": "none", **entries})
    pixels = camera0.project(scene.points0), camera1.project(scene.points1)
    return pipeline.relate_matches(*pixels, camera0, camera1)


@pytest.mark.parametrize("cameras", [(WIDE, LONG), (LONG, WIDE)])
def test_each_view_is_seen_through_its_own_camera(cameras: tuple[Camera, Camera]) -> None:
    scene = random_scene(3, 200, outliers=0.3)
    result = related(scene, *cameras)
    truth = (scene.rotation, scene.translation)
    assert result.status is Status.OK
    assert max(pose_error_deg(result.rotation, result.translation, *truth, signed=True)) < 0.1
    assert result.inlier[~scene.outlier].all()


def test_sizes_count_in_focal_lengths_of_their_own_camera() -> None:
    """A keypoint twice as large in pixels, in a camera twice as long, is as large as before."""
    points = np.array([[400.0, 300.0], [200.0, 100.0]], np.float32)
    unit = np.ones(2, np.float32)
    matches = Matches(points, points, ratio=unit / 2, log_scale=unit)
    short, twice = Camera.pinhole(500, 500, 320, 240), Camera.pinhole(1000, 1000, 640, 480)
    for camera0, camera1, expected in ((short, twice, 0.0), (twice, short, 2.0)):
        evidence = NormalisedMatches.of(matches, camera0, camera1).evidence
        assert evidence is not None
        np.testing.assert_allclose(evidence[:, 3], expected)
        np.testing.assert_allclose(evidence[:, 0], 0.5)


@pytest.mark.parametrize("cameras", [(WIDE, LONG), (LONG, WIDE)])
def test_a_pixel_is_one_of_the_mean_focal_length(
    cameras: tuple[Camera, Camera], monkeypatch: pytest.MonkeyPatch
) -> None:
    """(300 + 500 + 1500 + 1300) / 4 pixels, whichever view comes first."""
    thresholds = []
    solver = robust_pose.solver

    def recording(name: str) -> Any:
        @functools.wraps(solver(name))  # with what the solver says of itself
        def solve(points0: Any, points1: Any, threshold: float, **rest: Any) -> Any:
            thresholds.append(threshold)
            return solver(name)(points0, points1, threshold, **rest)

        return solve

    monkeypatch.setattr(robust_pose, "solver", recording)
    asked = {"pose.threshold_px": 1.8}
    related(random_scene(3, 100), *cameras, **asked, **{"pose.refine": "graduated"})
    assert thresholds == pytest.approx([1.8 / 900.0])
    related(random_scene(3, 100), *cameras, **asked)
    assert thresholds[1:] == pytest.approx([1.5 * 1.8 / 900.0])  # sampling looks further


def test_a_scene_that_two_motions_explain_is_degenerate() -> None:
    """A far, shallow scene and a short step, 0.17 degrees: turn and step look alike."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(-0.3, 0.3, (200, 2))
    z = rng.uniform(95.0, 105.0, 200)
    there = np.column_stack([xy * z[:, None], z]) + np.array([0.3, 0.0, 0.0])
    noise = 5e-4 * rng.normal(size=(2, 200, 2))
    points1 = there[:, :2] / there[:, 2:] + noise[1]
    nothing = np.zeros(200, dtype=bool)
    scene = TwoViewScene(xy + noise[0], points1, np.eye(3), np.zeros(3), there, nothing)
    camera = Camera.pinhole(1000.0, 1000.0, 500.0, 500.0)
    asked = {"pose.min_parallax_deg": 0.0, "pose.min_parallax_over_noise": 0.0}
    doubtful = related(scene, camera, camera, **asked)
    assert doubtful.status is Status.DEGENERATE
    # Whoever does not ask for a lead over other motions gets one of them, and as sure of itself.
    either = related(scene, camera, camera, **asked, **{"pose.min_lead": 0.0})
    assert either.status is Status.OK
    assert np.trace(either.covariance) < 0.5 * np.trace(doubtful.covariance)


@pytest.mark.parametrize("refine", ["poselib", "none"])
def test_chance_is_that_of_an_unrelated_match(refine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The share of wrong matches that agree with the true motion, up to the shape of the box."""
    scene = random_scene(5, 6000, noise=2e-4, outliers=0.5)
    essential = essential_matrix(scene.rotation, scene.translation)
    said = []
    chance = relative_pose.chance_of_agreement

    def recording(*arguments: Any) -> float:
        said.append(chance(*arguments))
        return said[-1]

    monkeypatch.setattr(relative_pose, "chance_of_agreement", recording)
    count = len(scene.outlier)
    rows, one = scene.correspondences, np.ones((count, 1))
    lines1 = np.hstack([rows[:, :2], one]) @ essential.T
    lines0 = np.hstack([rows[:, 2:], one]) @ essential
    error = (np.hstack([rows[:, 2:], one]) * lines1).sum(1)
    residual = error**2 * sum(1 / (lines[:, :2] ** 2).sum(1) for lines in (lines0, lines1))
    scores = MatchScores(essential, residual, np.ones(count))
    for limit, pixels in ((1e-4, 5.0), (4e-4, 2.0)):
        entries = {"network.inlier_threshold": limit, "pose.threshold_px": pixels}
        config = PipelineConfig.load(**{"pose.refine": refine, **entries})
        motion = estimate_motion(scores, rows, config, 1000.0)
        agree = residual < limit if refine == "none" else motion.inlier
        share = agree[scene.outlier].mean()
        assert share < said[-1] < 3.0 * share
