"""Messages of requests to two views and back, and every one that cannot be worked; no ROS."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from stream.fakes import CAMERA, SIZE, FakePipeline, make_result, raw_image, raw_info

from msga_ros.frontend.base import FrontendError
from msga_ros.frontend.from_arrays import matches_from_arrays
from msga_ros.geometry.camera import CameraError
from msga_ros.stream.cv_bridge_fallback import CvBridge
from msga_ros.stream.processor import Outcome
from msga_ros.stream.relations import Relations
from msga_ros.stream.settings import Settings

SETTINGS = Settings.from_values({"requests.max_points": 50, "max_image_pixels": SIZE[0] * SIZE[1]})
RNG = np.random.default_rng(0)
FLOATS = ("ratio", "mutual", "rotation", "log_scale", "distance", "confidence")


@dataclass
class Pipeline(FakePipeline):
    """Remembers what it was asked about features and matches, too."""

    given: list[tuple[Any, ...]] = field(default_factory=list)

    def relate_features(self, *views: Any) -> Any:
        self.given.append(views)
        return make_result(8, 6)

    def relate_matches(self, points0: Any, points1: Any, *rest: Any) -> Any:
        matches_from_arrays(points0, points1, *rest[2:])
        self.given.append((points0, points1, *rest))
        return make_result(len(points0), len(points0) // 2)


def run(kind: str, message: Any, pipeline: Any = None) -> tuple[Outcome, int]:
    """The outcome, and after how many steps."""
    relations = Relations(pipeline or Pipeline(), CvBridge())
    steps, count = getattr(relations, kind)(message, SETTINGS), 1
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value, count
        count += 1


def camera_image(value: int, frame: str, **fields: Any) -> SimpleNamespace:
    empty = SimpleNamespace(data=b"", format="", header=raw_image(0).header)
    values = {
        "image": raw_image(value, frame, value),
        "compressed_image": empty,
        "camera_info": raw_info(0),
    }
    return SimpleNamespace(**{**values, **fields})


def image_pair(**fields: Any) -> SimpleNamespace:
    pair = {
        "reference": camera_image(80, "left"),
        "current": camera_image(90, "right"),
        "rectified": False,
        "stereo": False,
    }
    return SimpleNamespace(**{**pair, **fields})


def features(count: int, seed: int = 0) -> SimpleNamespace:
    rng = np.random.default_rng(seed)
    return SimpleNamespace(
        header=raw_image(seed).header,
        camera_info=raw_info(0),
        keypoints=rng.uniform(0, 400, 2 * count).astype(np.float32),
        descriptors=rng.normal(size=16 * count).astype(np.float32),
        binary_descriptors=np.empty(0, np.uint8),
        scores=[],
        angles=rng.uniform(-3, 3, count).astype(np.float32),
        sizes=[],
    )


def feature_pair(**fields: Any) -> SimpleNamespace:
    pair = {
        "reference": features(20, 1),
        "current": features(30, 2),
        "rectified": False,
        "stereo": False,
    }
    return SimpleNamespace(**{**pair, **fields})


def matches(count: int = 10, **fields: Any) -> SimpleNamespace:
    made = {
        "header": raw_image(2).header,
        "reference_header": raw_image(1).header,
        "camera_info": raw_info(0),
        "reference_camera_info": raw_info(0, width=0, height=0),
        "rectified": False,
        "stereo": False,
        "reference_points": RNG.uniform(0, 400, 2 * count).astype(np.float32),
        "points": RNG.uniform(0, 400, 2 * count).astype(np.float32),
        "track_ids": np.arange(count, dtype=np.uint64) + 100,
        **{name: [] for name in FLOATS},
    }
    return SimpleNamespace(**{**made, **fields})


def test_images_become_views_of_their_own() -> None:
    pipeline = Pipeline()
    outcome, steps = run("images", image_pair(), pipeline)
    assert steps == 5  # two are decoded, two extracted, one related
    assert [int(image[0, 0]) for image in pipeline.extracted] == [80, 90]
    assert (outcome.reference.header.frame_id, outcome.current.header.frame_id) == ("left", "right")
    assert (outcome.stereo, outcome.baseline, len(outcome.track_ids)) == (False, None, 0)
    assert pipeline.related[0][2:] == (CAMERA, CAMERA)


def test_one_raw_and_one_compressed() -> None:
    pixels = np.full(SIZE[::-1], 33, np.uint8)
    packed = SimpleNamespace(
        data=cv2.imencode(".png", pixels)[1].tobytes(), format="png", header=raw_image(7).header
    )
    nothing = SimpleNamespace(data=b"")
    pipeline = Pipeline()
    current = camera_image(0, "right", image=nothing, compressed_image=packed)
    outcome, _ = run("images", image_pair(current=current), pipeline)
    assert int(pipeline.extracted[1][5, 5]) == 33
    assert outcome.current.header is packed.header


def test_a_rig_has_its_length_and_nothing_else_has() -> None:
    p = np.hstack([CAMERA.k, np.zeros((3, 1))])
    p[0, 3] = -0.3 * p[0, 0]
    right = raw_info(0, p=p.ravel().tolist())
    for kind, pair in (("images", image_pair()), ("features", feature_pair())):
        pair.current.camera_info = right
        assert run(kind, pair)[0].baseline is None  # two right images of a loop, say
        pair.stereo = True
        outcome = run(kind, pair)[0]
        assert outcome.stereo and outcome.baseline == pytest.approx(0.3)
        assert run(kind, SimpleNamespace(**{**vars(pair), "rectified": True}))[0].rectified
    outcome = run("matches", matches(camera_info=right, stereo=True))[0]
    assert outcome.baseline == pytest.approx(0.3)


def test_features_are_handed_on() -> None:
    pipeline, pair = Pipeline(), feature_pair()
    outcome, steps = run("features", pair, pipeline)
    assert steps == 2
    ((first, second, *cameras),) = pipeline.given
    assert (len(first), len(second), cameras) == (20, 30, [CAMERA, CAMERA])
    np.testing.assert_array_equal(first.keypoints.ravel(), pair.reference.keypoints)
    np.testing.assert_array_equal(second.descriptors.ravel(), pair.current.descriptors)
    assert second.descriptors.shape == (30, 16) and second.image_size == SIZE
    np.testing.assert_array_equal(first.angles, pair.reference.angles)
    assert first.sizes is None
    assert outcome.current.size == SIZE


def test_binary_features_and_none_at_all() -> None:
    pair = feature_pair()
    for one in (pair.reference, pair.current):
        one.binary_descriptors = RNG.integers(0, 256, 32 * (len(one.keypoints) // 2), np.uint8)
        one.descriptors = []
    pair.reference.keypoints = pair.reference.binary_descriptors = []
    pair.reference.angles = []
    pipeline = Pipeline()
    run("features", pair, pipeline)
    first, second = pipeline.given[0][:2]
    assert len(first) == 0 and first.descriptors.dtype == np.uint8
    assert first.descriptors.shape[1:] == second.descriptors.shape[1:] == (32,)
    pair.current = copy.deepcopy(pair.reference)
    run("features", pair, pipeline)
    assert [len(one) for one in pipeline.given[1][:2]] == [0, 0]


def test_matches_are_handed_on_in_their_order() -> None:
    pipeline = Pipeline()
    asked = matches(10, ratio=np.full(10, 0.5), distance=np.full(10, 0.25))
    asked.points[4] = np.nan
    outcome, steps = run("matches", asked, pipeline)
    assert steps == 2
    points0, points1, _, _, evidence, confidence = pipeline.given[0]
    np.testing.assert_array_equal(points0.ravel(), asked.reference_points)
    np.testing.assert_array_equal(points1.ravel(), asked.points)
    np.testing.assert_array_equal(evidence[:, [0, 4]], [[0.5, 0.25]] * 10)
    assert np.isnan(evidence[:, 1:4]).all() and confidence is None
    # Half of them hold; an outlier belongs to no track.
    np.testing.assert_array_equal(outcome.track_ids, [100, 101, 102, 103, 104, 0, 0, 0, 0, 0])
    assert (outcome.reference.size, outcome.current.size) == ((0, 0), SIZE)
    assert (outcome.reference.header, outcome.current.header) == (
        asked.reference_header,
        asked.header,
    )
    outcome, _ = run("matches", matches(10, track_ids=[], confidence=np.ones(10)), pipeline)
    assert len(outcome.track_ids) == 0
    assert pipeline.given[1][4] is None and len(pipeline.given[1][5]) == 10
    assert len(run("matches", matches(0), pipeline)[0].result.inlier) == 0


def at(path: str, value: Any) -> Callable[[Any], None]:
    """Set a field; a dot leads into a field of a field."""

    def change(message: Any) -> None:
        *way, last = path.split(".")
        for name in way:
            message = getattr(message, name)
        setattr(message, last, value)

    return change


K_ZERO, K_NAN = [0.0] * 9, [float("nan")] * 9
BAD_IMAGES = [
    (at("reference.camera_info.k", K_ZERO), "camera_info"),
    (at("current.camera_info.k", K_NAN), "camera_info"),
    (at("current.camera_info.distortion_model", "crystal"), ""),  # no coefficients: none is meant
    (at("current.camera_info.d", [np.nan] * 5), "camera_info"),
    (at("rectified", True), ""),
    (at("stereo", True), "camera_info"),
    (at("current.camera_info.width", 320), "image_size"),
    (at("current.image.encoding", "magic"), "encoding"),
    (at("reference.image.data", b"12"), "truncated"),
    (at("reference.image.step", 3), "truncated"),
    (at("reference.image.width", 0), "image_size"),
    (at("reference.image.height", 2**31), "oversized"),
    (at("reference.image.data", b""), "no_image"),
    (at("current.compressed_image.data", b"\xff\xd8\xff"), "two_images"),
]
BAD_FEATURES = [
    (at("reference.camera_info.k", K_ZERO), "camera_info"),
    (at("stereo", True), "camera_info"),
    (at("reference.keypoints", np.zeros(41)), "points"),
    (at("reference.keypoints", np.full(40, np.inf)), "points"),
    (at("reference.keypoints", np.zeros(102)), "oversized"),
    (at("reference.keypoints", []), "descriptors"),
    (at("reference.descriptors", []), "descriptors"),
    (at("reference.descriptors", np.zeros(319)), "descriptors"),
    (at("current.descriptors", np.full(480, np.nan)), "descriptors"),
    (at("current.binary_descriptors", np.zeros(960, np.uint8)), "descriptors"),
    (at("current.angles", np.zeros(29)), "points"),
    (at("current.sizes", np.full(30, np.inf)), "points"),
    (at("current.scores", np.zeros(1)), "points"),
]
BAD_MATCHES = [
    (at("reference_camera_info.k", K_ZERO), "camera_info"),
    (at("camera_info.k", K_NAN), "camera_info"),
    (at("stereo", True), "camera_info"),
    (at("points", np.zeros(18)), "points"),
    (at("points", np.zeros(21)), "points"),
    (at("points", np.full(20, 1e9)), "points"),
    (at("points", np.zeros(102)), "oversized"),
    *((at(name, np.zeros(9)), "evidence") for name in FLOATS[:5]),
    *((at(name, np.full(10, np.inf)), "evidence") for name in FLOATS[:5]),
    (at("confidence", np.zeros(9)), "confidence"),
    (at("confidence", np.full(10, np.nan)), "confidence"),
    (at("track_ids", [1, 2, 3]), "track_ids"),
]


@pytest.mark.parametrize(
    ("kind", "make", "change", "expected"),
    [
        *(("images", image_pair, *one) for one in BAD_IMAGES),
        *(("features", feature_pair, *one) for one in BAD_FEATURES),
        *(("matches", matches, *one) for one in BAD_MATCHES),
    ],
)
def test_what_cannot_be_worked_is_named(
    kind: str, make: Callable[[], Any], change: Callable[[Any], None], expected: str
) -> None:
    message = make()
    change(message)
    if not expected:
        run(kind, message)
        return
    pipeline = Pipeline()
    with pytest.raises((FrontendError, CameraError, ValueError)) as refused:
        run(kind, message, pipeline)
    assert getattr(refused.value, "kind", None) == expected
    assert pipeline.extracted == pipeline.related == []  # before any work
