"""Two images and two cameras to filtered correspondences and a relative pose."""

from __future__ import annotations

import dataclasses
import enum
import math
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from msga_ros import frontend
from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.frontend import Features, Frontend
from msga_ros.frontend.base import normalised_evidence
from msga_ros.geometry.camera import Camera, CameraError
from msga_ros.network import MSGANet, find_weights
from msga_ros.network.inference import Inference, load_network
from msga_ros.network.match_scores import Network
from msga_ros.two_view.config import PipelineConfig, PoseConfig
from msga_ros.two_view.relative_pose import Motion, estimate_motion, unknown_motion

# Entries that a running pipeline cannot change: see `TwoViewPipeline.reconfigure`.
_FIXED_ENTRIES = ("frontend.name", "network.weights", "network.device")


class Status(enum.IntEnum):
    """What the pose of a `TwoViewResult` is worth; the numbers of `RelativePose.msg`."""

    OK = 0
    TOO_FEW_MATCHES = 1  # too few agree on a motion; rotation, translation, ... are NaN
    DEGENERATE = 2  # hardly any parallax, or another motion as likely: the direction is unknown


@dataclass(frozen=True)
class Counts:
    """How many keypoints and matches each stage left."""

    detected0: int
    detected1: int
    matched: int
    network_inliers: int
    geometric_inliers: int


@dataclass(frozen=True)
class TwoViewResult:
    """Putative matches of two views, which of them hold, and the motion between the views.

    Row i of the (N, ...) arrays is putative match i, in the front end's order.

    `keypoints0`, `keypoints1` (N, 2) float32: pixels of the images as received. `indices0`,
    `indices1` (N,): into the `Features` of each view. `inlier` (N,) bool: the match agrees with the
    pose. `inlier_probability` (N,) float32: the network's, 0.5 at `network.inlier_threshold`; 0 for
    a match that the camera model cannot explain.

    `essential` (3, 3), Frobenius norm 1, `[x1, 1] E [x0, 1]^T = 0`; `rotation` (3, 3) and unit
    `translation` (3,): `x1 = R x0 + t`. `covariance` (6, 6): of the pose of view 1 in view 0, see
    `msga_ros.geometry.covariance`; NaN where the matches do not determine it. These four are
    float64, and NaN with status TOO_FEW_MATCHES. Without refinement `essential` is the network's
    eight-point solution, of which `rotation` and `translation` are the nearest motion.
    `median_parallax`: of the inliers, in rad; NaN with status TOO_FEW_MATCHES.

    `timings`: milliseconds of the stages `match`, `network`, `pose`, and `extract` (both views)
    where the pipeline did the extraction; the work of the device is included.
    """

    keypoints0: NDArray[np.float32]
    keypoints1: NDArray[np.float32]
    indices0: NDArray[np.int64]
    indices1: NDArray[np.int64]
    inlier: NDArray[np.bool_]
    inlier_probability: NDArray[np.float32]
    essential: NDArray[np.float64]
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    covariance: NDArray[np.float64]
    status: Status
    median_parallax: float
    counts: Counts
    timings: dict[str, float]


@dataclass(frozen=True)
class _Settings:
    """What one call works with, from its beginning to its end."""

    config: PipelineConfig
    frontend: Frontend


class TwoViewPipeline:
    """Front end, network and geometry, put together by a configuration.

    One thread works with a pipeline while others may `reconfigure` it: each call sees either the
    old settings or the new ones, never a mixture.
    """

    def __init__(self, config: PipelineConfig, net: MSGANet | Network) -> None:
        """`net` in evaluation mode on the CPU; `config` says where it shall run."""
        self._settings = _Settings(config, frontend.create(config.frontend))
        self._inference = Inference(net, config.network.device)
        self._writing = threading.Lock()

    @classmethod
    def from_config(cls, path: str | Path | None = None, **overrides: Any) -> TwoViewPipeline:
        """The pipeline of a YAML file and overrides (see `PipelineConfig.load`).

        Raises:
            ConfigError: an unknown entry, a value of the wrong type or out of range.
            FrontendError: no front end of that name.
            CheckpointError: a checkpoint is missing, unreadable or does not fit.
        """
        config = PipelineConfig.load(path, **overrides)
        return cls(
            config, load_network(find_weights(config.network.weights, config.network.device))
        )

    @property
    def config(self) -> PipelineConfig:
        """The configuration in force."""
        return self._settings.config

    @property
    def device(self) -> torch.device:
        """Where the network runs now."""
        return self._inference.device

    @property
    def device_problem(self) -> str:
        """Why the network runs on the CPU though CUDA was meant; "" where all is well."""
        return self._inference.problem

    def reconfigure(self, config: PipelineConfig) -> None:
        """Take over `config` from the next call on; cheap, and from any thread.

        Raises `ConfigError`, and changes nothing, where `config` has another front end, other
        weights or another device: those take a new pipeline.
        """
        with self._writing:
            for entry in _FIXED_ENTRIES:
                old, new = _entry(self.config, entry), _entry(config, entry)
                if old != new:
                    raise ConfigError(f"{entry} cannot change while running: {old!r} to {new!r}")
            self._settings = _Settings(config, frontend.create(config.frontend))

    def warm_up(self, image_size: tuple[int, int] = (640, 480)) -> None:
        """One run on made-up images (width, height), so that the first real one is quick."""
        width, height = image_size
        noise = np.random.default_rng(0).integers(
            0, 256, (height // 4 + 1, width // 4 + 1), np.uint8
        )
        image = noise.repeat(4, axis=0).repeat(4, axis=1)[:height, :width]
        camera = Camera.pinhole(width, width, width / 2, height / 2)
        self(image, np.roll(image, 8, axis=1), camera, camera)

    def extract(self, image: NDArray[np.generic]) -> Features:
        """Features of an image, mono or BGR of 8 or 16 bits; `FrontendError` from anything else."""
        return self._settings.frontend.extract(image)

    def __call__(
        self,
        image0: NDArray[np.generic],
        image1: NDArray[np.generic],
        camera0: Camera,
        camera1: Camera,
    ) -> TwoViewResult:
        """Relate two images; see `extract` and `relate`."""
        settings, clock = self._settings, _Clock()
        features0 = settings.frontend.extract(image0)
        features1 = settings.frontend.extract(image1)
        extraction = clock.lap()
        result = self._relate(settings, features0, features1, camera0, camera1)
        return dataclasses.replace(result, timings={"extract": extraction, **result.timings})

    def relate(
        self, features0: Features, features1: Features, camera0: Camera, camera1: Camera
    ) -> TwoViewResult:
        """Match two views, remove the outliers, and estimate the motion `x1 = R x0 + t`.

        Too few or too poor matches are a `status`, not an exception.

        Raises:
            CameraError: a camera is of another image size than the features.
            FrontendError: the features are of two different front ends.
        """
        return self._relate(self._settings, features0, features1, camera0, camera1)

    def _relate(
        self,
        settings: _Settings,
        features0: Features,
        features1: Features,
        camera0: Camera,
        camera1: Camera,
    ) -> TwoViewResult:
        config = settings.config
        _check_size(0, features0, camera0)
        _check_size(1, features1, camera1)
        clock, timings = _Clock(), {}

        matches = settings.frontend.match(features0, features1)
        keypoints0 = features0.keypoints[matches.indices0]
        keypoints1 = features1.keypoints[matches.indices1]
        timings["match"] = clock.lap()

        points0, points1 = camera0.normalize(keypoints0), camera1.normalize(keypoints1)
        correspondences = np.hstack((points0, points1))
        valid = np.isfinite(correspondences.sum(axis=1))
        evidence = normalised_evidence(matches.evidence, camera0.mean_focal, camera1.mean_focal)
        scores = self._inference(correspondences, valid, evidence)
        timings["network"] = clock.lap()

        mean_focal = (camera0.mean_focal + camera1.mean_focal) / 2
        motion = estimate_motion(scores, correspondences, config, mean_focal)
        status = _status(motion, config.pose)
        if status is Status.TOO_FEW_MATCHES:
            motion = unknown_motion(motion)
        timings["pose"] = clock.lap()

        return TwoViewResult(
            keypoints0=keypoints0,
            keypoints1=keypoints1,
            indices0=matches.indices0,
            indices1=matches.indices1,
            inlier=motion.inlier,
            inlier_probability=motion.inlier_probability.astype(np.float32),
            essential=motion.essential,
            rotation=motion.rotation,
            translation=motion.translation,
            covariance=motion.covariance,
            status=status,
            median_parallax=motion.median_parallax,
            counts=Counts(
                detected0=len(features0),
                detected1=len(features1),
                matched=len(matches),
                network_inliers=int(motion.candidate.sum()),
                geometric_inliers=int(motion.inlier.sum()),
            ),
            timings=timings,
        )


class _Clock:
    """Milliseconds between laps."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        return 1e3 * elapsed


def _status(motion: Motion, config: PoseConfig) -> Status:
    by_chance = motion.false_alarms > config.max_false_alarms
    if not motion.known or motion.inlier.sum() < config.min_inliers or by_chance:
        return Status.TOO_FEW_MATCHES
    if motion.ambiguous or motion.median_parallax < math.radians(config.min_parallax_deg):
        return Status.DEGENERATE
    return Status.OK


def _check_size(view: int, features: Features, camera: Camera) -> None:
    """A calibration for another image size would give a pose that is wrong without a word."""
    if not (camera.width and camera.height):
        return
    # Binning may round the size of the image either way.
    difference = np.subtract(features.image_size, (camera.width, camera.height))
    if np.abs(difference).max() > 1:
        width, height = features.image_size
        raise CameraError(
            f"camera{view} is calibrated for images of {camera.width}x{camera.height}, "
            f"image{view} is {width}x{height}"
        )


def _entry(config: PipelineConfig, name: str) -> object:
    group, entry = name.split(".")
    return getattr(getattr(config, group), entry)
