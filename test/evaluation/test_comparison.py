"""Comparison of whole methods: what is counted, in what order, and what is kept."""

from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from learned_extra import need
from scipy.spatial.transform import Rotation

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.datasets.posed.base import PosedImage, PosedScene
from msga_ros.datasets.sequences.picture_folder import PictureFolder
from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence
from msga_ros.evaluation.comparison.methods import Answer, MethodError, _weights, method
from msga_ros.evaluation.comparison.pairs import (
    FootagePairs,
    ImagePair,
    PosedPairs,
    angle_class,
)
from msga_ros.evaluation.comparison.records import ComparisonFile, ComparisonRecord
from msga_ros.evaluation.comparison.rows import groupings, rows
from msga_ros.evaluation.comparison.run import compare
from msga_ros.evaluation.records import RecordError
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose
from msga_ros.network import packaged_weights
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.pipeline import TwoViewPipeline
from msga_ros.two_view.presets import PRESETS, preset_path

CAMERA = Camera.pinhole(100.0, 100.0, 32.0, 24.0, 64, 48)
IMAGE = np.zeros((48, 64), np.uint8)
TRUTH = Pose(Rotation.from_rotvec([0.0, 0.2, 0.0]).as_matrix(), np.array([1.0, 0.0, 0.0]))


def pair(name: str, related: bool = True, angle: float = 20.0) -> ImagePair:
    motion = TRUTH if related else None
    return ImagePair(name, name.split()[0], IMAGE, IMAGE, CAMERA, CAMERA, motion, angle, related)


class Scripted:
    """A method whose error on each pair, in degrees, is given; NaN: no pose."""

    digest = "1"

    def __init__(self, name: str, errors: list[float], ok: list[bool], calls: list[str]) -> None:
        self.name, self._errors, self._ok, self._calls = name, errors, ok, calls
        self._pairs = -1
        self._seen: object = None

    def __call__(self, image0: object, *_: object) -> Answer:
        self._calls.append(self.name)
        if image0 is not self._seen:
            self._seen, self._pairs = image0, self._pairs + 1
        off = self._errors[self._pairs]
        turn = Rotation.from_rotvec([np.deg2rad(off), 0.0, 0.0]).as_matrix()
        rotation = turn @ TRUTH.rotation if np.isfinite(off) else np.full((3, 3), np.nan)
        points = np.zeros((4, 2), np.float32)
        return Answer(
            ok=self._ok[self._pairs],
            rotation=rotation,
            translation=np.array([1.0, 0.0, 0.0]),
            keypoints0=points,
            keypoints1=points,
            inlier=np.array([True, True, False, True]),
            cpu_ms=10.0,
            wall_ms=20.0,
            stages={"match": 3.0},
            cpu_stages={"extract": 4.0, "match": 2.5},
        )


def pairs() -> list[ImagePair]:
    made = [pair("a 0 1", angle=5.0), pair("a 0 2"), pair("b 0 1"), pair("b 1 2", related=False)]
    return [dataclasses.replace(one, image0=IMAGE.copy()) for one in made]


def compared(calls: list[str], cache: ComparisonFile | None = None) -> list[ComparisonRecord]:
    first = Scripted("first", [1.0, 30.0, 2.0, 3.0], [True, True, False, False], calls)
    second = Scripted("second", [2.0, math.nan, 20.0, 9.0], [True, False, True, True], calls)
    return compare(pairs(), [first, second], cache)


def test_each_pair_is_everybodys_before_the_next_and_the_first_turn_changes() -> None:
    calls: list[str] = []
    compared(calls)
    # Three calls before a method's first pair counts (two do not), then one a pair.
    started = ["first"] * 3 + ["second"] * 3
    assert calls == [*started, "second", "first", "first", "second", "second", "first"]


def test_rows_count_what_a_user_asks() -> None:
    first, second = rows(compared([]))
    assert (first.method, first.pairs) == ("first", 4)
    # Known: 1, 30, 2 degrees; the unrelated pair has no truth.
    assert first.right == pytest.approx(200 / 3) and second.right == pytest.approx(100 / 3)
    assert first.refused == 2 and second.refused == 1
    # The third pair, which the first method had within 5 degrees; the unrelated one is no miss.
    assert first.missed == 1
    assert second.missed == 0  # nobody had the second pair
    # 30 degrees off with a clear voice; the second: 20 degrees off, and a pose of two places.
    assert first.confidently_wrong == 1 and second.confidently_wrong == 2
    assert first.agreeing == 100.0 and second.agreeing == 100.0
    assert (first.cpu_ms, first.wall_ms, first.extract_cpu_ms) == (10.0, 20.0, 4.0)
    assert second.cpu_ratio == 1.0 and first.inliers == 3 and first.stages == {"match": 3.0}
    assert first.cpu_stages == {"extract": 4.0, "match": 2.5}


def test_rows_by_angle_scene_and_domain() -> None:
    records = compared([])
    ways = groupings({"a": "indoor", "b": "outdoor"})
    by_angle = rows(records, ways["angle"])
    assert [(row.group, row.pairs) for row in by_angle if row.method == "first"] == [
        ("under 15°", 1),
        ("15-30°", 3),
    ]
    assert {row.group for row in rows(records, ways["domain"])} == {"indoor", "outdoor"}
    assert {row.group for row in rows(records, ways["scene"])} == {"a", "b"}
    assert angle_class(math.nan) == "" and angle_class(60.0) == "over 60°"


def test_a_pair_is_as_difficult_as_the_matches_of_the_first_method_are_false() -> None:
    class Matching(Scripted):
        """Five matches, the given number of them true."""

        def __init__(self, name: str, true: int) -> None:
            super().__init__(name, [1.0], [True], [])
            self._true = true

        def __call__(self, image0: object, *rest: object) -> Answer:
            x, y, depth = np.linspace(-0.2, 0.2, 5), np.linspace(0.1, -0.1, 5), 5.0
            points = depth * np.stack((x, y, np.ones(5)), axis=1)
            moved = points @ TRUTH.rotation.T + TRUTH.translation
            seen = [CAMERA.project(one[:, :2] / one[:, 2:]) for one in (points, moved)]
            seen[1][self._true :] += (0.0, 20.0)  # across the epipolar lines
            first, second = (one.astype(np.float32) for one in seen)
            answer = super().__call__(image0)
            inlier = np.zeros(5, dtype=bool)
            return dataclasses.replace(answer, keypoints0=first, keypoints1=second, inlier=inlier)

    for true, group in ((0, "under 10 % true"), (2, "30-60 % true"), (5, "over 60 % true")):
        records = compare([pair("a 0 1")], [Matching("first", true), Matching("second", 4)])
        assert [one.true_share for one in records] == [true / 5, 4 / 5]
        by_difficulty = rows(records, groupings({}, records)["difficulty"])
        assert [(row.group, row.method) for row in by_difficulty] == [
            (group, "first"),
            (group, "second"),
        ]
    unrelated = compare([pair("a 0 1", related=False)], [Matching("first", 3)])
    assert math.isnan(unrelated[0].true_share)


def test_other_weights_under_the_same_name_are_another_method(tmp_path: Path) -> None:
    made = [packaged_weights(name) for name in ("msga_net_lite", "msga_net_lite_open")]
    path, digests = tmp_path / "mine.safetensors", []
    for weights in made:
        shutil.copy(weights, path)
        digests.append(method(f"orb,network.weights={path}").digest)
    assert digests[0] != digests[1]


def test_records_are_kept_and_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    calls: list[str] = []
    made = compared(calls, ComparisonFile(path))
    count = len(calls)
    again = compared(calls, ComparisonFile(path))
    assert len(calls) == count
    np.testing.assert_equal([one.error for one in again], [one.error for one in made])
    # A line that was cut off is done again, and only that.
    path.write_text(path.read_text()[:-20])
    compared(calls, ComparisonFile(path))
    assert len(calls) == count + 3
    # The next start finds whole lines: the rest of the broken one is gone.
    compared(calls, ComparisonFile(path))
    assert len(calls) == count + 3
    path.write_text("nonsense\n")
    with pytest.raises(RecordError, match="line 1"):
        ComparisonFile(path)


def test_methods_by_name() -> None:
    combined = method("orb+none+magsac,pose.threshold_px=2", {"frontend.max_keypoints": 50})
    assert combined.name == "orb+none+magsac,pose.threshold_px=2"
    other = method("orb+none+magsac,pose.threshold_px=3", {"frontend.max_keypoints": 50})
    assert combined.digest != other.digest
    assert method("opencv-orb").name == "opencv-orb"
    for text, part in (
        ("surf", "presets are"),
        ("orb+nobody", "no stage"),
        ("orb+magsac+poselib", "two stages of one kind"),
        ("orb+none,loud", "neither ENTRY=VALUE nor ungated"),
        ("opencv-orb,frontend.ratio=0.8", "no settings"),
        ("missing.yaml", "no such file"),
    ):
        with pytest.raises(MethodError, match=part):
            method(text)
    with pytest.raises(ConfigError, match=r"frontend\.ratios"):
        method("orb+none,frontend.ratios=0.8")


@pytest.mark.parametrize("name", ["orb+none,frontend.ratio=0.8", "opencv-orb", "opencv-sift"])
def test_methods_find_the_motion_of_a_rendered_scene(name: str) -> None:
    frames = list(SyntheticSequence(SyntheticOptions(frames=3, frames_per_round=60)))
    first, last = frames[0], frames[2]
    assert first.poses and last.poses
    motion = last.poses["left"].relative_to(first.poses["left"])
    known = ImagePair(
        "s 0 2",
        "s",
        first.images["left"],
        last.images["left"],
        first.cameras["left"],
        last.cameras["left"],
        motion,
        10.0,
    )
    (record,) = compare([known], [method(name)])
    assert record.ok and record.error < 3.0
    assert record.inliers > 30 and record.cpu_ms > record.extract_cpu_ms > 0
    # The stages are all of the time, but for what lies between them.
    assert {"extract", "match", "pose"} <= record.cpu_stages.keys() == record.stages.keys()
    assert sum(record.cpu_stages.values()) <= record.cpu_ms + 1e-6
    assert sum(record.stages.values()) <= record.wall_ms + 1e-6
    # Most of what passes the ratio test is true, and the inliers of a right pose are.
    assert record.true_share > 0.9 * record.inliers / record.matches


@pytest.mark.parametrize("name", ["opencv-orb", "opencv-sift"])
def test_black_images_have_no_pose(name: str) -> None:
    (record,) = compare([pair("a 0 1")], [method(name)])
    assert not record.ok and record.error == math.inf and record.matches == 0


def test_what_is_ungated_stands_by_every_pose() -> None:
    generator = np.random.default_rng(0)
    noise = [
        cv2.GaussianBlur(generator.integers(0, 255, (240, 320), np.uint8), (0, 0), 1.5)
        for _ in range(2)
    ]
    camera = Camera.pinhole(300.0, 300.0, 159.5, 119.5, 320, 240)
    unrelated = ImagePair("a 0 1", "a", *noise, camera, camera, None, math.nan, False)
    gated, open_ = (method(f"orb+none,frontend.ratio=1.0{text}") for text in ("", ",ungated"))
    records = compare([unrelated], [gated, open_])
    assert [record.ok for record in records] == [False, True]
    assert [row.confidently_wrong for row in rows(records)] == [0, 1]


def scene(name: str, folder: Path = Path()) -> PosedScene:
    """Three images `folder/name/0.png` and so on."""
    images = (
        PosedImage(f"{number}.png", folder / name / f"{number}.png", CAMERA, TRUTH, number)
        for number in range(3)
    )
    return PosedScene(name, tuple(images))


def test_unrelated_pairs_show_two_places(tmp_path: Path) -> None:
    found = PosedPairs([scene(name) for name in "abc"], count=1, unrelated=40).names()
    unrelated = [(first, second, of) for first, second, of, related in found if not related]
    assert len(unrelated) == 40
    for first, second, of in unrelated:
        assert first.path.parent.name == of != second.path.parent.name
    alone = PosedPairs([scene("a")], count=1, unrelated=40).names()
    assert all(related for *_, related in alone)
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(3):
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), np.zeros((48, 64), np.uint8))
    for one in PosedPairs([scene(name, tmp_path) for name in "ab"], count=1, unrelated=2):
        assert (one.motion is None) is math.isnan(one.angle_deg) is not one.related


def test_pairs_of_a_list_are_those_and_no_others(tmp_path: Path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text("b 2.png 0.png\na 0.png 1.png\n")
    found = PosedPairs([scene(name) for name in "ab"], pair_list=file).names()
    assert [(first.path.as_posix(), second.path.as_posix()) for first, second, *_ in found] == [
        ("a/0.png", "a/1.png"),
        ("b/2.png", "b/0.png"),
    ]


def test_footage_is_paired_at_a_distance(tmp_path: Path) -> None:
    for index in range(6):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((48, 64), 10 * index, np.uint8))
    found = FootagePairs("walk", PictureFolder(tmp_path), gap=2, count=0)
    assert len(found) == 4
    assert [(int(one.image0.mean()), int(one.image1.mean())) for one in found] == [
        (0, 20),
        (10, 30),
        (20, 40),
        (30, 50),
    ]
    thinned = FootagePairs("walk", PictureFolder(tmp_path), gap=2, count=2)
    assert [one.name for one in thinned] == ["walk 0 2", "walk 2 4"]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_configurations(name: str) -> None:
    assert isinstance(PipelineConfig.load(preset_path(name)), PipelineConfig)


def test_the_preset_for_a_gpu_says_that_the_cpu_does_the_work() -> None:
    need("aliked")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    pipeline = TwoViewPipeline.from_config(preset_path("gpu"))
    assert "frontend.device is 'cuda', but there is no CUDA device" in pipeline.device_problem
    assert pipeline.device.type == "cpu"
    square = np.zeros((64, 64), np.uint8)
    square[16:48, 16:48] = 255
    assert len(pipeline.extract(square)) > 0


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(ConfigError, match="balanced"):
        preset_path("fast")


def test_weights_of_a_sieve_behind_a_second_front_end_are_part_of_a_method() -> None:
    alone = PipelineConfig.load(**{"frontend.name": "orb", "sieve.name": "none"})
    assert _weights(alone) == []
    both = PipelineConfig.load(
        **{"frontend.name": "orb", "sieve.name": "none", "second_frontend.name": "sift"}
    )
    assert len(_weights(both)) == 1 and _weights(both) == _weights(PipelineConfig.load())
