"""The pipeline with learned features: which sieve judges, what it finds, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from learned_extra import need
from scene_pairs import PosedPair, load_pair
from scipy.spatial.transform import Rotation
from shared_data import shared_path
from typer.testing import CliRunner

from msga_ros.cli import app
from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.frontend import FrontendError
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.pose import pose_error_deg
from msga_ros.two_view.chosen_stages import fitting_sieve
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.pipeline import Status, TwoViewPipeline, TwoViewResult

XFEAT = {"frontend.name": "xfeat", "frontend.device": "cpu", "frontend.max_image_size": 512}


@pytest.fixture(scope="module")
def pipeline() -> TwoViewPipeline:
    need("xfeat")
    return TwoViewPipeline.from_config(**XFEAT)


@pytest.fixture(scope="module")
def fountain() -> PosedPair:
    return load_pair("strecha_fountain_p11", "0000.jpg", "0001.jpg")


def run(pipeline: TwoViewPipeline, pair: PosedPair) -> TwoViewResult:
    return pipeline(pair.image0, pair.image1, pair.camera0, pair.camera1)


def error_deg(result: TwoViewResult, pair: PosedPair) -> float:
    pose = (result.rotation, result.translation, pair.rotation, pair.translation)
    return max(pose_error_deg(*pose, signed=True))


@pytest.mark.parametrize(
    ("frontend", "matcher", "sieve", "expected"),
    [
        ("sift", "auto", "auto", "msga"),
        ("orb", "nearest", "auto", "msga"),
        ("sift", "auto", "none", "none"),
        ("xfeat", "auto", "auto", "none"),
        ("disk", "auto", "auto", "none"),
        ("aliked", "lightglue", "auto", "none"),
        ("xfeat", "nearest", "auto", "none"),
        ("aliked", "nearest", "auto", "none"),
        ("xfeat", "auto", "msga", "msga"),
        ("aliked", "nearest", "msga", "msga"),
    ],
)
def test_the_sieve_fits_the_matcher_unless_somebody_names_one(
    frontend: str, matcher: str, sieve: str, expected: str
) -> None:
    entries = {"frontend.name": frontend, "frontend.matcher": matcher, "sieve.name": sieve}
    assert fitting_sieve(PipelineConfig.load(**entries)) == expected


@pytest.mark.parametrize(
    ("matcher", "sieve", "judged"), [("auto", "auto", "none"), ("nearest", "msga", "msga")]
)
def test_the_result_says_which_sieve_judged(
    fountain: PosedPair, matcher: str, sieve: str, judged: str
) -> None:
    need("xfeat")
    entries = {"frontend.matcher": matcher, "sieve.name": sieve}
    chosen = TwoViewPipeline.from_config(**XFEAT, **entries)
    result = run(chosen, fountain)
    assert result.sieve == chosen.sieve_name == judged
    assert result.status is Status.OK
    assert error_deg(result, fountain) < 2.0
    assert np.isfinite(result.covariance).all()
    passed = result.counts.network_inliers == result.counts.matched
    assert passed == (judged == "none")


def test_somebody_has_to_solve() -> None:
    with pytest.raises(ConfigError, match=r"where sieve\.name is none: no stage"):
        TwoViewPipeline.from_config(**{**XFEAT, "pose.refine": "none"})


def test_combinations_that_do_not_fit_are_refused_before_anything_is_loaded() -> None:
    with pytest.raises(FrontendError, match="not for 'orb'; for that one there are nearest"):
        TwoViewPipeline.from_config(**{"frontend.name": "orb", "frontend.matcher": "lightglue"})


@pytest.mark.parametrize(
    ("entry", "value"), [("frontend.matcher", "nearest"), ("frontend.device", "auto")]
)
def test_another_matcher_or_device_takes_another_pipeline(
    pipeline: TwoViewPipeline, entry: str, value: str
) -> None:
    with pytest.raises(ConfigError, match=f"{entry.replace('.', '[.]')} cannot change"):
        pipeline.reconfigure(PipelineConfig.load(**{**XFEAT, entry: value}))


def test_a_change_in_mid_run_loads_nothing(pipeline: TwoViewPipeline, fountain: PosedPair) -> None:
    features = pipeline.extract(fountain.image0), pipeline.extract(fountain.image1)
    cameras = fountain.camera0, fountain.camera1
    every = pipeline.relate(*features, *cameras)
    network = pipeline._stages.frontend._matcher._network  # type: ignore[attr-defined]
    pipeline.reconfigure(PipelineConfig.load(**{**XFEAT, "frontend.max_matches": 100}))
    assert pipeline.relate(*features, *cameras).counts.matched == 100 < every.counts.matched
    assert pipeline._stages.frontend._matcher._network is network  # type: ignore[attr-defined]
    pipeline.reconfigure(PipelineConfig.load(**XFEAT))


@pytest.mark.parametrize("matcher", ["auto", "nearest"])
def test_images_of_two_places_have_no_pose(fountain: PosedPair, matcher: str) -> None:
    need("xfeat")
    door = load_pair("lund_door", "DSC_0001.jpg", "DSC_0002.jpg")
    hall = load_pair("rgbd_tsdf_oldsample", "frame-000055.color.jpg", "frame-000065.color.jpg")
    both = TwoViewPipeline.from_config(**XFEAT, **{"frontend.matcher": matcher})
    for one, other in ((fountain, door), (door, hall), (hall, fountain)):
        result = both(one.image0, other.image0, one.camera0, other.camera0)
        assert result.status is not Status.OK


@pytest.mark.parametrize("matcher", ["auto", "nearest"])
@pytest.mark.parametrize("axis", [(0.0, 0.2, 0.0), (0.1, 0.1, 0.2)])
def test_a_turn_on_the_spot_is_degenerate(
    fountain: PosedPair, matcher: str, axis: tuple[float, float, float]
) -> None:
    """Keypoints at whole pixels seem to have a parallax; it is no more than their noise."""
    need("xfeat")
    turn = TwoViewPipeline.from_config(**XFEAT, **{"frontend.matcher": matcher})
    height, width = fountain.image0.shape[:2]
    camera = fountain.camera0
    rotation = Rotation.from_rotvec(axis).as_matrix()
    homography = camera.k @ rotation @ np.linalg.inv(camera.k)
    turned = cv2.warpPerspective(fountain.image0, homography, (width, height))
    result = turn(fountain.image0, turned, camera, camera)
    assert result.counts.geometric_inliers > 100
    assert result.status is Status.DEGENERATE


@pytest.mark.parametrize("image", [np.zeros((480, 640), np.uint8), np.ones((1, 1), np.uint8)])
def test_images_without_anything_to_see_have_no_pose(
    pipeline: TwoViewPipeline, fountain: PosedPair, image: np.ndarray
) -> None:
    camera = Camera.pinhole(500, 500, image.shape[1] / 2, image.shape[0] / 2)
    for images, cameras in (
        ((image, image), (camera, camera)),
        ((image, fountain.image1), (camera, fountain.camera1)),
    ):
        result = pipeline(*images, *cameras)
        assert result.status is Status.TOO_FEW_MATCHES and result.counts.matched == 0


def test_msga_match_takes_them_and_says_who_judged(tmp_path: Path) -> None:
    need("xfeat")
    folder = "data/scenes/lund_door/images"
    images = [str(shared_path(f"{folder}/DSC_000{number}.jpg")) for number in (1, 2)]
    found = tmp_path / "pose.json"
    stages = ["--frontend", "xfeat", "--matcher", "lighterglue", "--device", "cpu"]
    command = ["match", *images, *stages, "--set", "frontend.max_image_size=512"]
    done = CliRunner().invoke(
        app, [*command, "-o", str(tmp_path / "out.png"), "--json", str(found)]
    )
    assert done.exit_code == 0, done.output
    pose = json.loads(found.read_text())
    assert pose["status"] == "OK" and pose["sieve"] == "none"
    assert max(pose["rotation_error_deg"], pose["translation_error_deg"]) < 2
    assert any(line.split() == ["sieve", "none"] for line in done.output.splitlines())
    wrong = CliRunner().invoke(app, [*command, "--matcher", "lightglue"])
    assert wrong.exit_code != 0 and "for that one there are nearest, lighterglue" in " ".join(
        wrong.output.split()
    )
