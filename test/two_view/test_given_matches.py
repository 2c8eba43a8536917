"""Matches from elsewhere, and pipelines without a sieve."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scene_pairs import PosedPair, load_pair

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.pose import pose_error_deg
from msga_ros.network import CheckpointError, packaged_weights
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.pipeline import Status, TwoViewPipeline, TwoViewResult

QUICK = {"network.device": "cpu", "network.weights": "msga_net_lite"}


@pytest.fixture(scope="module")
def fountain() -> PosedPair:
    return load_pair("strecha_fountain_p11", "0000.jpg", "0001.jpg")


@pytest.fixture(scope="module")
def pipeline() -> TwoViewPipeline:
    try:
        packaged_weights("msga_net_lite")
    except CheckpointError as error:
        pytest.skip(str(error))
    return TwoViewPipeline.from_config(**QUICK)


def error_deg(result: TwoViewResult, pair: PosedPair) -> float:
    pose = (result.rotation, result.translation, pair.rotation, pair.translation)
    return max(pose_error_deg(*pose, signed=True))


def test_matches_made_by_opencv_directly(pipeline: TwoViewPipeline, fountain: PosedPair) -> None:
    detector = cv2.SIFT_create(2000)
    keypoints0, descriptors0 = detector.detectAndCompute(fountain.image0, None)
    keypoints1, descriptors1 = detector.detectAndCompute(fountain.image1, None)
    best = cv2.BFMatcher().knnMatch(descriptors0, descriptors1, k=2)
    points0 = np.array([keypoints0[one.queryIdx].pt for one, _ in best])
    points1 = np.array([keypoints1[one.trainIdx].pt for one, _ in best])
    ratio = np.array([[one.distance / max(two.distance, 1e-9)] for one, two in best])
    for evidence in (ratio, None):
        result = pipeline.relate_matches(
            points0, points1, fountain.camera0, fountain.camera1, evidence
        )
        assert result.status is Status.OK
        assert error_deg(result, fountain) < 2.0
        assert result.inlier.shape == (len(best),)
        np.testing.assert_array_equal(result.keypoints1, points1.astype(np.float32))
        assert result.indices0 is None and result.indices1 is None
        assert set(result.timings) == {"network", "pose"}


def test_the_same_matches_give_the_same_result(
    pipeline: TwoViewPipeline, fountain: PosedPair
) -> None:
    """What the front end's matches say is what is given here, in the order of `EVIDENCE`."""
    cameras = (fountain.camera0, fountain.camera1)
    features = pipeline.extract(fountain.image0), pipeline.extract(fountain.image1)
    own = pipeline.relate(*features, *cameras)
    matches = pipeline._stages.frontend.match(*features)
    points = (matches.keypoints0, matches.keypoints1)
    given = pipeline.relate_matches(*points, *cameras, matches.evidence)
    np.testing.assert_array_equal(given.inlier, own.inlier)
    np.testing.assert_array_equal(given.inlier_probability, own.inlier_probability)
    np.testing.assert_array_equal(given.covariance, own.covariance)
    assert given.counts.matched == own.counts.matched
    assert (given.counts.detected0, given.counts.detected1) == (0, 0)
    # Evidence is looked at: without it the network says something else, whatever motion follows.
    assert given.counts.network_inliers == own.counts.network_inliers
    without = pipeline.relate_matches(*points, *cameras)
    assert without.counts.network_inliers != own.counts.network_inliers


def test_no_sieve_leaves_everything_to_the_solver(fountain: PosedPair) -> None:
    cameras = (fountain.camera0, fountain.camera1)
    pipeline = TwoViewPipeline.from_config(**{"sieve.name": "none", "frontend.ratio": 0.8})
    result = pipeline(fountain.image0, fountain.image1, *cameras)
    assert result.counts.network_inliers == result.counts.matched > result.inlier.sum()
    assert error_deg(result, fountain) < 2.0
    assert pipeline.device.type == "cpu" and pipeline.device_problem == ""
    # A match without coordinates is no match.
    points0, points1 = np.array(result.keypoints0), np.array(result.keypoints1)
    points0[0, 0] = points1[1, 1] = np.nan
    sure = np.ones(len(points0))
    given = pipeline.relate_matches(points0, points1, *cameras, confidence=sure)
    assert given.counts.network_inliers == len(points0) - 2 and not given.inlier[:2].any()


@pytest.mark.parametrize("enlarged", [0, 1])
def test_each_view_has_a_camera_of_its_own(
    pipeline: TwoViewPipeline, fountain: PosedPair, enlarged: int
) -> None:
    """One image twice as large, with the camera that belongs to it: the same motion."""
    cameras = [fountain.camera0, fountain.camera1]
    result = pipeline(fountain.image0, fountain.image1, *cameras)
    points = [np.array(result.keypoints0), np.array(result.keypoints1)]
    k = 2 * cameras[enlarged].k
    cameras[enlarged] = Camera.pinhole(k[0, 0], k[1, 1], k[0, 2], k[1, 2])
    points[enlarged] = 2 * points[enlarged]
    assert error_deg(pipeline.relate_matches(*points, *cameras), fountain) < 2.0


def test_no_sieve_and_no_solver_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no stage estimates the pose"):
        TwoViewPipeline.from_config(**{"sieve.name": "none", "pose.refine": "none"})
    pipeline = TwoViewPipeline.from_config(**{"sieve.name": "none"})
    with pytest.raises(ConfigError, match="no stage estimates the pose"):
        pipeline.reconfigure(PipelineConfig.load(**{"sieve.name": "none", "pose.refine": "none"}))
    assert pipeline.config.pose.refine == "poselib"


@pytest.mark.parametrize("refine", ["graduated", "poselib", "magsac"])
def test_every_solver_does_without_a_sieve(fountain: PosedPair, refine: str) -> None:
    entries = {"sieve.name": "none", "pose.refine": refine, "frontend.ratio": 0.75}
    pipeline = TwoViewPipeline.from_config(**entries)
    result = pipeline(fountain.image0, fountain.image1, fountain.camera0, fountain.camera1)
    assert error_deg(result, fountain) < 2.0


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        (((4, 2), (5, 2), None, None), "keypoints must be"),
        (((4, 3), (4, 3), None, None), "keypoints must be"),
        (((4, 2), (4, 2), (4, 6), None), "evidence must be"),
        (((4, 2), (4, 2), (3, 2), None), "evidence must be"),
        (((4, 2), (4, 2), (4,), None), "evidence must be"),
        (((4, 2), (4, 2), None, (4, 1)), "confidence must be"),
    ],
)
def test_arrays_of_another_shape_are_errors(
    fountain: PosedPair, shapes: tuple[tuple[int, ...] | None, ...], reason: str
) -> None:
    pipeline = TwoViewPipeline.from_config(**{"sieve.name": "none"})
    points0, points1, evidence, confidence = (
        None if shape is None else np.zeros(shape) for shape in shapes
    )
    cameras = (fountain.camera0, fountain.camera1)
    with pytest.raises(ValueError, match=reason):
        pipeline.relate_matches(points0, points1, *cameras, evidence, confidence)


def test_no_match_at_all_is_a_status(pipeline: TwoViewPipeline, fountain: PosedPair) -> None:
    none = np.empty((0, 2))
    result = pipeline.relate_matches(none, none, fountain.camera0, fountain.camera1)
    assert result.status is Status.TOO_FEW_MATCHES and len(result.inlier) == 0
