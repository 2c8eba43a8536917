"""The front end `msga_dense`: any two images, what it refuses, and that its matches are right."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from network.dense.drawn import textured
from scene_pairs import load_pair

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.frontend import FrontendError
from msga_ros.frontend.config import FrontendConfig
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.pose import pose_error_deg
from msga_ros.network.dense.frontend import Config
from msga_ros.network.dense.turning import TurnedImage
from msga_ros.two_view.chosen_stages import create_frontend, fitting_sieve
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.pipeline import Status, TwoViewPipeline
from msga_ros.two_view.stages import Frontend

ENTRIES = {"frontend.name": "msga_dense", "frontend.device": "cpu"}


@pytest.fixture(scope="module")
def frontend() -> Frontend:
    return create_frontend(FrontendConfig(name="msga_dense", device="cpu"))


@pytest.mark.parametrize("subpixel", ["learned", "lucas_kanade"])
def test_a_moved_and_enlarged_part_is_found_in_pixels_as_received(
    frontend: Frontend, subpixel: str
) -> None:
    """Two sizes, none a multiple of what the network takes, one grey and one in colour."""
    whole = textured(240, 300)
    part = cv2.cvtColor(whole[20:201, 30:], cv2.COLOR_GRAY2BGR)
    own = Config(subpixel=subpixel, longest=300)
    front = frontend.reconfigured(FrontendConfig(name="msga_dense", own=own))
    features = front.extract(whole), front.extract(part)
    assert [one.image_size for one in features] == [(300, 240), (270, 181)]
    assert len(features[0]) == 0 and not features[0].fixed_keypoints
    found = front.match(*features)
    error = np.linalg.norm(found.keypoints0 - found.keypoints1 - (30, 20), axis=1)
    assert (error < 0.3).sum() > 200
    assert np.mean(error[: len(error) // 2] < 1.0) > 0.95  # the surest
    assert found.confidence is not None
    assert (found.confidence >= own.min_confidence).all() and (np.diff(found.confidence) <= 0).all()
    # Evidence for MSGA-Net: the surer, the smaller the ratio.
    np.testing.assert_allclose(found.evidence[:, 0], 1 - found.confidence / 2, rtol=1e-6)
    assert np.isnan(found.evidence[:, 1:]).all()
    for points, one in zip((found.keypoints0, found.keypoints1), features, strict=True):
        assert (points >= -0.5).all() and (points <= np.array(one.image_size) - 0.5).all()
    # In an image of twice the size the same points are at twice the coordinates.
    large = cv2.resize(whole, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    again = front.match(front.extract(large), features[1])
    error = np.linalg.norm((again.keypoints0 + 0.5) / 2 - 0.5 - again.keypoints1 - (30, 20), axis=1)
    assert np.median(error) < 0.3


@pytest.mark.parametrize("degrees", [-60.0, 90.0])
@pytest.mark.parametrize("subpixel", ["learned", "lucas_kanade"])
def test_an_image_turned_in_its_plane_is_found(
    frontend: Frontend, subpixel: str, degrees: float
) -> None:
    whole = textured(192, 256)
    turned = TurnedImage.of(whole, degrees)
    front, upright_only = (
        frontend.reconfigured(
            FrontendConfig(name="msga_dense", own=Config(subpixel=subpixel, turn_below=below))
        )
        for below in (Config().turn_below, 0.0)
    )
    features = front.extract(whole), front.extract(turned.pixels)
    found = front.match(*features)
    places = found.keypoints0 @ turned.matrix[:, :2].T + turned.matrix[:, 2]
    error = np.linalg.norm(places - found.keypoints1, axis=1)
    right = error < 0.5
    if subpixel == "lucas_kanade":  # it knows the pixels that were matched, the turned ones
        assert np.median(error) < 0.04
    assert right.sum() > 100 and right.mean() > 0.8
    assert found.confidence is not None and (np.diff(found.confidence) <= 0).all()
    assert len(upright_only.match(*features)) < 0.3 * right.sum()
    # What is found without a turn stays.
    same = front.match(features[0], features[0])
    assert np.abs(same.keypoints1 - same.keypoints0).max() < 1.0 and len(same) > 400


def test_small_images_are_not_turned(frontend: Frontend) -> None:
    plain = textured(48, 200)
    assert len(frontend.match(*(frontend.extract(one) for one in (plain, plain.T.copy())))) < 40


@pytest.mark.filterwarnings("error")
def test_images_of_others_are_not_touched(frontend: Frontend) -> None:
    image = textured(64, 96)
    image.setflags(write=False)  # as those of messages are
    features = frontend.extract(image)
    assert len(frontend.match(features, features)) > 0


def test_fewer_matches_on_request_and_the_surest_of_them(frontend: Frontend) -> None:
    image = textured(96, 128)
    features = frontend.extract(image)
    every = frontend.match(features, features)
    few = frontend.reconfigured(FrontendConfig(name="msga_dense", max_matches=10))
    assert len(few.match(features, features)) == 10 < len(every)
    none = frontend.reconfigured(FrontendConfig(name="msga_dense", own=Config(min_confidence=1.0)))
    assert len(none.match(features, features)) == 0


@pytest.mark.parametrize("level", [0, 128])
def test_an_image_without_contrast_matches_nothing_and_the_status_says_so(level: int) -> None:
    pipeline = TwoViewPipeline.from_config(**ENTRIES)
    plain, image = np.full((96, 128), level, np.uint8), textured(96, 128)
    camera = Camera.pinhole(100, 100, 63.5, 47.5, 128, 96)
    for pair in ((plain, image), (image, plain), (plain, plain)):
        result = pipeline(*pair, camera, camera)
        assert result.status == Status.TOO_FEW_MATCHES
        assert len(result.inlier) == 0


def test_the_pose_of_a_real_pair_is_right() -> None:
    pair = load_pair("strecha_fountain_p11", "0000.jpg", "0001.jpg")
    pipeline = TwoViewPipeline.from_config(**ENTRIES, **{"frontend.max_image_size": 384})
    result = pipeline(pair.image0, pair.image1, pair.camera0, pair.camera1)
    assert result.status == Status.OK
    errors = pose_error_deg(
        result.rotation, result.translation, pair.rotation, pair.translation, signed=True
    )
    assert max(errors) < 2.0
    assert result.sieve == fitting_sieve(PipelineConfig.load(**ENTRIES)) == "none"
    assert result.indices0 is None  # nothing to follow: odometry says so


def test_what_does_not_fit_is_refused_by_name(frontend: Frontend, tmp_path: Path) -> None:
    other = create_frontend(FrontendConfig(name="orb"))
    image = textured(96, 128)
    with pytest.raises(FrontendError, match="msga_dense needs the images"):
        frontend.match(frontend.extract(image), other.extract(image))
    missing = str(tmp_path / "none.safetensors")
    with pytest.raises(FrontendError, match=r"front end msga_dense: .*none.safetensors: no such"):
        create_frontend(FrontendConfig(name="msga_dense", own=Config(weights=missing)))
    with pytest.raises(FrontendError, match="no weights 'absent' in the package"):
        create_frontend(FrontendConfig(name="msga_dense", own=Config(weights="absent")))
    with pytest.raises(ConfigError, match="subpixel"):
        Config(subpixel="guessed")
    with pytest.raises(FrontendError, match="matches by itself"):
        create_frontend(FrontendConfig(name="msga_dense", matcher="nearest"))
