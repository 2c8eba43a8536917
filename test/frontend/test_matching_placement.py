"""`frontend.device` says where descriptors are matched, whichever front end they are of.

On the CPU the device is one in name only, and all else is as on a real one.
"""

from __future__ import annotations

import dataclasses
import gc
import logging
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from devices import DEVICES
from numpy.typing import NDArray

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.frontend import Features, Matches, device_matching
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.device_matching import DeviceDescriptors, SearchOnDevice
from msga_ros.frontend.matchers.nearest import NearestMatcher
from msga_ros.geometry.camera import Camera
from msga_ros.two_view.chosen_stages import create_frontend, matching_device

CAMERA = Camera.pinhole(300, 300, 160, 120)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What descriptors are on while `frontend.device` is `cuda`."""
    name: str = request.param
    if name == "cpu":
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
        monkeypatch.setattr(
            device_matching, "SearchOnDevice", lambda _: SearchOnDevice(torch.device("cpu"))
        )
    return name


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lengths of the descriptors that were copied to the device."""
    plain = DeviceDescriptors.upload
    lengths: list[int] = []

    def counted(descriptors: Any, device: torch.device) -> DeviceDescriptors:
        lengths.append(len(descriptors))
        return plain(descriptors, device)

    monkeypatch.setattr(DeviceDescriptors, "upload", counted)
    return lengths


@pytest.fixture(scope="module")
def images() -> list[NDArray[np.uint8]]:
    """Three views of a plane with spots of all sizes, along which the camera moves, with noise."""
    generator = np.random.default_rng(0)
    coarse = [
        cv2.resize(generator.integers(0, 256, (n, n), np.uint8), (400, 400)) for n in (25, 50, 100)
    ]
    plane = np.mean(coarse, axis=0)
    views = [plane[40:280, 10 + 9 * at : 330 + 9 * at] for at in range(3)]
    noisy = [view + generator.normal(0, 4, view.shape) for view in views]
    return [view.clip(0, 255).astype(np.uint8) for view in noisy]


def pipeline_of(**settings: Any) -> Any:
    pytest.importorskip("poselib", reason="pipelines need PoseLib")
    from msga_ros.two_view.pipeline import TwoViewPipeline

    return TwoViewPipeline.from_config(None, **settings)


def matched(frontend: str, device: str, images: list[NDArray[np.uint8]], **rest: Any) -> Matches:
    front_end = create_frontend(
        FrontendConfig(name=frontend, device=device, max_keypoints=300, **rest)
    )
    features = [front_end.extract(image) for image in images[:2]]
    return front_end.match(*features)


@pytest.mark.parametrize("frontend", ["sift", "fast_sift", "orb", "akaze"])
@pytest.mark.parametrize(
    "rules", [{}, {"ratio": 1.0, "mutual": False}, {"ratio": 0.8, "max_matches": 50}]
)
def test_the_same_matches_with_the_same_evidence(
    device: str,
    frontend: str,
    rules: dict[str, Any],
    images: list[NDArray[np.uint8]],
    uploads: list[int],
) -> None:
    found = matched(frontend, "cuda", images, **rules)
    assert len(uploads) == 2
    expected = matched(frontend, "cpu", images, **rules)
    assert len(uploads) == 2 and len(expected) >= 50
    np.testing.assert_array_equal(found.indices0, expected.indices0)
    np.testing.assert_array_equal(found.indices1, expected.indices1)
    exact = frontend in ("orb", "akaze")
    np.testing.assert_allclose(found.evidence, expected.evidence, atol=0.0 if exact else 2e-3)


def test_a_view_is_copied_once(
    device: str, images: list[NDArray[np.uint8]], uploads: list[int]
) -> None:
    """Of a stream each frame, and each view that others are compared with."""
    front_end = create_frontend(FrontendConfig(device="cuda", max_keypoints=100))
    views = [front_end.extract(image) for image in images]
    for before, now in pairwise(views):
        front_end.match(before, now)
    assert len(uploads) == 3
    other = front_end.reconfigured(FrontendConfig(device="cuda", ratio=0.7))
    other.match(views[2], views[0])
    assert len(uploads) == 3
    again = dataclasses.replace(views[0], descriptors=views[1].descriptors)
    assert len(other.match(again, views[1])) == len(views[1])  # a view is not its predecessor
    assert len(uploads) == 4


def test_what_is_on_the_device_is_not_copied(device: str, uploads: list[int]) -> None:
    vectors = torch.randn(50, 16, generator=torch.Generator().manual_seed(0)).to(device)
    view = _view(vectors.cpu().numpy(), DeviceDescriptors.of(vectors))
    matches = NearestMatcher(FrontendConfig(device="cuda", ratio=1.0)).match(view, view)
    np.testing.assert_array_equal(matches.indices1, np.arange(50))
    assert not uploads


def test_the_memory_of_a_view_is_freed_with_it(device: str) -> None:
    search = SearchOnDevice(torch.device(device))
    views = [_view(np.eye(8, dtype=np.float32)) for _ in range(40)]
    for one, other in pairwise(views):
        search(one, other)
    assert len(search._kept) == device_matching._KEPT_VIEWS
    del one, other, views[-1]
    gc.collect()
    assert len(search._kept) == device_matching._KEPT_VIEWS - 1
    views.clear()
    gc.collect()
    assert not search._kept


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.cuda.OutOfMemoryError("Tried to allocate"), "cuda ran out of memory"),
        (RuntimeError("CUDA error: unspecified launch failure"), "cuda failed"),
    ],
)
def test_the_cpu_goes_on_where_the_device_fails(
    device: str,
    error: RuntimeError,
    reason: str,
    images: list[NDArray[np.uint8]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = {
        "frontend.device": "cuda",
        "frontend.max_keypoints": 300,
        "sieve.name": "none",
        "network.device": "cpu",
    }
    pipeline = pipeline_of(**settings)
    views = [pipeline.extract(image) for image in images]
    first = pipeline.relate(views[0], views[1], CAMERA, CAMERA)
    assert (pipeline.matching_device, pipeline.device_problem) == ("cuda", "")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(device_matching, "neighbours_on_device", fail)
    with caplog.at_level(logging.WARNING):
        results = [pipeline.relate(views[0], views[1], CAMERA, CAMERA) for _ in range(2)]
    (record,) = caplog.records
    assert record.getMessage() == pipeline.device_problem
    assert reason in pipeline.device_problem
    assert "from now on the comparison of descriptors runs on the CPU" in pipeline.device_problem
    assert pipeline.matching_device == "cpu"
    for result in results:
        np.testing.assert_array_equal(result.indices1, first.indices1)


@pytest.mark.parametrize("frontend", ["sift", "tracks"])
def test_features_from_elsewhere_are_matched_there_too(
    device: str, frontend: str, images: list[NDArray[np.uint8]], uploads: list[int]
) -> None:
    """`relate_features`, whatever front end the configuration names."""
    settings = {"frontend.device": "cuda", "frontend.name": frontend, "sieve.name": "none"}
    pipeline = pipeline_of(**settings)
    sift = create_frontend(FrontendConfig(max_keypoints=300))
    views = [sift.extract(image) for image in images]
    result = pipeline.relate_features(views[0], views[1], CAMERA, CAMERA)
    assert len(uploads) == 2 and result.counts.matched >= 50


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_where_no_gpu_is_meant_or_none_is_there_the_host_matches(
    name: str, monkeypatch: pytest.MonkeyPatch, uploads: list[int]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: name == "cpu")
    front_end = create_frontend(FrontendConfig(device=name))
    view = _view(np.eye(20, dtype=np.float32))
    assert len(front_end.match(view, view)) == 20
    assert matching_device(front_end) == "cpu" and not uploads


def test_a_device_that_is_absent_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    front_end = create_frontend(FrontendConfig(device="cuda"))
    problem: str = front_end.device_problem  # type: ignore[attr-defined]
    assert "frontend.device is 'cuda', but there is no CUDA device" in problem
    with pytest.raises(ConfigError, match=r"frontend\.device must be auto, cpu, cuda or cuda:N"):
        create_frontend(FrontendConfig(device="tpu"))


def _view(descriptors: NDArray[np.float32], payload: object = None) -> Features:
    count = len(descriptors)
    points = np.zeros((count, 2), np.float32)
    return Features(points, np.ones(count, np.float32), descriptors, (320, 240), payload=payload)
