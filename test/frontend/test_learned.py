"""XFeat, DISK and ALIKED: what a front end finds, where, and what happens without the extra."""

from __future__ import annotations

import dataclasses
import socket
import sys
from types import SimpleNamespace
from typing import NoReturn

import cv2
import numpy as np
import pytest
import torch
from devices import DEVICES
from learned_extra import LEARNED, need
from shared_data import shared_path

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.frontend import Features, FrontendError
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.device_matching import DeviceDescriptors
from msga_ros.frontend.images import prepare, prepare_colour
from msga_ros.two_view.chosen_stages import MatchedFrontend, create_frontend
from msga_ros.two_view.stages import Frontend

WIDTHS = {"xfeat": 64, "disk": 128, "aliked": 128}


@pytest.fixture(scope="module")
def fountain() -> np.ndarray:
    """In colour, 512 x 342: no multiple of 32, which the networks like."""
    path = shared_path("data/scenes/strecha_fountain_p11/images/0000.jpg")
    image = cv2.imread(str(path))
    assert image is not None
    return cv2.resize(image, (512, 342), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module", params=LEARNED)
def name(request: pytest.FixtureRequest) -> str:
    need(request.param)
    return str(request.param)


def make(name: str, device: str = "cpu", **entries: object) -> Frontend:
    return create_frontend(FrontendConfig(name=name, device=device, **entries))  # type: ignore[arg-type]


def test_features_are_complete_and_strongest_first(name: str, fountain: np.ndarray) -> None:
    front_end = make(name, max_keypoints=400)
    features = front_end.extract(fountain)
    assert len(features) == 400
    assert features.keypoints.dtype == features.scores.dtype == np.float32
    assert np.all(np.diff(features.scores) <= 0)
    assert features.image_size == (512, 342)
    assert features.keypoints.min() >= 0 and np.all(features.keypoints <= (511, 341))
    assert features.descriptors.shape == (400, WIDTHS[name])
    assert features.descriptors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(features.descriptors, axis=1), 1.0, atol=1e-4)
    # The strongest ones, whatever the limit is, also after a change in mid-run.
    fewer = front_end.reconfigured(FrontendConfig(name=name, max_keypoints=50)).extract(fountain)
    assert {*map(tuple, fewer.keypoints)} <= {*map(tuple, features.keypoints)}
    # ALIKED chooses by the pixel, and reports the score beside it.
    np.testing.assert_allclose(fewer.scores, features.scores[:50], rtol=0.03)
    again = front_end.reconfigured(FrontendConfig(name=name, max_keypoints=400)).extract(fountain)
    np.testing.assert_array_equal(again.keypoints, features.keypoints)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (2, 2), (16, 16), (33, 31), (65, 63)])
def test_tiny_and_flat_images_do_not_raise(name: str, device: str, shape: tuple[int, int]) -> None:
    front_end = make(name, device)
    assert isinstance(front_end, MatchedFrontend)
    noise = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    features = front_end.extract(noise)
    assert features.image_size == (shape[1], shape[0])
    if len(features):
        assert features.keypoints.min() >= -0.5
        assert np.all(features.keypoints <= np.array([shape[1] - 0.5, shape[0] - 0.5]))
    assert len(front_end.match(features, features)) <= len(features)
    for value in (0, 255):
        assert len(front_end.extract(np.full(shape, value, np.uint8))) == 0
    assert front_end.device.startswith(
        device
    )  # no fault of the device was worked around on the CPU


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("matcher", ["auto", "nearest"])
def test_few_keypoints_match_or_do_not(
    name: str, device: str, matcher: str, fountain: np.ndarray
) -> None:
    front_end = make(name, device, matcher=matcher, max_keypoints=8, mutual=False, ratio=1.0)
    assert isinstance(front_end, MatchedFrontend)
    few = front_end.extract(fountain)
    none = front_end.extract(np.zeros((100, 120, 3), np.uint8))
    one, five = (first(few, count) for count in (1, 5))
    assert (len(none), len(one), len(five)) == (0, 1, 5)
    for features0 in (none, one, five):
        for features1 in (none, one, five):
            matches = front_end.match(features0, features1)
            assert len(matches) <= min(len(features0), len(features1)) or matcher == "nearest"
            assert matches.indices0 is not None and matches.indices1 is not None
            assert matches.indices0.dtype == matches.indices1.dtype == np.int64
            if not (len(features0) and len(features1)):
                assert len(matches) == 0
    assert front_end.device.startswith(device)
    assert front_end.device_problem == ""


def first(features: Features, count: int) -> Features:
    kept = features.descriptors[:count].astype(np.float32)
    device = features.payload.device
    return dataclasses.replace(
        features,
        keypoints=features.keypoints[:count],
        scores=features.scores[:count],
        descriptors=kept,
        payload=DeviceDescriptors.of(torch.from_numpy(kept).to(device)),
    )


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_finds_what_the_cpu_finds(name: str, device: str, fountain: np.ndarray) -> None:
    moved = cv2.warpAffine(fountain, np.array([[0.97, 0.05, 6.0], [-0.05, 0.97, 9.0]]), (512, 342))
    found = []
    for where in ("cpu", device):
        front_end = make(name, where, max_keypoints=500)
        views = front_end.extract(fountain), front_end.extract(moved)
        found.append((views, front_end.match(*views)))
    (cpu_views, cpu_matches), (views, matches) = found
    for one, other in zip(cpu_views, views, strict=True):
        assert shared(one.keypoints, other.keypoints) > 0.95
    assert len(cpu_matches) > 100
    ends = [np.hstack([one.keypoints0, one.keypoints1]) for one in (cpu_matches, matches)]
    assert shared(*ends) > 0.9 and shared(*reversed(ends)) > 0.9


def shared(expected: np.ndarray, found: np.ndarray) -> float:
    """Share of rows of `expected` that have one of `found` within half a pixel."""
    off = np.abs(expected[:, None] - found[None]).max(axis=2).min(axis=1)
    return float(np.mean(off < 0.5))


def test_a_size_that_is_no_multiple_moves_no_keypoint(name: str, fountain: np.ndarray) -> None:
    """What is cut off at the right and at the bottom changes little in the middle."""
    front_end = make(name, max_keypoints=500)
    whole = front_end.extract(fountain[:320, :480])
    part = front_end.extract(fountain[:301, :461])
    middle = part.keypoints[(part.keypoints < (400, 240)).all(axis=1)]
    offset = middle[:, None] - whole.keypoints[None]
    nearest = np.abs(offset).sum(axis=2).argmin(axis=1)
    offset = offset[np.arange(len(middle)), nearest]
    close = np.abs(offset).max(axis=1) < 1.5
    assert len(middle) > 100 and close.mean() > 0.7
    np.testing.assert_allclose(offset[close].mean(axis=0), 0.0, atol=0.05)
    # Resampled to a multiple of 32, which is what the network of XFeat comes with, they would be
    # off by some 2 % of their coordinates or, rounded, one pixel.
    assert np.mean(np.abs(offset[close]).max(axis=1) < 0.3) > 0.9


def test_downscaling_gives_keypoints_in_received_pixels(name: str) -> None:
    path = shared_path("data/scenes/strecha_fountain_p11/images/0000.jpg")
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)[:640, :960]
    features = make(name, max_image_size=320).extract(image)
    assert features.image_size == (960, 640)
    before = make(name).extract(cv2.resize(image, (320, 213), interpolation=cv2.INTER_AREA))
    assert len(features) == len(before) > 100
    scale = np.array([960 / 320, 640 / 213])
    expected = (before.keypoints + 0.5) * scale - 0.5
    np.testing.assert_allclose(features.keypoints, expected, atol=1e-3)


def test_other_kinds_of_images_are_seen_alike(name: str, fountain: np.ndarray) -> None:
    """Grey ones, and 16 bits of which a part is used."""
    front_end = make(name, max_keypoints=300)
    grey = cv2.cvtColor(fountain, cv2.COLOR_BGR2GRAY)
    plain = front_end.extract(grey)
    as_colour = front_end.extract(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
    np.testing.assert_array_equal(plain.keypoints, as_colour.keypoints)
    deep = front_end.extract(grey.astype(np.uint16) * 16 + 100)
    near = np.linalg.norm(deep.keypoints[:, None] - plain.keypoints[None], axis=2).min(axis=1)
    assert np.mean(near < 2) > 0.8
    with pytest.raises(FrontendError, match="uint8 or uint16"):
        front_end.extract(fountain.astype(np.float32))


@pytest.mark.parametrize("name", ["disk", "aliked"])
def test_colours_come_in_the_order_of_the_weights(name: str, fountain: np.ndarray) -> None:
    """BGR to RGB, in [0, 1]: as the network itself finds them."""
    need(name)
    image = fountain[100:228, 100:228]
    front_end = make(name, max_keypoints=200)
    usual, exchanged = (front_end.extract(one) for one in (image, image[:, :, ::-1].copy()))
    assert not np.array_equal(usual.keypoints, exchanged.keypoints)
    network = front_end._extractor._network._on_cpu.module  # type: ignore[attr-defined]
    rgb = torch.from_numpy(image[:, :, ::-1].copy()).permute(2, 0, 1)[None] / 255.0
    with torch.inference_mode():
        found = network(rgb)[0].keypoints.float().numpy()
    known = {tuple(point) for point in np.round(found, 2)}
    assert np.mean([tuple(point) in known for point in np.round(usual.keypoints, 2)]) > 0.95


@pytest.mark.parametrize("name", ["xfeat", "aliked"])
def test_the_layout_in_memory_changes_nothing_but_time(name: str, fountain: np.ndarray) -> None:
    need(name)
    front_end = make(name, max_keypoints=200)
    network = front_end._extractor._network._on_cpu  # type: ignore[attr-defined]
    assert network.layout is torch.channels_last
    usual = network.on(torch.device("cpu"))  # as it goes to another device
    kernels = [one for one in usual.module.parameters() if one.ndim == 4]
    assert kernels and all(one.is_contiguous() for one in kernels)
    quick = front_end.extract(fountain)
    scaled = (prepare_colour if name == "aliked" else prepare)(fountain, 0)
    plain = front_end._extractor._run(usual, scaled)  # type: ignore[attr-defined]
    np.testing.assert_allclose(quick.keypoints, plain.keypoints, atol=1e-2)
    np.testing.assert_allclose(quick.descriptors, plain.descriptors, atol=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_descriptors_stay_on_the_device(name: str, device: str, fountain: np.ndarray) -> None:
    front_end = create_frontend(FrontendConfig(name=name, device=device, max_keypoints=300))
    features = front_end.extract(fountain)
    kept = features.payload
    assert isinstance(kept, DeviceDescriptors) and kept.device.type == device
    np.testing.assert_array_equal(kept.vectors.cpu(), features.descriptors)
    assert not kept.vectors.requires_grad
    matches = front_end.match(features, features)
    assert np.mean(matches.indices0 == matches.indices1) > 0.9 and len(matches) > 200


def test_nothing_is_downloaded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("somebody opens a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    make(name)


def test_without_kornia_an_error_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kornia", None)
    with pytest.raises(
        FrontendError, match=rf"{name} needs the package kornia .*msga_ros\[learned"
    ):
        make(name)


def test_without_the_wheel_an_error_names_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(FrontendError, match=r"needs the package scm-\w+ with its weights; pip"):
        make(name)


def test_a_kornia_that_is_too_old_is_told_and_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    old = SimpleNamespace(__version__="0.8.2", feature=SimpleNamespace(), __spec__=None)
    monkeypatch.setitem(sys.modules, "kornia", old)
    monkeypatch.setitem(sys.modules, "kornia.feature", old.feature)
    with pytest.raises(
        FrontendError, match=r"aliked needs kornia 0\.9 .* not kornia 0\.8\.2; .*disk"
    ):
        make("aliked")


def test_unknown_devices_are_named() -> None:
    need("xfeat")
    with pytest.raises(ConfigError, match=r"frontend\.device must be auto, cpu, cuda or cuda:N"):
        create_frontend(FrontendConfig(name="xfeat", device="tpu"))
