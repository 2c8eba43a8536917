"""A set of messages becomes an outcome; bad input is named and does no harm to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from stream.fakes import CAMERA, SIZE, FakePipeline, make_result, raw_image, raw_info

from msga_ros.frontend.base import Features
from msga_ros.stream.cv_bridge_fallback import CvBridge
from msga_ros.stream.message_set import STEREO_INPUTS, TEMPORAL_INPUTS, MessageSet
from msga_ros.stream.processor import Outcome, Processor
from msga_ros.stream.settings import Settings
from msga_ros.two_view.result import Status

STEREO = Settings.from_values({})
TEMPORAL = Settings.from_values({"mode": "temporal"})
KEYFRAME = TEMPORAL.changed({"temporal.reference": "keyframe"})


class Bench:
    """A processor over a fake pipeline."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.pipeline = FakePipeline()
        self.complaints: list[tuple[str, str]] = []
        names = STEREO_INPUTS if settings.stereo else TEMPORAL_INPUTS
        self.timings: Mapping[str, float] = {}
        self.usable = True
        self._processor = Processor(
            self.pipeline,
            {name: f"/robot/{name}" for name in names},
            lambda kind, topic, text: self.complaints.append((kind, topic)),
            CvBridge(),
        )

    def run(self, messages: dict[str, Any], epoch: int = 0) -> Outcome | None:
        done = self._processor.process(MessageSet(messages, epoch=epoch), self.settings)
        self.usable, self.timings = done.usable, done.milliseconds
        return done.outcome

    def frame(self, ns: int, epoch: int = 0, **image: Any) -> Outcome | None:
        return self.run({"image": raw_image(ns, **image), "camera_info": raw_info(ns)}, epoch)


def test_that_large_images_are_reduced_is_said_once() -> None:
    bench = Bench(STEREO.changed({"frontend.max_pixels": 1000}))
    for ns in (1, 2, 3):
        assert bench.run(stereo_set(ns)) is not None
    assert bench.complaints == [
        ("image_reduced", "/robot/left/image"),
        ("image_reduced", "/robot/right/image"),
    ]


def stereo_set(ns: int = 1, baseline: float = 0.0, **changed: Any) -> dict[str, Any]:
    p = np.hstack([CAMERA.k, np.zeros((3, 1))])
    p[0, 3] = -baseline * p[0, 0]
    messages = {
        "left/image": raw_image(ns, "left"),
        "left/camera_info": raw_info(ns, "left"),
        "right/image": raw_image(ns, "right"),
        "right/camera_info": raw_info(ns, "right", p=p.ravel().tolist()),
    }
    return messages | {name.replace("_", "/", 1): value for name, value in changed.items()}


def test_stereo_relates_left_to_right() -> None:
    bench = Bench(STEREO)
    outcome = bench.run(stereo_set(7))
    assert outcome is not None and outcome.stereo
    assert outcome.reference.header.frame_id == "left"
    assert outcome.current.header.frame_id == "right"
    assert outcome.baseline is None and outcome.rig is None
    assert len(bench.pipeline.extracted) == 2
    assert {"convert", "extract", "match", "network", "pose"} <= set(bench.timings)
    assert bench.complaints == []


def test_stereo_knows_its_baseline() -> None:
    outcome = Bench(STEREO).run(stereo_set(baseline=0.54))
    assert outcome is not None
    assert outcome.baseline == pytest.approx(0.54)
    assert outcome.rig is not None and outcome.rig.baseline == pytest.approx(0.54)


def test_the_baseline_is_the_difference_of_both_cameras() -> None:
    p = np.hstack([CAMERA.k, np.zeros((3, 1))])
    p[0, 3] = 0.06 * p[0, 0]
    left = raw_info(1, "left", p=p.ravel().tolist())
    outcome = Bench(STEREO).run(stereo_set(baseline=0.47, left_camera_info=left))
    assert outcome is not None
    assert outcome.baseline == pytest.approx(0.53)
    assert outcome.rig is not None and outcome.rig.baseline == pytest.approx(0.53)


def test_temporal_extracts_every_frame_once() -> None:
    bench = Bench(TEMPORAL)
    outcomes = [bench.frame(ns) for ns in range(1, 6)]
    assert outcomes[0] is None and None not in outcomes[1:]
    assert len(bench.pipeline.extracted) == 5
    pairs = [
        (one.reference.header.stamp.nanosec, one.current.header.stamp.nanosec)
        for one in outcomes[1:]
        if one is not None
    ]
    assert pairs == [(1, 2), (2, 3), (3, 4), (4, 5)]
    for (_, earlier, *_), (later, *_) in zip(
        bench.pipeline.related, bench.pipeline.related[1:], strict=False
    ):
        assert later is earlier


def test_keyframe_is_replaced_after_the_result_that_says_so() -> None:
    bench = Bench(KEYFRAME)
    bench.pipeline.results = [
        make_result(), make_result(parallax_deg=9), make_result(), make_result(inliers=20),
        make_result(),
    ]  # fmt: skip
    outcomes = [bench.frame(ns) for ns in range(1, 7)]
    references = [one.reference.header.stamp.nanosec for one in outcomes[1:] if one is not None]
    assert references == [1, 1, 3, 3, 5]


def test_a_second_front_end_is_asked_and_its_time_and_matches_are_handed_on() -> None:
    bench = Bench(KEYFRAME)
    refused = make_result(inliers=0, status=Status.TOO_FEW_MATCHES)
    found = make_result(
        7, 6, indices0=None, indices1=None, refused=refused, timings={"match": 1.0, "second": 50.0}
    )
    bench.pipeline.results = [found]
    assert bench.frame(1) is None
    outcome = bench.frame(2)
    assert outcome is not None and outcome.result is found
    assert outcome.track_ids.tolist() == [0] * 7
    assert bench.timings["second"] == 50.0 and bench.pipeline.asked_second == [True]
    after = bench.frame(3)
    assert after is not None and after.reference is outcome.current  # as after a refusal


def test_reset_forgets_the_reference() -> None:
    bench = Bench(TEMPORAL)
    bench.frame(1)
    assert bench.frame(2) is not None
    assert bench.frame(1, epoch=1) is None
    again = bench.frame(2, epoch=1)
    assert again is not None and again.reference.header.stamp.nanosec == 1


def test_black_frame_is_reported_and_never_the_reference() -> None:
    bench = Bench(TEMPORAL)
    assert bench.frame(1, value=0) is None  # nothing to compare with yet
    assert bench.frame(2) is None
    black = bench.frame(3, value=0)
    assert black is not None and black.result.status.name == "TOO_FEW_MATCHES"
    good = bench.frame(4)
    assert good is not None and good.reference.header.stamp.nanosec == 2
    assert good.result.status.name == "OK"
    assert bench.complaints == [("no_features", "/robot/image")] * 2


def test_size_change_starts_with_a_new_reference() -> None:
    bench = Bench(TEMPORAL)
    bench.frame(1)
    half = (SIZE[0] // 2, SIZE[1] // 2)
    k = CAMERA.scaled(0.5).k.ravel().tolist()
    info = raw_info(2, width=half[0], height=half[1], k=k, p=[0.0] * 12)
    assert bench.run({"image": raw_image(2, size=half), "camera_info": info}) is None
    assert bench.complaints == [("size_changed", "/robot/image")]
    outcome = bench.run({"image": raw_image(3, size=half), "camera_info": info})
    assert outcome is not None and outcome.reference.header.stamp.nanosec == 2
    assert len(bench.complaints) == 1


NAN = float("nan")


@pytest.mark.parametrize(
    ("change", "kind", "topic"),
    [
        ({"left_camera_info": raw_info(1, k=[0.0] * 9)}, "camera_info", "left/camera_info"),
        ({"right_camera_info": raw_info(1, k=[NAN] * 9)}, "camera_info", "right/camera_info"),
        ({"left_camera_info": raw_info(1, d=[0.1, NAN, 0, 0])}, "camera_info", "left/camera_info"),
        ({"right_camera_info": raw_info(1, p=[NAN] * 12)}, "camera_info", "right/camera_info"),
        (
            {"left_camera_info": raw_info(1, distortion_model="magic", d=[0.1])},
            "camera_info",
            "left/camera_info",
        ),
        ({"right_image": raw_image(1, size=(320, 240))}, "image_size", "right/image"),
    ],
)  # fmt: skip
def test_bad_set_is_named_and_the_next_works(change: dict[str, Any], kind: str, topic: str) -> None:
    bench = Bench(STEREO)
    assert bench.run(stereo_set(1, **change)) is None
    assert not bench.usable
    assert bench.complaints == [(kind, f"/robot/{topic}")]
    assert bench.run(stereo_set(2)) is not None
    assert bench.usable


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        ({"encoding": "p010"}, "encoding"),
        ({"data": b"\0" * 1000}, "truncated"),
        ({"width": 100_000, "height": 100_000, "step": 100_000}, "oversized"),
    ],
)
def test_bad_image_in_time_keeps_the_reference(spoil: dict[str, Any], kind: str) -> None:
    bench = Bench(TEMPORAL)
    bench.frame(1)
    bad = raw_image(2)
    vars(bad).update(spoil)
    assert bench.run({"image": bad, "camera_info": raw_info(2)}) is None
    assert bench.complaints == [(kind, "/robot/image")]
    good = bench.frame(3)
    assert good is not None and good.reference.header.stamp.nanosec == 1


def test_rectified_uses_the_projection_matrix() -> None:
    p = np.hstack([np.diag([400.0, 400.0, 1.0]), np.zeros((3, 1))])
    p[:2, 2] = 300, 200
    info = raw_info(1, k=[0.0] * 9, p=p.ravel().tolist())
    bench = Bench(Settings.from_values({"mode": "temporal", "rectified": True}))
    assert bench.run({"image": raw_image(1), "camera_info": info}) is None
    outcome = bench.run({"image": raw_image(2), "camera_info": info})
    assert outcome is not None and outcome.rectified
    np.testing.assert_allclose(outcome.current.camera.k, p[:, :3])


def test_a_matcher_without_fixed_keypoints_gets_its_partner_and_no_tracks() -> None:
    """Its features are none, and yet the view is not an empty one."""
    bench = Bench(TEMPORAL)
    bench.pipeline.extract = lambda image: Features.without_keypoints(SIZE, image)  # type: ignore[method-assign]
    bench.pipeline.relate = lambda *views: make_result(  # type: ignore[method-assign]
        30, 20, indices0=None, indices1=None
    )
    assert bench.frame(1) is None
    outcome = bench.frame(2)
    assert outcome is not None and bench.complaints == []
    np.testing.assert_array_equal(outcome.track_ids, np.zeros(30, np.uint64))
    after = bench.frame(3)
    assert after is not None and after.reference is outcome.current
