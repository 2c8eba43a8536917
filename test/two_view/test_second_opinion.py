"""A second front end is asked about the pairs that the first one refuses, and about no others."""

from __future__ import annotations

import gc
import logging
import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scene_pairs import PosedPair, load_pair

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.frontend.base import Features, FrontendError, KeptImage, Matches
from msga_ros.frontend.config import FrontendConfig
from msga_ros.geometry.pose import pose_error_deg
from msga_ros.two_view import second_opinion
from msga_ros.two_view.chosen_stages import create_frontend
from msga_ros.two_view.config import PipelineConfig, SecondConfig
from msga_ros.two_view.pipeline import Status, TwoViewPipeline, TwoViewResult
from msga_ros.two_view.stages import Frontend

# The first one sees too little to find a motion, the second one enough.
POOR = {"frontend.name": "orb", "frontend.max_keypoints": 40, "sieve.name": "none"}
GOOD = {**POOR, "frontend.max_keypoints": 2000}
SECOND = {
    "second_frontend.name": "sift",
    "second_frontend.max_keypoints": 1500,
    "second_frontend.sieve": "none",
}


class Spy:
    """A front end that counts what it is asked; `fails`: what it raises instead of matching."""

    def __init__(self, frontend: Frontend) -> None:
        self._frontend = frontend
        self.extracted: list[NDArray[np.generic]] = []
        self.matched = 0
        self.fails: Exception | None = None
        self.config: FrontendConfig | None = None

    @property
    def name(self) -> str:
        return self._frontend.name

    def extract(self, image: NDArray[np.generic]) -> Features:
        self.extracted.append(image)
        return self._frontend.extract(image)

    def match(self, features0: Features, features1: Features) -> Matches:
        self.matched += 1
        if self.fails:
            raise self.fails
        return self._frontend.match(features0, features1)

    def reconfigured(self, config: FrontendConfig) -> Spy:
        self.config, self._frontend = config, self._frontend.reconfigured(config)
        return self


@pytest.fixture(scope="module")
def fountain() -> PosedPair:
    return load_pair("strecha_fountain_p11", "0003.jpg", "0005.jpg")


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[TwoViewPipeline, Spy]]:
    """Makes a pipeline and the spy that is its second front end."""
    spies: list[Spy] = []

    def made(config: FrontendConfig) -> Spy:
        spies.append(Spy(create_frontend(config)))
        return spies[-1]

    def pipeline(**entries: Any) -> tuple[TwoViewPipeline, Spy]:
        monkeypatch.setattr(second_opinion, "create_frontend", made)
        return TwoViewPipeline.from_config(**{**POOR, **SECOND, **entries}), spies[-1]

    return pipeline


def run(pipeline: TwoViewPipeline, pair: PosedPair) -> TwoViewResult:
    return pipeline(pair.image0, pair.image1, pair.camera0, pair.camera1)


def error_deg(result: TwoViewResult, pair: PosedPair) -> float:
    pose = (result.rotation, result.translation, pair.rotation, pair.translation)
    return max(pose_error_deg(*pose, signed=True))


def same(one: TwoViewResult, other: TwoViewResult) -> bool:
    """Whether both say the same of the pair; who was asked and how long it took do not count."""
    names = (
        "keypoints0",
        "keypoints1",
        "indices0",
        "indices1",
        "inlier",
        "rotation",
        "translation",
    )
    equal = [
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan="indices" not in name)
        for name in names
    ]
    return all(equal) and (one.status, one.counts) == (other.status, other.counts)


def test_nobody_is_asked_where_the_first_one_stands_by_its_pose(
    spied: Callable[..., Any], fountain: PosedPair
) -> None:
    pipeline, spy = spied(**GOOD)
    result = run(pipeline, fountain)
    assert result.status is Status.OK and result.frontend == "orb"
    assert result.second is None and result.refused is None and "second" not in result.timings
    assert not spy.extracted and not spy.matched
    assert same(result, run(TwoViewPipeline.from_config(**GOOD), fountain))


def test_the_second_one_has_the_pose_where_the_first_has_none(
    spied: Callable[..., Any], fountain: PosedPair
) -> None:
    alone = run(TwoViewPipeline.from_config(**POOR), fountain)
    assert alone.status is Status.TOO_FEW_MATCHES and alone.second is None
    pipeline, spy = spied()
    result = run(pipeline, fountain)
    assert result.status is Status.OK and error_deg(result, fountain) < 2.0
    assert result.second is not None and result.second.stands and result.second.frontend == "sift"
    assert result.frontend == "sift" and len(result.inlier) > 100
    assert result.indices0 is None and result.indices1 is None  # of features that nobody has
    first = result.of_features
    assert first is result.refused and first.frontend == "orb" and same(first, alone)
    assert first.indices0 is not None and len(first.indices0) == len(first.inlier)
    assert len(spy.extracted) == 2 and spy.matched == 1
    # The time of the second one is its own, the other stages are the first one's.
    assert result.timings["second"] > first.timings["match"] == result.timings["match"]
    assert set(result.cpu_timings) == set(result.timings) == {*first.timings, "second"}


def test_where_the_second_one_does_not_stand_by_a_pose_either_the_first_has_spoken(
    spied: Callable[..., Any], fountain: PosedPair
) -> None:
    door = load_pair("lund_door", "DSC_0001.jpg", "DSC_0002.jpg")
    pair = replace(fountain, image1=door.image1, camera1=door.camera1)  # two places
    pipeline, spy = spied()
    result = run(pipeline, pair)
    assert result.status is not Status.OK and spy.matched == 1
    assert result.second is not None and not result.second.stands and not result.second.problem
    assert result.frontend == "orb" and result.refused is None and result.of_features is result
    assert "second" in result.timings
    assert same(result, run(TwoViewPipeline.from_config(**POOR), pair))


def test_each_image_is_extracted_once_and_only_when_asked(
    spied: Callable[..., Any], fountain: PosedPair
) -> None:
    pipeline, spy = spied()
    images = fountain.image0, fountain.image1, fountain.image0
    views = [pipeline.extract(image) for image in images]
    assert not spy.extracted
    cameras = fountain.camera0, fountain.camera1
    first = pipeline.relate(views[0], views[1], *cameras)
    assert len(spy.extracted) == 2
    again = pipeline.relate(views[0], views[1], *cameras)
    assert same(first, again) and len(spy.extracted) == 2
    pipeline.relate(views[2], views[1], *cameras)
    assert len(spy.extracted) == 3 and spy.matched == 3


def test_the_image_is_kept_only_for_a_second_front_end_and_only_until_it_has_seen_it() -> None:
    image = np.zeros((240, 320), np.uint8)
    assert TwoViewPipeline.from_config(**POOR).extract(image).kept is None
    pipeline = TwoViewPipeline.from_config(**POOR, **SECOND)
    for features in (
        pipeline.extract(image),
        pipeline.follow(None, image),
        pipeline.beside(pipeline.extract(image), image),
    ):
        assert features.kept is not None
    kept, seen = KeptImage(own := np.ones((4, 4), np.uint8)), []
    alive = weakref.ref(own)
    del own
    features = Features.without_keypoints((4, 4), None)
    assert kept.features(lambda image: seen.append(image.shape) or features) is features  # type: ignore[func-returns-value]
    gc.collect()
    assert alive() is None  # its features are kept instead
    assert kept.features(lambda image: pytest.fail("asked twice")) is features
    assert seen == [(4, 4)]


def test_an_image_that_is_overwritten_afterwards_is_still_the_one_that_was_extracted(
    spied: Callable[..., Any], fountain: PosedPair
) -> None:
    pipeline, _ = spied()
    buffer, views = fountain.image0.copy(), []
    for image in (fountain.image0, fountain.image1):
        buffer[:] = image  # as a camera driver with one buffer does
        views.append(pipeline.extract(buffer))
    result = pipeline.relate(*views, fountain.camera0, fountain.camera1)
    assert same(result, run(pipeline, fountain)) and result.status is Status.OK


@pytest.mark.parametrize("error", [FrontendError("no such layer"), RuntimeError("out of memory")])
def test_where_the_second_one_fails_the_first_has_spoken_and_it_is_told_once(
    spied: Callable[..., Any],
    fountain: PosedPair,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pipeline, spy = spied()
    spy.fails = error
    with caplog.at_level(logging.WARNING, "msga_ros"):
        results = [run(pipeline, fountain) for _ in range(2)]
    for result in results:
        assert same(result, run(TwoViewPipeline.from_config(**POOR), fountain))
        assert result.second is not None and not result.second.stands
        assert result.second.problem == f"{type(error).__name__}: {error}"
    said = [one.getMessage() for one in caplog.records if "second front end" in one.getMessage()]
    assert said == [f"the second front end sift failed: {type(error).__name__}: {error}"]
    spy.fails = None
    assert run(pipeline, fountain).status is Status.OK


def test_a_motion_that_the_first_ones_matches_do_not_confirm_does_not_stand(
    spied: Callable[..., Any], fountain: PosedPair
) -> None:
    hardly_any = {"frontend.max_keypoints": 20}  # four of eight agree: one time in ten thousand
    pipeline, spy = spied(**hardly_any)
    result = run(pipeline, fountain)
    assert result.status is Status.TOO_FEW_MATCHES and spy.matched == 1
    assert result.second is not None and not result.second.stands and not result.second.problem
    assert same(result, run(TwoViewPipeline.from_config(**{**POOR, **hardly_any}), fountain))
    for chance, stands in ((1e-3, True), (1e-5, False), (1.0, True)):
        pipeline, _ = spied(**hardly_any, **{"second_frontend.max_chance": chance})
        result = run(pipeline, fountain)
        assert (result.status is Status.OK, result.second.stands) == (stands, stands)


def test_a_motion_that_the_second_one_does_not_stand_by_is_not_confirmed_by_any(
    spied: Callable[..., Any], fountain: PosedPair
) -> None:
    unsure = {"frontend.name": "sift", "frontend.max_keypoints": 150, "sieve.name": "none"}
    alone = run(TwoViewPipeline.from_config(**unsure), fountain)
    assert alone.status is Status.DEGENERATE and error_deg(alone, fountain) < 10.0
    for chance in (1e-6, 1.0):
        more = {"second_frontend.max_keypoints": 150, "second_frontend.max_chance": chance}
        result = run(spied(**more)[0], fountain)
        assert result.status is Status.TOO_FEW_MATCHES and result.frontend == "orb"


def test_it_is_asked_where_another_motion_fits_as_well(
    spied: Callable[..., Any], fountain: PosedPair
) -> None:
    pipeline, _ = spied(**{"frontend.max_keypoints": 80})
    result = run(pipeline, fountain)
    assert result.refused is not None and result.refused.status is Status.DEGENERATE
    assert result.status is Status.OK and error_deg(result, fountain) < 2.0


@pytest.mark.parametrize("degrees", [0.0, 8.0])
def test_nobody_is_asked_where_the_camera_only_turned(
    spied: Callable[..., Any], fountain: PosedPair, degrees: float
) -> None:
    k, size = fountain.camera0.k, fountain.image0.shape[::-1]
    turn, _ = cv2.Rodrigues(np.radians(degrees) * np.array([0.6, -0.7, 0.3]))
    turned = cv2.warpPerspective(fountain.image0, k @ turn @ np.linalg.inv(k), size)
    noise = np.random.default_rng(0).normal(0, 2, turned.shape)
    image1 = np.clip(turned + noise, 0, 255).astype(np.uint8)
    pipeline, spy = spied(**GOOD)
    result = run(pipeline, replace(fountain, image1=image1, camera1=fountain.camera0))
    assert result.status is Status.DEGENERATE and result.second is None and not spy.extracted


def test_nobody_is_asked_where_no_motion_could_be_confirmed(
    spied: Callable[..., Any], fountain: PosedPair
) -> None:
    none = {"frontend.max_keypoints": 8, "frontend.ratio": 0.5}
    pipeline, spy = spied(**none)
    result = run(pipeline, fountain)
    assert len(result.inlier) < 3 and result.status is Status.TOO_FEW_MATCHES
    assert result.second is None and not spy.extracted
    pipeline, spy = spied(**none, **{"second_frontend.max_chance": 1.0})
    assert run(pipeline, fountain).status is Status.OK and spy.matched == 1


def test_nobody_is_asked_about_a_black_image(
    spied: Callable[..., Any], fountain: PosedPair
) -> None:
    pipeline, spy = spied()
    pair = replace(fountain, image1=np.zeros_like(fountain.image1))
    result = run(pipeline, pair)
    assert result.status is Status.TOO_FEW_MATCHES and result.second is None
    assert not spy.extracted


def test_nobody_is_asked_without_images_or_where_matches_of_the_features_are_needed(
    spied: Callable[..., Any], fountain: PosedPair
) -> None:
    pipeline, spy = spied()
    cameras = fountain.camera0, fountain.camera1
    views = pipeline.extract(fountain.image0), pipeline.extract(fountain.image1)
    stored = [replace(view, kept=None) for view in views]
    refused = [
        pipeline.relate(*views, *cameras, ask_second=False),
        pipeline.relate(*stored, *cameras),
        pipeline.relate(views[0], stored[1], *cameras),
        pipeline.relate_features(*views, *cameras),
    ]
    for result in refused:
        assert result.status is Status.TOO_FEW_MATCHES and result.second is None
    points = fountain.image0.shape[1] * np.random.default_rng(0).random((40, 2))
    assert pipeline.relate_matches(points, points[::-1], *cameras).second is None
    assert not spy.extracted
    assert [result.frontend for result in refused] == ["orb", "orb", "orb", ""]


def test_a_first_one_that_follows_points_goes_on_as_without_a_second(
    spied: Callable[..., Any], fountain: PosedPair
) -> None:
    door = load_pair("lund_door", "DSC_0001.jpg", "DSC_0002.jpg")
    tracks = {
        "frontend.name": "tracks",
        "pose.min_inliers": 60,
        "second_frontend.max_keypoints": 3000,
    }
    images = [door.image0, fountain.image0, fountain.image1]
    cameras = fountain.camera0, fountain.camera1
    alone = TwoViewPipeline.from_config(**{**POOR, **tracks, "frontend.tracks.most": 50})
    pipeline, spy = spied(**tracks, **{"frontend.tracks.most": 50})
    views: list[list[Features]] = []
    for one in (alone, pipeline):
        seen: list[Features] = []
        for image in images:
            seen.append(one.follow(seen[-1] if seen else None, image))
        views.append(seen)
    refused, result = (
        one.relate(seen[1], seen[2], *cameras)
        for one, seen in zip((alone, pipeline), views, strict=True)
    )
    assert refused.status is Status.TOO_FEW_MATCHES  # it has not as many points at all
    assert result.status is Status.OK and error_deg(result, fountain) < 2.0 and spy.matched == 1
    assert same(result.of_features, refused)
    ids = [
        one.follow(seen[-1], images[2]).ids
        for one, seen in zip((alone, pipeline), views, strict=True)
    ]
    np.testing.assert_array_equal(*ids)


def test_settings_of_both_and_of_each(spied: Callable[..., Any]) -> None:
    config = PipelineConfig.load(
        **{
            **POOR,
            "frontend.ratio": 0.8,
            "frontend.max_image_size": 320,
            "frontend.max_matches": 300,
            "second_frontend.name": "msga_dense",
            "frontend.msga_dense.longest": 256,
            "second_frontend.max_matches": 700,
        }
    )
    own = config.of_second.frontend
    assert (own.name, own.matcher, own.ratio, own.max_image_size) == (
        "msga_dense",
        "auto",
        0.8,
        320,
    )
    assert (own.max_keypoints, own.max_matches) == (2000, 700)
    assert own.own.longest == 256 and config.frontend.own is None  # type: ignore[attr-defined]
    assert own.own.turn_below == 0.0  # type: ignore[attr-defined]  # by default where it is second
    assert config.of_second.sieve.name == "auto" and not config.of_second.second_frontend.asked
    assert not config.alone.second_frontend.asked and config.alone.frontend == config.frontend
    with pytest.raises(ConfigError, match=r"frontend\.msga_dense\.longer"):
        PipelineConfig.load(
            **{"second_frontend.name": "msga_dense", "frontend.msga_dense.longer": 1}
        )


def test_a_second_one_may_have_other_defaults() -> None:
    dense = {"second_frontend.name": "msga_dense"}
    for config, expected in (
        (PipelineConfig.load(**dense), 0.0),
        (PipelineConfig(second_frontend=SecondConfig(name="msga_dense")), 0.0),
        (PipelineConfig.load(**dense, **{"frontend.msga_dense.turn_below": 0.2}), 0.2),
        (PipelineConfig.load(**{"second_frontend.name": "akaze"}), None),
    ):
        own = config.of_second.frontend.own
        assert getattr(own, "turn_below", None) == expected
    first = create_frontend(PipelineConfig.load(**{"frontend.name": "msga_dense"}).frontend)
    assert first._own.turn_below == 0.1  # type: ignore[attr-defined]


def test_what_can_change_while_running_and_what_cannot(spied: Callable[..., Any]) -> None:
    pipeline, spy = spied()
    for entry, value in (
        ("second_frontend.name", "akaze"),
        ("second_frontend.matcher", "nearest"),
        ("second_frontend.sieve", "msga"),
    ):
        with pytest.raises(ConfigError, match=f"{entry} cannot change while running"):
            pipeline.reconfigure(PipelineConfig.load(**{**POOR, **SECOND, entry: value}))
    assert spy.config is None
    more = {"frontend.max_keypoints": 1000, "frontend.ratio": 0.7}
    pipeline.reconfigure(PipelineConfig.load(**{**POOR, **SECOND, **more}))
    assert spy.config is not None
    assert (spy.config.name, spy.config.max_keypoints, spy.config.ratio) == ("sift", 1500, 0.7)


def test_a_sieve_that_both_have_is_loaded_once(spied: Callable[..., Any]) -> None:
    pipeline, _ = spied(**{"sieve.name": "msga", "second_frontend.sieve": "msga"})
    second = pipeline._stages.second
    assert second is not None and second.sieve is pipeline.sieve and second.sieve_name == "msga"
    other = spied()[0]._stages.second
    assert other is not None and other.sieve_name == "none"


@pytest.mark.parametrize(
    ("entries", "error", "reason"),
    [
        (
            {"second_frontend.name": "sfit"},
            FrontendError,
            "unknown front end 'sfit'; there are sift",
        ),
        ({"second_frontend.name": "orb"}, ConfigError, "another front end than frontend.name"),
        ({"second_frontend.name": "tracks"}, ConfigError, "follows points from image to image"),
        ({"second_frontend.matcher": "lightglue"}, FrontendError, "not for 'sift'"),
        (
            {"second_frontend.matcher": "lihgtglue"},
            ConfigError,
            "second_frontend.matcher must be one of",
        ),
        (
            {"second_frontend.max_keypoints": 3},
            ConfigError,
            "second_frontend.max_keypoints must be at least 8",
        ),
        (
            {"second_frontend.keypoints": 3},
            ConfigError,
            "unknown configuration entry 'second_frontend.keypoints'",
        ),
        (
            {"second_frontend.sift.a": 3},
            ConfigError,
            r"unknown configuration entry 'second_frontend\.sift\.a'",
        ),
        (
            {"pose.refine": "none", "sieve.name": "msga"},
            ConfigError,
            "pose.refine must not be none where second_frontend.sieve is none",
        ),
    ],
)
def test_a_second_front_end_that_cannot_be_is_told_at_start(
    entries: dict[str, object], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        TwoViewPipeline.from_config(**{**POOR, **SECOND, **entries})


def test_an_extra_that_is_missing_is_told_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kornia", None)
    with pytest.raises(FrontendError, match=r"disk needs the package kornia .*msga_ros\[learned"):
        TwoViewPipeline.from_config(**POOR, **{"second_frontend.name": "disk"})


def test_warming_up_has_the_second_one_run_too(spied: Callable[..., Any]) -> None:
    pipeline, spy = spied(**GOOD)
    pipeline.warm_up((320, 240))
    assert len(spy.extracted) >= 2 and spy.matched >= 1
