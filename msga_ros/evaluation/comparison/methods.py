"""The ways from two images to a relative pose that are compared, and how they are named.

A method is written `NAME[,ENTRY=VALUE]...[,ungated]`, where NAME is

- a preset of the package (`balanced`), or a YAML file of the pipeline's configuration;
- `FRONTEND[+STAGE]...`: a front end, and any of a matcher, a sieve and a solver, each by its name;
  what is not named is as by default;
- `opencv-sift` or `opencv-orb`: what a user of OpenCV alone writes.

`ungated` lets every pose pass: no check of the number of inliers, of chance, parallax or a second
motion, as a matcher is used without this package.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import yaml
from numpy.typing import NDArray

import msga_ros
from msga_ros.evaluation.comparison.opencv_baseline import OPENCV_BASELINES, relate_by_opencv
from msga_ros.frontend import FRONTENDS
from msga_ros.frontend.matchers import MATCHERS
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.robust import SOLVERS
from msga_ros.network import find_weights
from msga_ros.two_view.chosen_stages import fitting_sieve
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.pipeline import TwoViewPipeline
from msga_ros.two_view.presets import PRESETS, preset_path
from msga_ros.two_view.result import Status
from msga_ros.two_view.sieves import SIEVES
from msga_ros.two_view.stage_clock import StageClock

Image = NDArray[np.uint8]

UNGATED = "ungated"
_NO_GATE: Mapping[str, object] = {
    "pose.min_inliers": 8,
    "pose.max_false_alarms": 1e300,
    "pose.min_parallax_deg": 0.0,
    "pose.min_lead": 0.0,
}


class MethodError(ValueError):
    """A method that is none; the message says what there is."""


@dataclass(frozen=True)
class Answer:
    """What a method says of a pair.

    Attributes:
        ok: it stands by the pose.
        rotation, translation: (3, 3), unit (3,), `x1 = R x0 + t`; NaN without a pose.
        keypoints0, keypoints1, inlier: (N, 2) pixels twice and (N,) bool: all matches, and those
            that agree with the pose.
        cpu_ms, wall_ms: all threads of this process, and the clock: from images to pose.
        stages, cpu_stages: wall and CPU milliseconds of each stage.
    """

    ok: bool
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    keypoints0: NDArray[np.float32]
    keypoints1: NDArray[np.float32]
    inlier: NDArray[np.bool_]
    cpu_ms: float
    wall_ms: float
    stages: Mapping[str, float]
    cpu_stages: Mapping[str, float]


class Method(Protocol):
    """A method: two images to a relative pose."""

    @property
    def name(self) -> str:
        """As it was asked for."""
        ...

    @property
    def digest(self) -> str:
        """Differs where a setting, the sieve's weights or the package's version does."""
        ...

    def __call__(
        self, image0: Image, image1: Image, camera0: Camera, camera1: Camera
    ) -> Answer: ...


def method(text: str, settings: Mapping[str, object] | None = None) -> Method:
    """The method that `text` names (see the module), loaded.

    `settings` are entries of the configuration for every method but OpenCV's; those in `text` win.

    Raises:
        MethodError: `text` names none.
        ConfigError, FrontendError, CheckpointError: its configuration cannot be used.
    """
    name, entries = _parsed(text)
    if name in OPENCV_BASELINES:
        if entries:
            raise MethodError(f"{name} has no settings, but {text!r} gives some")
        return _OpenCVMethod(text, name)
    if name in PRESETS:
        path: Path | None = preset_path(name)
    elif name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise MethodError(f"no such file: {path}")
    else:
        path = None
        entries = {**_combination(name), **entries}
    config = PipelineConfig.load(path, **{**(settings or {}), **entries})
    return _PipelineMethod(text, config)


def _parsed(text: str) -> tuple[str, dict[str, object]]:
    name, *rest = text.split(",")
    entries: dict[str, object] = {}
    for part in rest:
        entry, separator, value = part.partition("=")
        if part == UNGATED:
            entries.update(_NO_GATE)
        elif separator and entry:
            entries[entry] = yaml.safe_load(value)
        else:
            raise MethodError(f"{part!r} in {text!r} is neither ENTRY=VALUE nor {UNGATED}")
    return name, entries


def _stages() -> dict[str, tuple[str, Callable[[], tuple[str, ...]]]]:
    """What may follow a front end: its entry of the configuration, and the names there are."""
    return {
        "matcher": ("frontend.matcher", MATCHERS.names),
        "sieve": ("sieve.name", SIEVES.names),
        "solver": ("pose.refine", SOLVERS.names),
    }


def _combination(name: str) -> dict[str, object]:
    """Entries of `FRONTEND[+STAGE]...`."""
    first, *others = name.split("+")
    if first not in FRONTENDS:
        raise MethodError(
            f"{first!r} is no method: presets are {', '.join(PRESETS)}; front ends "
            f"{', '.join(FRONTENDS.names())}; {', '.join(OPENCV_BASELINES)}; or a YAML file"
        )
    entries: dict[str, object] = {"frontend.name": first}
    for other in others:
        fitting = [entry for entry, names in _stages().values() if other in names()]
        if not fitting:
            known = "; ".join(
                f"{kind}s {', '.join(names())}" for kind, (_, names) in _stages().items()
            )
            raise MethodError(f"{other!r} in {name!r} is no stage; there are {known}")
        if fitting[0] in entries:
            raise MethodError(f"{name!r} names two stages of one kind")
        entries[fitting[0]] = other
    return entries


class _PipelineMethod:
    """The pipeline of this package."""

    def __init__(self, name: str, config: PipelineConfig) -> None:
        self.name = name
        parts = [msga_ros.__version__, json.dumps(dataclasses.asdict(config))]
        self.digest = digest([*parts, *_weights(config)])
        self._pipeline = TwoViewPipeline(config)

    def __call__(self, image0: Image, image1: Image, camera0: Camera, camera1: Camera) -> Answer:
        clock = StageClock()
        features0 = self._pipeline.extract(image0)
        features1 = self._pipeline.extract(image1)
        clock.lap("extract")
        result = self._pipeline.relate(features0, features1, camera0, camera1)
        clock.lap("relate")
        return Answer(
            ok=result.status is Status.OK,
            rotation=result.rotation,
            translation=result.translation,
            keypoints0=result.keypoints0,
            keypoints1=result.keypoints1,
            inlier=result.inlier,
            cpu_ms=sum(clock.cpu.values()),
            wall_ms=sum(clock.wall.values()),
            stages={"extract": clock.wall["extract"], **result.timings},
            cpu_stages={"extract": clock.cpu["extract"], **result.cpu_timings},
        )


class _OpenCVMethod:
    """OpenCV alone."""

    def __init__(self, name: str, detector: str) -> None:
        self.name = name
        self.digest = digest([msga_ros.__version__, detector])
        self._detector = detector

    def __call__(self, image0: Image, image1: Image, camera0: Camera, camera1: Camera) -> Answer:
        wall, cpu = time.perf_counter(), time.process_time()
        found = relate_by_opencv(self._detector, image0, image1, camera0, camera1)
        return Answer(
            ok=found.success,
            rotation=found.rotation,
            translation=found.translation,
            keypoints0=found.keypoints0,
            keypoints1=found.keypoints1,
            inlier=found.inlier,
            cpu_ms=1e3 * (time.process_time() - cpu),
            wall_ms=1e3 * (time.perf_counter() - wall),
            stages=found.clock.wall,
            cpu_stages=found.clock.cpu,
        )


def _weights(config: PipelineConfig) -> list[str]:
    """What is in the file of weights of a sieve, if one has such a file."""
    asked = [config, config.of_second] if config.second_frontend.asked else [config]
    if "msga" not in [fitting_sieve(one) for one in asked]:
        return []
    path = find_weights(config.network.weights, config.network.device)
    return [hashlib.sha256(path.read_bytes()).hexdigest()]


def digest(parts: list[str]) -> str:
    """A short hash of what a result depends on."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
