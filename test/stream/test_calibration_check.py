"""A calibration that contradicts itself or the images is named, once, and stops nothing."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stream.fakes import CAMERA, SIZE, FakePipeline, make_result, raw_image, raw_info

from msga_ros.geometry.camera import Camera
from msga_ros.stream.calibration_check import camera_doubts
from msga_ros.stream.message_set import STEREO_INPUTS, MessageSet
from msga_ros.stream.processor import Outcome, Processor
from msga_ros.stream.settings import Settings
from msga_ros.two_view.pipeline import Status

SETTINGS = Settings.from_values({})


class Bench:
    """A processor of stereo pairs that measure what they are told to."""

    def __init__(self) -> None:
        self.pipeline = FakePipeline()
        self.said: list[str] = []
        topics = {name: f"/{name}" for name in STEREO_INPUTS}
        self._processor = Processor(
            self.pipeline, topics, lambda kind, topic, text: self.said.append(f"{kind}: {text}")
        )

    def pair(
        self,
        measured: Sequence[float] = (-1.0, 0.0, 0.0),
        p3: Sequence[float] = (-50.0, 0.0),
        status: Status = Status.OK,
        **right: Any,
    ) -> Outcome:
        """A pair with this translation; `p3`: P[3] and P[7] of the right camera."""
        p = np.hstack([CAMERA.k, np.zeros((3, 1))])
        p[:2, 3] = p3
        info = raw_info(1, "right", **{"p": p.ravel().tolist(), **right})
        messages = {
            "left/image": raw_image(1, "left"),
            "left/camera_info": raw_info(1, "left"),
            "right/image": raw_image(1, "right"),
            "right/camera_info": info,
        }
        self.pipeline.results = [make_result(translation=np.array(measured), status=status)]
        outcome = self._processor.process(MessageSet(messages), SETTINGS).outcome
        assert outcome is not None
        return outcome


def test_a_calibration_that_fits_is_not_mentioned() -> None:
    bench = Bench()
    for _ in range(5):
        assert bench.pair((-0.99, 0.1, 0.1)).rig_problem == ""
    assert bench.said == []


@pytest.mark.parametrize(("p3", "entry"), [((50.0, 0.0), "P[3]"), ((0.0, 51.0), "P[7]")])
def test_a_direction_that_every_pair_measures_the_other_way_round_is_said_once(
    p3: tuple[float, float], entry: str
) -> None:
    bench = Bench()
    measured = -np.sign((*p3, 0.0)) + (0.0, 0.0, 0.05)
    problems = [bench.pair(measured, p3).rig_problem for _ in range(6)]
    assert problems[:2] == ["", ""]
    for problem in problems[2:]:
        assert f"the sign of {entry}" in problem
        assert "swapped" in problem
    assert len(bench.said) == 1
    # Once the images agree, it is over.
    assert bench.pair(-measured, p3).rig_problem == ""


def test_another_direction_is_not_called_swapped() -> None:
    bench = Bench()
    problems = [bench.pair((0.0, -1.0, 0.0)).rig_problem for _ in range(4)]
    assert "90 degrees from that of the calibration" in problems[-1]
    assert "swapped" not in problems[-1]


def test_pairs_that_do_not_know_their_direction_do_not_contradict() -> None:
    bench = Bench()
    for _ in range(5):
        assert bench.pair((1.0, 0.0, 0.0), status=Status.DEGENERATE).rig_problem == ""
    for number in range(6):  # one that agrees now and then: not every pair
        direction = -1.0 if number % 3 == 0 else 1.0
        assert bench.pair((direction, 0.0, 0.0)).rig_problem == ""


def test_another_calibration_begins_anew() -> None:
    bench = Bench()
    for _ in range(3):
        bench.pair(p3=(50.0, 0.0))
    assert bench.pair(p3=(60.0, 0.0)).rig_problem == ""


@pytest.mark.parametrize("metres", [120.0, 12.0, 0.0012])
def test_a_baseline_in_another_unit_is_said_once(metres: float) -> None:
    bench = Bench()
    for _ in range(3):
        outcome = bench.pair(p3=(-500 * metres, 0.0))
        assert outcome.baseline == pytest.approx(metres)
        assert f"baseline of {metres:g} m is implausible" in outcome.rig_problem
    assert len(bench.said) == 1


@pytest.mark.parametrize("metres", [0.006, 0.12, 9.0])
def test_small_and_large_rigs_are_plausible(metres: float) -> None:
    bench = Bench()
    assert bench.pair(p3=(-500 * metres, 0.0)).rig_problem == ""
    assert bench.said == []


def test_a_rectification_that_is_not_filled_in_is_said_once() -> None:
    bench = Bench()
    for _ in range(3):
        assert bench.pair(r=[0.0] * 9).baseline == pytest.approx(0.1)
    assert bench.said == ["calibration: r of the right camera is not filled in: the identity"]


def camera_info(scale: float = 1.0, **fields: Any) -> SimpleNamespace:
    return raw_info(1, k=CAMERA.scaled(scale).k.ravel().tolist(), **fields)


def doubts(info: SimpleNamespace, rectified: bool = False) -> str:
    return "\n".join(camera_doubts(info, Camera.from_camera_info(info, rectified), rectified))


def test_k_and_p_of_different_sizes() -> None:
    half = np.hstack([CAMERA.scaled(0.5).k, np.zeros((3, 1))]).ravel().tolist()
    assert "k and p are of images of different sizes" in doubts(camera_info(p=half))
    # Rectification changes the focal length and moves the centre; that is no other size.
    p = [390.0, 0, 281, 0, 0, 390, 249, 0, 0, 0, 1, 0]
    assert doubts(camera_info(p=p)) == ""
    assert doubts(camera_info(p=[0.0] * 12)) == ""


def test_binning_that_is_applied_twice() -> None:
    full = {"width": 2 * SIZE[0], "height": 2 * SIZE[1], "p": [0.0] * 12}
    assert "binned already" in doubts(camera_info(1.0, binning_x=2, binning_y=2, **full))
    assert doubts(camera_info(2.0, binning_x=2, binning_y=2, **full)) == ""


def test_a_calibration_of_another_size_or_in_other_units() -> None:
    assert "principal point" in doubts(camera_info(2.0, p=[0.0] * 12))
    region = SimpleNamespace(x_offset=310, y_offset=0, width=200, height=480)
    assert doubts(camera_info(roi=region, p=[0.0] * 12)) == ""
    k = [4.2, 0, 320, 0, 4.2, 240, 0, 0, 1]
    assert "focal length of 4.2 px" in doubts(raw_info(1, k=k, p=[0.0] * 12))
