"""Nothing or next to nothing to match, for each front end, matcher and sieve."""

from __future__ import annotations

import dataclasses
import itertools

import cv2
import numpy as np
import pytest
import torch
from learned_extra import need
from shared_data import shared_path

from msga_ros.frontend import FRONTENDS, Features
from msga_ros.frontend.device_matching import DeviceDescriptors
from msga_ros.frontend.matchers import MATCHERS, fitting_matcher
from msga_ros.frontend.pictures import read_picture
from msga_ros.geometry.camera import Camera
from msga_ros.two_view.chosen_stages import create_frontend
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.pipeline import Status, TwoViewPipeline, TwoViewResult

COMBINATIONS = (
    *((name, "nearest") for name in ("sift", "fast_sift", "orb", "akaze")),
    *(("xfeat", matcher) for matcher in ("nearest", "lighterglue")),
    *((name, matcher) for name in ("disk", "aliked") for matcher in ("nearest", "lightglue")),
)
SIEVES = ("msga", "none")
Pipelines = dict[str, TwoViewPipeline]


@pytest.fixture(scope="module", params=COMBINATIONS, ids=" ".join)
def pipelines(request: pytest.FixtureRequest) -> Pipelines:
    """By sieve; they share a front end, which lets all matches through."""
    name, matcher = request.param
    need(name)
    entries = {"frontend.name": name, "frontend.matcher": matcher, "frontend.device": "cpu"}
    entries |= {"frontend.ratio": 1.0, "frontend.mutual": False, "frontend.max_keypoints": 60}
    configs = {
        sieve: PipelineConfig.load(
            None,
            **entries,
            **{"sieve.name": sieve, "network.device": "cpu", "frontend.max_matches": 0},
        )
        for sieve in SIEVES
    }
    front_end = create_frontend(configs["msga"].frontend)
    return {sieve: TwoViewPipeline(one, frontend=front_end) for sieve, one in configs.items()}


def test_no_combination_is_left_out() -> None:
    fitting = set()
    for name in FRONTENDS.names():
        if fitting_matcher(name):  # the others match by themselves
            for matcher in MATCHERS.names():
                meant = getattr(MATCHERS.load(matcher), "FRONTENDS", None)
                if meant is None or name in meant:
                    fitting.add((name, matcher))
    assert set(COMBINATIONS) == fitting


@pytest.mark.parametrize("counts", [*itertools.product((0, 1, 5), repeat=2)])
def test_so_few_keypoints_make_no_pose(pipelines: Pipelines, counts: tuple[int, int]) -> None:
    path = shared_path("data/scenes/strecha_fountain_p11/images/0000.jpg")
    image = cv2.resize(read_picture(path), (192, 128), interpolation=cv2.INTER_AREA)
    camera = Camera.pinhole(170.0, 170.0, 95.5, 63.5, 192, 128)
    for pipeline in pipelines.values():
        all_of_them = pipeline.extract(image)
        assert len(all_of_them) > 5
        views = [first(all_of_them, count) for count in counts]
        result = pipeline.relate(views[0], views[1], camera, camera)
        assert (result.counts.detected0, result.counts.detected1) == counts
        assert result.counts.matched <= counts[0]
        if not all(counts):
            assert result.counts.matched == 0
        assert_no_pose(result)


@pytest.mark.parametrize("shape", [(480, 640), (1, 1), (2, 3), (16, 16), (40, 64)])
def test_black_and_tiny_images_make_no_pose(pipelines: Pipelines, shape: tuple[int, int]) -> None:
    height, width = shape
    camera = Camera.pinhole(500.0, 500.0, width / 2, height / 2, width, height)
    black = np.zeros(shape, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(np.uint8)
    pairs = [(black, black)] if height > 100 else [(black, black), (black, noise[0]), tuple(noise)]
    for pipeline, (one, other) in itertools.product(pipelines.values(), pairs):
        result = pipeline(one, other, camera, camera)
        if not (one.any() and other.any()):
            assert result.counts.matched == 0
        assert_no_pose(result)


def assert_no_pose(result: TwoViewResult) -> None:
    assert result.status is Status.TOO_FEW_MATCHES
    assert np.isnan(result.rotation).all() and np.isnan(result.translation).all()
    assert len(result.inlier) == result.counts.matched


def first(features: Features, count: int) -> Features:
    """The first of them, with all that is known of each."""
    each = [field.name for field in dataclasses.fields(features)]
    cut = {
        name: getattr(features, name)[:count]
        for name in each
        if isinstance(getattr(features, name), np.ndarray)
    }
    if isinstance(features.payload, DeviceDescriptors):
        vectors = torch.from_numpy(np.ascontiguousarray(cut["descriptors"]))
        cut["payload"] = DeviceDescriptors.of(vectors)
    return dataclasses.replace(features, **cut)
