"""Cameras: pixels to the normalised plane and back, from real-looking calibration messages."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msga_ros.geometry.camera import Camera, CameraError, stereo_shift
from msga_ros.geometry.distortion import lens

K = np.array([[520.0, 0.0, 318.5], [0.0, 515.0, 243.2], [0.0, 0.0, 1.0]])
MODELS = {
    "plumb_bob_4": ("plumb_bob", [-0.28, 0.07, 2e-4, -1e-4]),
    "plumb_bob_5": ("plumb_bob", [-0.3, 0.1, 1e-3, -1e-3, -0.02]),
    "pincushion": ("plumb_bob", [0.2, 0.1, -5e-4, 1e-3, 0.01]),
    "rational": ("rational_polynomial", [0.3, -0.1, 1e-3, 5e-4, 0.01, 0.6, -0.05, 0.02]),
    "azure_like": ("rational_polynomial", [0.48, -3.1, 6e-4, 3e-4, 1.67, 0.36, -2.9, 1.6]),
    "equidistant": ("equidistant", [-0.01, 0.02, -0.01, 0.002]),
}
IDENTITY_ROTATION = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]


def camera(name: str) -> Camera:
    model, coefficients = MODELS[name]
    return Camera(K, model, np.array(coefficients), 640, 480)


def camera_info(**changes: object) -> SimpleNamespace:
    """A sensor_msgs/CameraInfo in everything but type."""
    fields: dict[str, object] = {
        "width": 640,
        "height": 480,
        "distortion_model": "plumb_bob",
        "d": MODELS["plumb_bob_5"][1],
        "k": K.ravel().tolist(),
        "r": IDENTITY_ROTATION,
        "p": [400.0, 0.0, 310.0, -48.0, 0.0, 400.0, 250.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        "binning_x": 0,
        "binning_y": 0,
        "roi": SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False),
    }
    return SimpleNamespace(**(fields | changes))


def all_over_the_image() -> np.ndarray:
    u, v = np.meshgrid(np.linspace(0, 639, 33), np.linspace(0, 479, 25))
    return np.column_stack([u.ravel(), v.ravel()])


@pytest.mark.parametrize("name", MODELS)
def test_agrees_with_opencv(name: str) -> None:
    pixels = all_over_the_image()
    coefficients = np.array(MODELS[name][1])
    ours = camera(name)
    assert np.isfinite(ours.normalize(pixels)).all()
    plane = np.random.default_rng(0).uniform(-0.6, 0.6, (200, 2))
    if name == "equidistant":
        expected = cv2.fisheye.undistortPoints(pixels[:, None], K, coefficients)
        projected = cv2.fisheye.distortPoints(plane[:, None], K, coefficients)
    else:
        # OpenCV's fixed-point iteration, given enough rounds to converge.
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 500, 1e-14)
        undistort = getattr(cv2, "undistortPointsIter", None)
        if undistort is None:  # from 4.x on an argument of the same function
            expected = cv2.undistortPoints(pixels[:, None], K, coefficients, criteria=criteria)
        else:
            expected = undistort(pixels[:, None], K, coefficients, None, None, criteria)
        space = np.column_stack([plane, np.ones(len(plane))])
        projected = cv2.projectPoints(space, np.zeros(3), np.zeros(3), K, coefficients)[0]
    np.testing.assert_allclose(ours.normalize(pixels), expected[:, 0], atol=1e-7)
    np.testing.assert_allclose(ours.project(plane), projected[:, 0], atol=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_pixels_survive_the_round_trip(name: str) -> None:
    pixels = all_over_the_image()
    np.testing.assert_allclose(
        camera(name).project(camera(name).normalize(pixels)), pixels, atol=1e-7
    )


@given(
    radial=st.tuples(*[st.floats(-0.4, 0.4)] * 3),
    denominator=st.tuples(*[st.floats(-0.4, 0.4)] * 3),
    tangential=st.tuples(*[st.floats(-0.01, 0.01)] * 2),
    point=st.tuples(*[st.floats(-3, 3)] * 2),
)
def test_an_undistorted_point_always_distorts_back(radial, denominator, tangential, point) -> None:
    """Whatever the coefficients: a point is the exact original of its pixel, or NaN."""
    k1, k2, k3 = radial
    lens = Camera(
        np.eye(3),
        "rational_polynomial",
        np.array([k1, k2, *tangential, k3, *denominator]),
    )
    original = lens.normalize(np.array([point]))
    if np.isfinite(original).all():
        np.testing.assert_allclose(lens.project(original)[0], point, atol=1e-9)
    else:
        assert np.isnan(original).all()
        assert np.hypot(*point) > 0.3  # near the axis every one of these lenses can be inverted


@given(
    k1=st.floats(-0.3, 0.5), k2=st.floats(0.0, 0.2), point=st.tuples(*[st.floats(-0.6, 0.6)] * 2)
)
def test_finds_the_original_inside_the_monotonic_range(k1, k2, point) -> None:
    lens = Camera(np.eye(3), "plumb_bob", np.array([k1, k2, 0.0, 0.0]))
    np.testing.assert_allclose(lens.normalize(lens.project([point]))[0], point, atol=1e-8)


@given(theta=st.floats(0.0, np.deg2rad(88)), direction=st.floats(-np.pi, np.pi))
def test_fisheye_up_to_88_degrees(theta, direction) -> None:
    lens = camera("equidistant")
    original = np.tan(theta) * np.array([[np.cos(direction), np.sin(direction)]])
    found = lens.normalize(lens.project(original))
    np.testing.assert_allclose(np.arctan(np.hypot(*found[0])), theta, atol=1e-9)


def test_points_the_model_cannot_explain_are_nan_and_spoil_no_other() -> None:
    # r (1 - 0.3 r^2) grows up to r = 1.054, where it is 0.703: nothing maps to 0.8.
    barrel = Camera(np.eye(3), "plumb_bob", np.array([-0.3, 0.0, 0.0, 0.0]))
    points = np.array(
        [[0.8, 0.0], [0.5, 0.0], [np.nan, 0.0], [np.inf, 0.0], [0.0, 0.0], [1e6, 1e6]]
    )
    found = barrel.normalize(points)
    assert np.isnan(found).any(axis=1).tolist() == [True, False, True, True, False, True]
    np.testing.assert_array_equal(found[4], [0.0, 0.0])
    # 1.5 distorts to 0.4875 beyond the fold; the original in the image is the one before it.
    assert 0.5 < barrel.normalize([[0.4875, 0.0]])[0, 0] < 1.054
    # An ideal fisheye sees 90 degrees at a radius of pi / 2: not on the plane z = 1.
    fisheye = Camera(np.eye(3), "equidistant", np.zeros(4))
    found = fisheye.normalize([[np.pi / 2 + 1e-3, 0.0], [np.deg2rad(80), 0.0]])
    assert np.isnan(found[0]).all()
    assert found[1, 0] == pytest.approx(np.tan(np.deg2rad(80)))


@pytest.mark.parametrize(
    ("model", "coefficients", "fold", "turning_point"),
    [
        # r - r^3 + 0.4 r^5 grows to 0.424 at 0.707, falls to 0.4 at 1, and grows again for ever.
        ("plumb_bob", [-1.0, 0.4, 0.0, 0.0], 0.4242, 0.7072),
        # The same in the angle: 0.472 at 0.781 rad, and 0.86 at 90 degrees on the way up again.
        ("equidistant", [-0.8, 0.25, 0.0, 0.0], 0.4723, np.tan(0.7815)),
    ],
)
def test_points_beyond_the_first_fold_are_not_fetched_from_a_later_branch(
    model: str, coefficients: list[float], fold: float, turning_point: float
) -> None:
    lens = Camera(np.eye(3), model, np.array(coefficients))
    distorted = np.linspace(0.01, 0.85, 300)
    found = lens.normalize(np.column_stack([distorted, np.zeros(300)]))[:, 0]
    reachable = distorted < fold
    assert np.isnan(found[~reachable]).all()
    assert np.isfinite(found[reachable]).all()
    assert (np.diff(found[reachable]) > 0).all()
    assert found[reachable].max() < turning_point


def test_no_points_is_fine_and_a_wrong_shape_is_not() -> None:
    for name in MODELS:
        assert camera(name).normalize(np.empty((0, 2))).shape == (0, 2)
        assert camera(name).project(np.empty((0, 2))).shape == (0, 2)
    with pytest.raises(ValueError, match="shape"):
        camera("equidistant").normalize(np.zeros((3, 3)))


def test_raw_and_rectified_camera_info() -> None:
    raw = Camera.from_camera_info(camera_info(), rectified=False)
    assert raw == camera("plumb_bob_5")
    rectified = Camera.from_camera_info(camera_info(), rectified=True)
    assert rectified == Camera.pinhole(400.0, 400.0, 310.0, 250.0, 640, 480)
    np.testing.assert_allclose(rectified.normalize([[310.0, 450.0]]), [[0.0, 0.5]])
    assert rectified.mean_focal == 400.0
    assert raw.mean_focal == pytest.approx(517.5)


@pytest.mark.parametrize("model", ["", "plumb_bob", "rational_polynomial", "something_else"])
@pytest.mark.parametrize("d", [[], [0.0] * 5, [0.0] * 14])
def test_no_coefficients_mean_no_distortion(model: str, d: list[float]) -> None:
    info = camera_info(distortion_model=model, d=d)
    assert Camera.from_camera_info(info, rectified=False) == Camera(K, width=640, height=480)


@pytest.mark.parametrize(
    "model", ["equidistant", "fisheye", "Kannala_Brandt", "equi", " EQUIDISTANT"]
)
@pytest.mark.parametrize("d", [[], [0.0], [0.0] * 4, [0.0] * 5, [0.0] * 14])
def test_a_fisheye_without_coefficients_is_a_fisheye(model: str, d: list[float]) -> None:
    k = [300.0, 0, 320, 0, 300, 240, 0, 0, 1]
    info = camera_info(distortion_model=model, d=d, k=k)
    lens = Camera.from_camera_info(info, rectified=False)
    pixel = 320 + 300 * np.radians(45)  # 45 degrees off the axis
    np.testing.assert_allclose(lens.normalize([[pixel, 240.0]]), [[1.0, 0.0]], atol=1e-12)
    plain = Camera(np.reshape(k, (3, 3)), "equidistant")
    np.testing.assert_allclose(plain.normalize([[pixel, 240.0]]), [[1.0, 0.0]], atol=1e-12)


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("radtan", "plumb_bob_4"),
        ("radial-tangential", "plumb_bob_4"),
        ("fisheye", "equidistant"),
        ("kannala_brandt", "equidistant"),
    ],
)
def test_models_under_other_names(name: str, same: str) -> None:
    info = camera_info(distortion_model=name, d=MODELS[same][1])
    assert Camera.from_camera_info(info, rectified=False) == camera(same)


def test_a_rational_lens_with_fewer_coefficients() -> None:
    info = camera_info(distortion_model="rational_polynomial", d=MODELS["plumb_bob_5"][1])
    pixels = all_over_the_image()
    np.testing.assert_allclose(
        Camera.from_camera_info(info, rectified=False).normalize(pixels),
        camera("plumb_bob_5").normalize(pixels),
        atol=1e-9,
    )


def test_coefficients_padded_with_zeros() -> None:
    info = camera_info(d=[*MODELS["plumb_bob_5"][1], 0.0, 0.0, 0.0])
    assert Camera.from_camera_info(info, rectified=False) == camera("plumb_bob_5")


def test_binning_and_region_show_the_same_rays() -> None:
    full = Camera.from_camera_info(camera_info(), rectified=False)
    region = SimpleNamespace(x_offset=100, y_offset=60, width=400, height=300, do_rectify=False)
    part = Camera.from_camera_info(
        camera_info(binning_x=2, binning_y=3, roi=region), rectified=False
    )
    assert (part.width, part.height) == (200, 100)
    pixels = np.array([[100.0, 60.0], [340.0, 300.0]])
    in_part = (pixels - [100.0, 60.0]) / [2.0, 3.0]
    np.testing.assert_allclose(part.normalize(in_part), full.normalize(pixels), atol=1e-12)


def test_scaled_follows_an_image_resize() -> None:
    """A bright blob lies on the same ray before and after cv2.resize."""
    v, u = np.mgrid[0:480, 0:640]
    blob = np.exp(-((u - 401.3) ** 2 + (v - 127.8) ** 2) / (2 * 12.0**2))
    small = cv2.resize(blob, (320, 160), interpolation=cv2.INTER_AREA)
    v, u = np.mgrid[0:160, 0:320]
    centre = np.array([[(u * small).sum(), (v * small).sum()]]) / small.sum()
    full = camera("plumb_bob_5")
    resized = full.scaled(0.5, 1 / 3)
    assert (resized.width, resized.height) == (320, 160)
    np.testing.assert_allclose(
        resized.normalize(centre), full.normalize([[401.3, 127.8]]), atol=1e-5
    )
    with pytest.raises(CameraError, match="positive"):
        full.scaled(0.0)


def changed(values: list[float], index: int, value: float) -> list[float]:
    return [value if i == index else v for i, v in enumerate(values)]


GOOD_K = K.ravel().tolist()
GOOD_P = camera_info().p


@pytest.mark.parametrize(
    ("changes", "rectified", "message"),
    [
        ({"k": [0.0] * 9}, False, "k is all zeros"),
        ({"p": [0.0] * 12}, True, "p is all zeros"),
        ({"k": changed(GOOD_K, 2, float("nan"))}, False, "k holds NaN"),
        ({"p": changed(GOOD_P, 0, float("inf"))}, True, "p holds NaN or infinity"),
        ({"k": changed(GOOD_K, 0, -500.0)}, False, "k: focal lengths -500, 515 are not positive"),
        ({"p": changed(GOOD_P, 5, 0.0)}, True, "p: focal lengths 400, 0 are not positive"),
        ({"k": GOOD_K[:6]}, False, "k has 6 entries, not 9"),
        ({"k": changed(GOOD_K, 8, 0.0)}, False, r"must be \[fx s cx"),
        ({"k": changed(GOOD_K, 0, 1e308)}, False, "k: the calibration matrix holds 1e.308: not"),
        ({"k": changed(GOOD_K, 2, -1e300)}, False, "not pixels"),
        ({"k": changed(GOOD_K, 0, 0.0036)}, False, "focal lengths 0.0036, 515 are not in pixels"),
        ({"d": [0.1] * 12}, False, "plumb_bob has 4 or 5 coefficients, not 12"),
        ({"d": [0.1]}, False, "plumb_bob has 4 or 5 coefficients, not 1"),
        (
            {"d": [0.1] * 14, "distortion_model": "rational_polynomial"},
            False,
            "4 or 5 or 8 .* not 14",
        ),
        ({"d": [0.1] * 5, "distortion_model": "equidistant"}, False, "has 4 coefficients, not 5"),
        ({"distortion_model": "thin_prism"}, False, "unknown distortion model 'thin_prism'"),
        ({"distortion_model": ""}, False, "unknown distortion model ''"),
        ({"d": [0.1, 0.2, 0.3]}, False, "plumb_bob has 4 or 5 coefficients, not 3"),
        ({"d": [0.1] * 8}, False, "plumb_bob has 4 or 5 coefficients, not 8"),
        ({"d": [0.1, 0.2, float("nan"), 0.0]}, False, "coefficients hold NaN"),
    ],
)
def test_unusable_calibration_says_what_is_wrong(changes, rectified: bool, message: str) -> None:
    with pytest.raises(CameraError, match=message) as caught:
        Camera.from_camera_info(camera_info(**changes), rectified=rectified)
    assert "camera_info" in str(caught.value)
    # What the other kind of image needs is whole, so that still works.
    if not changes.keys() & {"distortion_model", "d"}:
        Camera.from_camera_info(camera_info(**changes), rectified=not rectified)


def distance(left: list[float], right: list[float]) -> float | None:
    shift = stereo_shift(camera_info(p=left), camera_info(p=right))
    return None if shift is None else float(np.linalg.norm(shift))


def test_shift_of_a_stereo_pair() -> None:
    alone = changed(GOOD_P, 3, 0.0)
    assert distance(alone, GOOD_P) == pytest.approx(0.12)  # p[3] = -48 = -400 * 0.12
    assert distance(alone, alone) is None
    assert distance(alone, changed(alone, 7, -20.0)) == pytest.approx(0.05)  # one above the other
    with pytest.raises(CameraError, match="p has a translation"):
        distance(alone, changed([0.0] * 12, 3, -48.0))
    with pytest.raises(CameraError, match="p holds NaN"):
        distance(changed(GOOD_P, 3, float("nan")), GOOD_P)


def kitti(*offset: float) -> list[float]:
    x, y, z = offset
    return [718.856, 0, 607.1928, x, 0, 718.856, 185.2157, y, 0, 0, 1, z]


def test_no_camera_of_a_pair_needs_to_be_in_the_origin() -> None:
    """KITTI's colour cameras are cameras 2 and 3 of a rig; so are two of three cameras."""
    expected = (45.38225 + 337.2877) / 718.856
    colour = kitti(45.38225, 0, 0), kitti(-337.2877, 0, 0)
    assert distance(*colour) == pytest.approx(expected, abs=1e-9)
    middle, right = changed(GOOD_P, 3, -400 * 0.1), changed(GOOD_P, 3, -400 * 0.25)
    assert distance(middle, right) == pytest.approx(0.15)
    # The published ones stand a millimetre apart along the axis as well: b = K^-1 P[:, 3].
    left, right = (45.38225, -0.1130887, 0.003779761), (-337.2877, 2.369057, 0.004915215)
    k = np.array(kitti(0, 0, 0)).reshape(3, 4)[:, :3]
    np.testing.assert_allclose(
        stereo_shift(camera_info(p=kitti(*left)), camera_info(p=kitti(*right))),
        np.linalg.inv(k) @ np.subtract(right, left),
    )


def test_a_left_camera_that_is_not_filled_in_is_in_the_origin() -> None:
    assert distance([0.0] * 12, GOOD_P) == pytest.approx(0.12)
    assert distance(GOOD_P, [0.0] * 12) is None


def test_cameras_are_values() -> None:
    intrinsics = K.copy()
    one = Camera(intrinsics, "plumb_bob", np.array([0.1, 0.0, 0.0, 0.0]))
    intrinsics[0, 0] = 1.0
    assert one.k[0, 0] == 520.0
    with pytest.raises(ValueError, match="read-only"):
        one.k[0, 0] = 1.0
    same = Camera(K, "plumb_bob", np.array([0.1, 0.0, 0.0, 0.0]))
    assert one == same
    assert hash(one) == hash(same)
    assert one != Camera(K)
    assert one != "a camera"


def test_the_real_message() -> None:
    message = pytest.importorskip("sensor_msgs.msg").CameraInfo()
    with pytest.raises(CameraError, match="k is all zeros"):
        Camera.from_camera_info(message, rectified=False)
    message.k = K.ravel()
    message.d = MODELS["equidistant"][1]
    message.distortion_model = "equidistant"
    message.width, message.height = 640, 480
    assert Camera.from_camera_info(message, rectified=False) == camera("equidistant")


@pytest.mark.parametrize("model", ["omnidirectional", "FOV", "double-sphere", "eucm"])
@pytest.mark.parametrize("zeros", [0, 4])
def test_another_wide_lens_is_no_pinhole_because_its_coefficients_are_zero(
    model: str, zeros: int
) -> None:
    name, coefficients = lens(model, np.zeros(zeros))
    with pytest.raises(CameraError, match="unknown distortion model"):
        Camera(np.diag([300.0, 300.0, 1.0]), name, coefficients)
