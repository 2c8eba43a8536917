"""Loops: a place is known again, another one is not, and what was just seen is none."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from msga_ros.cli import app
from msga_ros.datasets.sequences.folder import FolderSequence
from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera
from msga_ros.loops.closing import LoopCloser
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.store import KeyframeStore
from msga_ros.loops.vlad import Vocabulary, packaged_vocabulary
from msga_ros.two_view.pipeline import Counts, Status, TwoViewPipeline

CAMERA = Camera.pinhole(500, 500, 320, 240, 640, 480)
VOCABULARY = Vocabulary(
    np.zeros((1, 4), np.float32), np.zeros(4, np.float32), np.eye(4, dtype=np.float32), "fake"
)


class FakePipeline:
    """The first row of an image is its one local descriptor; two relate as `inliers` says."""

    def __init__(self, inliers: int = 50, status: Status = Status.OK) -> None:
        self.inliers, self.status = inliers, status
        self.asked = 0

    def extract(self, image: np.ndarray) -> Features:
        one = np.ones((1, 2), np.float32)
        return Features(one, one[:, 0], np.float32(image[:1]), (640, 480))

    def relate_features(self, *views: Any) -> Any:
        self.asked += 1
        counts = Counts(60, 60, 60, self.inliers, self.inliers)
        return type("Result", (), {"status": self.status, "counts": counts})()


def image(*row: int) -> np.ndarray:
    return np.array([row], np.uint8)


def closer(store: KeyframeStore, pipeline: Any, **config: Any) -> LoopCloser:
    return LoopCloser(store, pipeline, VOCABULARY, LoopConfig(**config))


def test_the_most_similar_that_is_old_enough(tmp_path: Path) -> None:
    pipeline = FakePipeline()
    with KeyframeStore(tmp_path / "map") as store:
        seen = closer(store, pipeline, min_gap=10.0)
        assert seen.add("a", 0.0, image(9, 1, 0, 0), CAMERA) is None
        assert seen.add("b", 5.0, image(0, 9, 0, 0), CAMERA) is None
        assert seen.add("c", 9.9, image(9, 0, 0, 0), CAMERA) is None  # too soon after the first
        assert pipeline.asked == 0
        loop = seen.add("d", 16.0, image(8, 0, 0, 0), CAMERA)
        assert loop is not None and (loop.reference, loop.current) == (0, 3)
        assert 0.9 < loop.similarity < 1.0 and pipeline.asked == 1


def test_an_empty_map_and_an_image_without_features(tmp_path: Path) -> None:
    with KeyframeStore(tmp_path / "map") as store:
        seen = closer(store, FakePipeline(), min_gap=0.0)
        assert seen.add("first", 0.0, image(1, 0, 0, 0), CAMERA) is None
        assert seen.propose(np.zeros(4, np.float32), 100.0) == []
        assert len(seen.propose(np.array([1, 0, 0, 0], np.float32), 100.0)) == 1


@pytest.mark.parametrize(
    ("inliers", "status", "accepted"),
    [
        (30, Status.OK, True),
        (29, Status.OK, False),
        (50, Status.DEGENERATE, True),
        (50, Status.TOO_FEW_MATCHES, False),
    ],
)
def test_what_holds(tmp_path: Path, inliers: int, status: Status, accepted: bool) -> None:
    pipeline = FakePipeline(inliers, status)
    with KeyframeStore(tmp_path / "map") as store:
        seen = closer(store, pipeline, min_gap=1.0, candidates=2)
        for number in range(4):
            seen.add(str(number), 0.0, image(1, number, 0, 0), CAMERA)
        loop = seen.add("again", 9.0, image(1, 1, 0, 0), CAMERA)
        assert (loop is not None) == accepted
        assert pipeline.asked == (1 if accepted else 2)
        assert len(store) == 5


def test_an_earlier_run_is_searched_whatever_its_stamps(tmp_path: Path) -> None:
    with KeyframeStore(tmp_path / "map") as store:
        closer(store, FakePipeline()).add("yesterday", 0.0, image(1, 0, 0, 0), CAMERA)
    with KeyframeStore(tmp_path / "map") as store:
        seen = closer(store, FakePipeline())
        loop = seen.add("today", 1.0, image(1, 0, 0, 0), CAMERA)
        assert loop is not None and store[loop.reference].name == "yesterday"
        still = seen.add("still", 2.0, image(1, 0, 0, 0), CAMERA)
        assert still is not None and still.reference == 0


def test_there_and_back_with_another_camera(
    kitti: Path, tmp_path: Path, trained_weights: Path
) -> None:
    """The way back is seen by the other camera of the rig: each frame knows its place again."""
    frames = list(FolderSequence(kitti, stereo=True))[:18:6]
    entries = {"frontend.max_keypoints": 800, "network.weights": str(trained_weights)}
    pipeline = TwoViewPipeline.from_config(**entries)
    with KeyframeStore(tmp_path / "map", in_memory=1) as store:
        seen = LoopCloser(store, pipeline, packaged_vocabulary(), LoopConfig())
        for number, frame in enumerate(frames):
            name = f"there {number}"
            assert seen.add(name, number, frame.images["left"], frame.cameras["left"]) is None
        noise = np.random.default_rng(0).integers(0, 256, frames[0].images["left"].shape, np.uint8)
        assert seen.add("noise", 50.0, noise, frames[0].cameras["left"]) is None
        for number, frame in enumerate(frames):
            loop = seen.add("back", 100.0, frame.images["right"], frame.cameras["right"])
            assert loop is not None and loop.reference == number
            # The right camera lies to the right: a point moves to the left.
            np.testing.assert_allclose(loop.result.rotation, np.eye(3), atol=0.02)
            assert loop.result.translation[0] < -0.97


def test_the_command(kitti: Path, tmp_path: Path) -> None:
    arguments = ["loops", str(kitti), "--map", str(tmp_path / "map"), "--every", "8"]
    arguments += ["--frames", "9", "--set", "frontend.max_keypoints=600"]
    runner = CliRunner()
    first = runner.invoke(app, arguments)
    assert first.exit_code == 0 and "0 loops among 2 keyframes" in first.output, first.output
    output = tmp_path / "loops.csv"
    again = runner.invoke(app, [*arguments, "-o", str(output)])
    assert "2 loops among 4 keyframes, 2 of them from before" in again.output, again.output
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["reference"] for row in rows] == [row["current"] for row in rows]
    for row in rows:  # the same images: no motion, and no direction of it
        assert row["status"] == "DEGENERATE" and row["tx"] == "nan"
        assert float(row["r00"]) == pytest.approx(1.0, abs=1e-6)
    orb = runner.invoke(app, [*arguments, "--set", "frontend.name=orb"])
    assert orb.exit_code == 2 and "no vocabulary of 'orb'" in orb.output
