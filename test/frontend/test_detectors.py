"""SIFT, ORB and AKAZE: what a front end finds, and where it says that it is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from shared_data import shared_path

from msga_ros.frontend import FRONTENDS, FrontendError, Matches
from msga_ros.frontend.config import FrontendConfig
from msga_ros.two_view.chosen_stages import create_frontend
from msga_ros.two_view.stages import Frontend

NAMES = ("sift", "fast_sift", "orb", "akaze")
LEARNED = ("xfeat", "disk", "aliked")


def scene_image(relative: str, flags: int = cv2.IMREAD_GRAYSCALE) -> np.ndarray:
    image = cv2.imread(str(shared_path(f"data/scenes/{relative}")), flags)
    assert image is not None
    return image


@pytest.fixture(scope="module")
def indoor() -> np.ndarray:
    return scene_image("rgbd_tsdf_oldsample/images/frame-000015.color.jpg")


def textured(height: int = 240, width: int = 320, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def make(name: str, **entries: object) -> Frontend:
    return create_frontend(FrontendConfig(name=name, **entries))  # type: ignore[arg-type]


def test_registry_lists_the_front_ends() -> None:
    assert FRONTENDS.names() == (*NAMES, "tracks", *LEARNED, "msga_dense")


@pytest.mark.parametrize("name", ["", "surf", "base", "matching", "../sift"])
def test_unknown_front_end_names_the_known_ones(name: str) -> None:
    with pytest.raises(FrontendError, match="sift, fast_sift, orb, akaze"):
        make(name)


def test_without_akaze_in_opencv_it_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "AKAZE_create", raising=False)
    with pytest.raises(FrontendError, match=r"^frontend\.name: OpenCV .* has no akaze"):
        make("akaze")


def test_extrema_are_found_with_either_shape_of_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV 4 gives them as `(M, 1, 2)`, OpenCV 5 as `(M, 2)`."""
    expected, find = make("fast_sift").extract(textured()), cv2.findNonZero
    for shape in ((-1, 1, 2), (-1, 2)):

        def found_in(image: np.ndarray, shape: tuple[int, ...] = shape) -> np.ndarray | None:
            places = find(image)
            return None if places is None else places.reshape(shape)

        monkeypatch.setattr(cv2, "findNonZero", found_in)
        found = make("fast_sift").extract(textured())
        np.testing.assert_array_equal(found.keypoints, expected.keypoints)
    assert len(expected) > 100


@pytest.mark.parametrize("name", NAMES)
def test_features_are_complete_and_strongest_first(name: str, indoor: np.ndarray) -> None:
    features = make(name, max_keypoints=500).extract(indoor)
    assert len(features) == 500
    assert features.keypoints.shape == (500, 2) and features.keypoints.dtype == np.float32
    assert features.scores.shape == (500,) and np.all(np.diff(features.scores) <= 0)
    assert len(features.descriptors) == 500
    assert features.image_size == (640, 480)
    assert features.keypoints.min() >= -0.5
    assert np.all(features.keypoints <= np.array([639.5, 479.5]))


@pytest.mark.parametrize("name", NAMES)
def test_most_real_images_fill_two_thousand_keypoints(name: str) -> None:
    scenes = {
        "rgbd_tsdf_oldsample/images/frame-000015.color.jpg",
        "sfm_redkitchen_video/images/frame-000000_color.jpg",
        "strecha_fountain_p11/images/0000.jpg",
    }
    counts = [len(make(name).extract(scene_image(scene))) for scene in sorted(scenes)]
    assert max(counts) == 2000
    assert min(counts) >= 1900


def test_root_sift_descriptors_have_unit_length(indoor: np.ndarray) -> None:
    descriptors = make("sift", max_keypoints=200).extract(indoor).descriptors
    assert descriptors.dtype == np.float32 and descriptors.shape == (200, 128)
    np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_extraction_is_deterministic(name: str, indoor: np.ndarray) -> None:
    one, other = make(name).extract(indoor), make(name).extract(indoor)
    np.testing.assert_array_equal(one.keypoints, other.keypoints)
    np.testing.assert_array_equal(one.descriptors, other.descriptors)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2), (7, 9), (16, 16), (33, 31)])
@pytest.mark.parametrize("kind", ["black", "white", "random"])
def test_tiny_and_flat_images_do_not_raise(name: str, shape: tuple[int, int], kind: str) -> None:
    if kind == "random":
        image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    else:
        image = np.full(shape, 0 if kind == "black" else 255, np.uint8)
    features = make(name).extract(image)
    assert features.image_size == (shape[1], shape[0])
    if kind != "random":
        assert len(features) == 0


@pytest.mark.parametrize("name", NAMES)
def test_black_image_has_no_keypoints_and_matches_nothing(name: str) -> None:
    front_end = make(name)
    black = front_end.extract(np.zeros((240, 320, 3), np.uint8))
    full = front_end.extract(textured())
    assert len(black) == 0 and len(full) > 100
    for pair in ((black, full), (full, black), (black, black)):
        matches = front_end.match(*pair)
        assert len(matches) == 0 and matches.indices0.dtype == np.int64


@pytest.mark.parametrize("name", NAMES)
def test_keypoints_have_no_bias(name: str) -> None:
    """A half turn of the image turns the keypoints about its centre, whatever their octave."""
    image = scene_image("strecha_fountain_p11/images/0000.jpg")
    front_end = make(name, max_keypoints=4000)
    upright = front_end.extract(image)
    turned = front_end.extract(np.ascontiguousarray(image[::-1, ::-1]))
    matches = front_end.match(upright, turned)
    back = np.array([1023, 682]) - turned.keypoints[matches.indices1]
    offset = (upright.keypoints[matches.indices0] - back)[matches.mutual]
    close = np.abs(offset).max(axis=1) < 3
    assert close.sum() > 300
    # Of a constant bias, the difference shows twice as much.
    np.testing.assert_allclose(np.median(offset[close], axis=0), 0.0, atol=0.04)
    np.testing.assert_allclose(np.mean(offset[close], axis=0), 0.0, atol=0.15)


@pytest.mark.parametrize("name", NAMES)
def test_downscaling_gives_keypoints_in_received_pixels(name: str) -> None:
    image = scene_image("strecha_fountain_p11/images/0000.jpg")
    full = make(name, max_keypoints=2000).extract(image)
    small_front_end = make(name, max_keypoints=2000, max_image_size=500)
    small = small_front_end.extract(image)
    assert small.image_size == full.image_size == (1024, 683)
    matches = small_front_end.match(full, small)
    offset = small.keypoints[matches.indices1] - full.keypoints[matches.indices0]
    offset = offset[matches.mutual & (np.abs(offset).max(axis=1) < 4)]
    assert len(offset) > 100
    # Without the half pixel of the resize there would be an offset of 0.52 pixels.
    np.testing.assert_allclose(np.median(offset, axis=0), 0.0, atol=0.15)


def test_max_image_size_never_enlarges(indoor: np.ndarray) -> None:
    one = make("orb").extract(indoor)
    other = make("orb", max_image_size=10_000).extract(indoor)
    np.testing.assert_array_equal(one.keypoints, other.keypoints)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("degrees", [30.0, -100.0, 180.0])
def test_true_matches_turn_with_the_image(name: str, degrees: float) -> None:
    """From +x towards +y, y down: clockwise on the screen."""
    image = scene_image("strecha_fountain_p11/images/0000.jpg")
    matches, offset = matched_to_a_changed_image(make(name, mutual=True), image, degrees, 1.0)
    true = offset < 2
    assert matches.rotation is not None
    assert matches.rotation.min() >= -np.pi and matches.rotation.max() < np.pi
    error = np.rad2deg(matches.rotation[true]) - degrees
    error = (error + 180) % 360 - 180
    assert true.sum() > 500
    assert abs(np.median(error)) < 1.0
    assert np.mean(np.abs(error) < 10) > 0.9


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_sizes_grow_with_the_image(name: str, scale: float) -> None:
    image = scene_image("strecha_fountain_p11/images/0000.jpg")
    matches, offset = matched_to_a_changed_image(make(name, mutual=True), image, 0.0, scale)
    true = offset < 2
    assert matches.log_scale is not None and true.sum() > 100
    # AKAZE has four scales an octave and keeps to the finest ones.
    tolerance = 0.5 if name == "akaze" else 0.15
    assert abs(np.mean(matches.log_scale[true]) - np.log2(scale)) < tolerance


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_in_pixels_of_the_image_as_received(name: str) -> None:
    """The same pixels, once because they were scaled down before and once by the front end."""
    image = scene_image("strecha_fountain_p11/images/0000.jpg")
    inside = make(name, max_image_size=512).extract(image)
    before = make(name).extract(cv2.resize(image, (512, 342), interpolation=cv2.INTER_AREA))
    assert inside.sizes is not None and before.sizes is not None
    assert inside.angles is not None and before.angles is not None
    np.testing.assert_allclose(inside.sizes, 2.0 * before.sizes, rtol=1e-2)
    np.testing.assert_array_equal(inside.angles, before.angles)


@pytest.mark.parametrize("name", NAMES)
def test_distances_are_small_for_true_matches(name: str) -> None:
    image = scene_image("strecha_fountain_p11/images/0000.jpg")
    matches, offset = matched_to_a_changed_image(make(name, ratio=1.0), image, 20.0, 1.0)
    assert matches.distance is not None
    assert matches.distance.min() >= 0.0 and matches.distance.max() <= 1.0
    true, false = matches.distance[offset < 2], matches.distance[offset > 50]
    assert np.median(true) < 0.15 < np.median(false)


def matched_to_a_changed_image(
    front_end: Frontend, image: np.ndarray, degrees: float, scale: float
) -> tuple[Matches, np.ndarray]:
    """Matches to the image turned clockwise and scaled, and how far off each is, (N,) pixels."""
    height, width = image.shape
    change = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, scale)
    changed = cv2.warpAffine(image, change, (width, height), flags=cv2.INTER_AREA)
    features0, features1 = front_end.extract(image), front_end.extract(changed)
    matches = front_end.match(features0, features1)
    expected = features0.keypoints[matches.indices0] @ change[:, :2].T + change[:, 2]
    offset = np.linalg.norm(expected - features1.keypoints[matches.indices1], axis=1)
    return matches, offset
