"""The node `msga_loops` over DDS, with one pipeline for all tests: SIFT, no sieve."""
# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

import rclpy
from rclpy.context import Context

from msga_ros.stream.model_loading import Model
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.pipeline import TwoViewPipeline

if TYPE_CHECKING:
    from node.loops.bench import LoopBench

pytestmark = pytest.mark.ros

K = np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])
SETTINGS = {"sieve.name": "none", "frontend.max_keypoints": 800}


@pytest.fixture(scope="session")
def model() -> Model:
    return Model(TwoViewPipeline(PipelineConfig.load(**SETTINGS)), "none")


@pytest.fixture
def make_bench(model: Model) -> Iterator[Callable[..., LoopBench]]:
    pytest.importorskip("tf2_msgs", reason="no type for transforms")
    from node.harness import domain_id
    from node.loops.bench import LoopBench

    context, made = Context(), []
    rclpy.init(context=context, domain_id=domain_id())  # no other node is to answer

    def make(**parameters: Any) -> LoopBench:
        values = {"publish.diagnostics_period": 0.1, **SETTINGS, **parameters}
        made.append(LoopBench(context, load=lambda _: model, **values))
        return made[-1]

    yield make
    for one in made:
        one.close()
    context.shutdown()


def scene(number: int) -> np.ndarray:
    """A picture (240, 320) of a place: each shows another."""
    noise = np.random.default_rng(number).integers(0, 255, (40, 54), np.uint8)
    return cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC)
