"""Which matcher goes with which front end, and what a matcher answers."""

from __future__ import annotations

import dataclasses
from typing import Any, NoReturn

import cv2
import numpy as np
import pytest
import torch
from learned_extra import need
from shared_data import shared_path

from msga_ros.frontend import FRONTENDS, Features, FrontendError
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.device_matching import DeviceDescriptors
from msga_ros.frontend.matchers import MATCHERS, fitting_matcher, matcher_names
from msga_ros.frontend.matchers.nearest import NearestMatcher
from msga_ros.two_view.chosen_stages import create_frontend
from msga_ros.two_view.stages import Frontend


@pytest.fixture(scope="module")
def views() -> tuple[np.ndarray, np.ndarray]:
    images = (
        cv2.imread(str(shared_path(f"data/scenes/strecha_fountain_p11/images/000{number}.jpg")))
        for number in (0, 1)
    )
    first, second = (cv2.resize(one, (480, 320), interpolation=cv2.INTER_AREA) for one in images)
    return first, second


@pytest.fixture(scope="module")
def xfeat() -> Frontend:
    need("xfeat")
    return create_frontend(FrontendConfig(name="xfeat", max_keypoints=600, device="cpu"))


@pytest.fixture(scope="module")
def features(xfeat: Frontend, views: tuple[np.ndarray, np.ndarray]) -> tuple[Features, Features]:
    return xfeat.extract(views[0]), xfeat.extract(views[1])


def test_names() -> None:
    assert MATCHERS.names() == ("nearest", "lightglue", "lighterglue")
    assert matcher_names() == ("auto", "nearest", "lightglue", "lighterglue")


def test_each_front_end_has_one_that_suits_it() -> None:
    suited = {name: fitting_matcher(name) for name in FRONTENDS.names()}
    assert suited == {
        **dict.fromkeys(("sift", "fast_sift", "orb", "akaze"), "nearest"),
        "xfeat": "lighterglue",
        "disk": "lightglue",
        "aliked": "lightglue",
        "tracks": "",  # it follows points, and matches by itself
        "msga_dense": "",  # it finds points when it sees both images
    }
    others = [name for name, matcher in suited.items() if matcher]
    assert {fitting_matcher(name, "nearest") for name in others} == {"nearest"}
    with pytest.raises(FrontendError, match="'tracks' matches by itself"):
        fitting_matcher("tracks", "nearest")


@pytest.mark.parametrize(
    ("frontend", "matcher", "reason"),
    [
        ("sift", "lightglue", "is for the front ends disk, aliked, not for 'sift'.* are nearest$"),
        ("xfeat", "lightglue", "not for 'xfeat'; .* there are nearest, lighterglue$"),
        ("disk", "lighterglue", "is for the front ends xfeat, .* there are nearest, lightglue$"),
        ("orb", "superglue", "unknown matcher 'superglue'; there are nearest, lightglue"),
        ("surf", "nearest", "unknown front end 'surf'"),
    ],
)
def test_what_does_not_fit_is_an_error_that_names_what_does(
    frontend: str, matcher: str, reason: str
) -> None:
    with pytest.raises(FrontendError, match=reason):
        fitting_matcher(frontend, matcher)
    with pytest.raises(ValueError, match=r"matcher|front end"):  # not by another way either
        create_frontend(FrontendConfig(name=frontend, matcher=matcher))


def test_lighterglue_finds_true_matches_and_knows_which(
    xfeat: Frontend, features: tuple[Features, Features]
) -> None:
    matches = xfeat.match(*features)
    assert len(matches) > 150
    assert matches.confidence is not None and matches.confidence.dtype == np.float32
    assert matches.confidence.min() > 0 and matches.confidence.max() <= 1
    assert matches.indices0 is not None and matches.indices1 is not None
    assert np.all(np.diff(matches.indices0) > 0)
    assert len(np.unique(matches.indices1)) == len(matches)
    np.testing.assert_array_equal(matches.keypoints0, features[0].keypoints[matches.indices0])
    np.testing.assert_array_equal(matches.keypoints1, features[1].keypoints[matches.indices1])
    _, true = cv2.findFundamentalMat(
        matches.keypoints0, matches.keypoints1, cv2.USAC_MAGSAC, 1.5, 0.9999, 10_000
    )
    true = true.ravel().astype(bool)
    assert true.mean() > 0.7
    assert matches.confidence[true].mean() > matches.confidence[~true].mean() + 0.05


def test_max_matches_keeps_the_surest(xfeat: Frontend, features: tuple[Features, Features]) -> None:
    every = xfeat.match(*features)
    config = FrontendConfig(name="xfeat", max_keypoints=600, max_matches=40)
    kept = xfeat.reconfigured(config).match(*features)
    assert len(kept) == 40
    assert kept.confidence is not None and every.confidence is not None
    assert kept.confidence.min() >= np.sort(every.confidence)[-40] - 1e-6
    assert np.all(np.diff(kept.indices0) > 0)


@pytest.mark.parametrize("payload", ["lost", "none"])
def test_descriptors_that_are_elsewhere_come_from_the_host(
    xfeat: Frontend, features: tuple[Features, Features], payload: str
) -> None:
    """After a device has failed, features that were made on it are matched all the same."""
    gone = on_a_lost_device()
    moved = [
        dataclasses.replace(one, payload=gone if payload == "lost" else None) for one in features
    ]
    np.testing.assert_array_equal(
        xfeat.match(moved[0], moved[1]).indices1, xfeat.match(*features).indices1
    )


def test_descriptors_of_another_kind_are_refused(
    xfeat: Frontend, views: tuple[np.ndarray, np.ndarray], features: tuple[Features, Features]
) -> None:
    others = create_frontend(FrontendConfig(name="sift")).extract(views[0])
    with pytest.raises(FrontendError, match="takes descriptors of 64 numbers, not of shape"):
        xfeat.match(features[0], others)
    nearest = create_frontend(FrontendConfig(name="xfeat", matcher="nearest"))
    with pytest.raises(FrontendError, match="descriptors of different kinds"):
        nearest.match(features[0], others)


def test_nearest_needs_keypoints_of_each_image() -> None:
    view = Features.without_keypoints((10, 10), payload=None)
    with pytest.raises(FrontendError, match="keypoints that are found in each image"):
        NearestMatcher(FrontendConfig()).match(view, view)


class LostTensor:
    """A tensor on a device that does not answer any more."""

    device = torch.device("cuda", 7)

    def __len__(self) -> int:
        return 50

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("CUDA error: unspecified launch failure")

    def __getitem__(self, key: object) -> NoReturn:
        raise RuntimeError("CUDA error: unspecified launch failure")


def on_a_lost_device() -> DeviceDescriptors:
    lost: Any = LostTensor()
    return DeviceDescriptors(lost, lost, binary=False)


def test_lightglue_on_cuda_does_without_the_attention_that_plans_for_each_shape() -> None:
    from msga_ros.frontend.matchers.glue import _attention

    assert torch.backends.cuda.cudnn_sdp_enabled()
    with _attention(torch.device("cuda")):
        assert not torch.backends.cuda.cudnn_sdp_enabled()
        assert torch.backends.cuda.flash_sdp_enabled()
    assert torch.backends.cuda.cudnn_sdp_enabled()
    with _attention(torch.device("cpu")):
        assert torch.backends.cuda.cudnn_sdp_enabled()
