"""Two images and two cameras to filtered correspondences and a relative pose."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.frontend.base import Features
from msga_ros.frontend.from_arrays import matches_from_arrays
from msga_ros.geometry.camera import Camera
from msga_ros.network import MSGANet
from msga_ros.network.match_scores import Network
from msga_ros.two_view import relation
from msga_ros.two_view.chosen_stages import (
    create_frontend,
    create_sieve,
    fitting_sieve,
    matching_device,
)
from msga_ros.two_view.config import NO_REFINEMENT, PipelineConfig
from msga_ros.two_view.continuation import Continuation
from msga_ros.two_view.relation import Stages
from msga_ros.two_view.result import Counts, SecondOpinion, Status, TwoViewResult
from msga_ros.two_view.second_opinion import Pair, create_second, second_opinion, with_image
from msga_ros.two_view.sieves.msga import MSGASieve
from msga_ros.two_view.stage_clock import StageClock
from msga_ros.two_view.stages import Frontend, OnDevice, Sieve, TrackingFrontend, beside, follow

__all__ = ["Counts", "SecondOpinion", "Status", "TwoViewPipeline", "TwoViewResult"]

# Entries that a running pipeline cannot change: see `TwoViewPipeline.reconfigure`.
_FIXED_ENTRIES = (
    "frontend.name",
    "frontend.matcher",
    "frontend.device",
    "sieve.name",
    "second_frontend.name",
    "second_frontend.matcher",
    "second_frontend.sieve",
    "network.weights",
    "network.device",
    "network.fused",
)


class TwoViewPipeline:
    """Front end, sieve and solver, put together by a configuration.

    One thread works with a pipeline while others may `reconfigure` it: each call sees either the
    old settings or the new ones, never a mixture.
    """

    def __init__(
        self,
        config: PipelineConfig,
        sieve: Sieve | MSGANet | Network | None = None,
        frontend: Frontend | None = None,
    ) -> None:
        """The stages are made as `config` says where they are not given; the second front end
        always.

        `sieve` may also be a network, in evaluation mode on the CPU; `config.network` says where it
        shall run.

        Raises:
            FrontendError, SieveError: no front end, or no sieve, of that name.
            CheckpointError: a checkpoint is missing, unreadable or does not fit.
            ConfigError: no such device.
        """
        _check_solved(config)
        name = fitting_sieve(config)
        if isinstance(sieve, (torch.nn.Module, Network)):
            name, sieve = "msga", MSGASieve(sieve, config.network)
        frontend = frontend or create_frontend(config.frontend)
        sieve = sieve or create_sieve(config)
        second = create_second(config, sieve, name)
        self._stages = Stages(config, frontend, sieve, name, second)
        self._writing = threading.Lock()
        self._continuation = Continuation()

    @classmethod
    def from_config(cls, path: str | Path | None = None, **overrides: object) -> TwoViewPipeline:
        """The pipeline of a YAML file and overrides (see `PipelineConfig.load`).

        Raises:
            ConfigError: an unknown entry, a value of the wrong type or out of range.
            FrontendError, SieveError, CheckpointError: see `__init__`.
        """
        return cls(PipelineConfig.load(path, **overrides))

    @property
    def config(self) -> PipelineConfig:
        """The configuration in force."""
        return self._stages.config

    @property
    def sieve(self) -> Sieve:
        """What tells true matches from false ones."""
        return self._stages.sieve

    @property
    def sieve_name(self) -> str:
        """The sieve's name: what `sieve.name` says, or stands for where that is `auto`."""
        return self._stages.sieve_name

    @property
    def device(self) -> torch.device:
        """Where the sieve runs now."""
        sieve = self._stages.sieve
        return torch.device(sieve.device if isinstance(sieve, OnDevice) else "cpu")

    @property
    def follows(self) -> bool:
        """Whether the front end follows its points from image to image."""
        return isinstance(self._stages.frontend, TrackingFrontend)

    @property
    def matching_device(self) -> str:
        """Where features are related now."""
        return matching_device(self._stages.frontend)

    @property
    def device_problem(self) -> str:
        """Why a stage runs on the CPU though CUDA was meant; "" where all is well."""
        both = (self._stages, self._stages.second)
        stages = [stage for one in both if one for stage in (one.frontend, one.sieve)]
        problems = (stage.device_problem for stage in stages if isinstance(stage, OnDevice))
        return "; ".join(dict.fromkeys(problem for problem in problems if problem))

    def reconfigure(self, config: PipelineConfig) -> None:
        """Take over `config` from the next call on; cheap, and from any thread.

        Only the stages that it concerns are changed; no weights are loaded, and features that were
        extracted before stay valid. Raises `ConfigError`, and changes nothing, where `config` has
        another front end, sieve, weights or device: those take a new pipeline.
        """
        _check_solved(config)
        with self._writing:
            old = self._stages
            for entry in _FIXED_ENTRIES:
                before, after = _entry(old.config, entry), _entry(config, entry)
                if before != after:
                    raise ConfigError(
                        f"{entry} cannot change while running: {before!r} to {after!r}"
                    )
            self._stages = old.reconfigured(config)

    def warm_up(self, image_size: tuple[int, int] = (640, 480)) -> None:
        """One run on made-up images (width, height), so that the first real one is quick."""
        width, height = image_size
        noise = np.random.default_rng(0).integers(
            0, 256, (height // 4 + 1, width // 4 + 1), np.uint8
        )
        image = noise.repeat(4, axis=0).repeat(4, axis=1)[:height, :width]
        camera = Camera.pinhole(width, width, width / 2, height / 2)
        views = image, np.roll(image, 8, axis=1)
        self(*views, camera, camera)
        if self._stages.second is not None:  # whatever the first one says of noise
            seen0, seen1 = (self._stages.second.frontend.extract(view) for view in views)
            relation.relate(self._stages.second, seen0, seen1, camera, camera)

    def extract(self, image: NDArray[np.generic]) -> Features:
        """Features of an image, mono or BGR of 8 or 16 bits; `FrontendError` from anything else."""
        stages = self._stages
        return with_image(stages, stages.frontend.extract(image), image)

    def follow(self, previous: Features | None, image: NDArray[np.generic]) -> Features:
        """`extract` of an image that comes after another of the same camera, if there was one.

        A front end that follows points finds those of `previous` again; any other looks at `image`
        alone.
        """
        stages = self._stages
        return with_image(stages, follow(stages.frontend, previous, image), image)

    def beside(self, left: Features, image: NDArray[np.generic]) -> Features:
        """`extract` of the right image of a stereo pair; `left`: the features of the left one."""
        stages = self._stages
        return with_image(stages, beside(stages.frontend, left, image), image)

    def __call__(
        self,
        image0: NDArray[np.generic],
        image1: NDArray[np.generic],
        camera0: Camera,
        camera1: Camera,
    ) -> TwoViewResult:
        """Relate two images; see `extract` and `relate`."""
        stages, clock = self._stages, StageClock()
        features0 = with_image(stages, stages.frontend.extract(image0), image0)
        followed = follow(stages.frontend, features0, image1)
        features1 = with_image(stages, followed, image1)
        clock.lap("extract")
        pair = (features0, features1, camera0, camera1)
        result = relation.relate(stages, *pair, clock=clock)
        return second_opinion(stages, result, Pair(*pair))

    def relate(
        self,
        features0: Features,
        features1: Features,
        camera0: Camera,
        camera1: Camera,
        fewest: int = 0,
        ask_second: bool = True,
    ) -> TwoViewResult:
        """Match two views, remove the outliers, and estimate the motion `x1 = R x0 + t`.

        Too few or too poor matches are a `status`, not an exception. Where the sieve lets fewer
        than `fewest` matches through, no motion is looked for, which is most of the time on views
        that have nothing in common: the status is TOO_FEW_MATCHES, and no match an inlier. Not
        `ask_second`: the first front end alone, for who needs matches of the features.

        Raises:
            CameraError: a camera is of another image size than the features.
            FrontendError: the features are of two different front ends.
        """
        stages, pair = self._stages, (features0, features1, camera0, camera1)
        result = relation.relate(stages, *pair, continuation=self._continuation, fewest=fewest)
        return second_opinion(stages, result, Pair(*pair)) if ask_second else result

    def relate_features(
        self, features0: Features, features1: Features, camera0: Camera, camera1: Camera
    ) -> TwoViewResult:
        """Relate the features of a front end of one's own: `features_from_arrays` makes them.

        As `relate`, but matched by their descriptors alone, with the ratio test, the mutual check
        and the limit of the configuration (`frontend.ratio`, `mutual`, `max_matches`), whatever
        front end it names. No second one is asked: it would need the images.

        Raises:
            CameraError: a camera is of another image size than the features.
            FrontendError: the descriptors are of two different kinds.
        """
        return relation.relate(
            self._stages, features0, features1, camera0, camera1, relation.by_descriptors
        )

    def relate_matches(
        self,
        keypoints0: ArrayLike,
        keypoints1: ArrayLike,
        camera0: Camera,
        camera1: Camera,
        evidence: ArrayLike | None = None,
        confidence: ArrayLike | None = None,
    ) -> TwoViewResult:
        """Remove the outliers of matches from elsewhere, and estimate the motion `x1 = R x0 + t`.

        Args:
            keypoints0, keypoints1: (M, 2) pixels of the images as received.
            camera0, camera1: of the two views.
            evidence: (M, 1 to 5) what is known of each match, the first columns of `EVIDENCE` (see
                `Matches`): the ratio test's ratio, the mutual check, ...; NaN: unknown.
            confidence: (M,) in [0, 1], of whoever made the matches; for sieves that ask for it.

        Raises:
            ArraysError: arrays of another shape, or values that cannot be (a `ValueError`).
        """
        matches = matches_from_arrays(keypoints0, keypoints1, evidence, confidence)
        return relation.relate_matches(self._stages, matches, camera0, camera1)


def _check_solved(config: PipelineConfig) -> None:
    asked = {"sieve.name": config}
    if config.second_frontend.asked:
        asked["second_frontend.sieve"] = config.of_second
    for entry, one in asked.items():
        if one.pose.refine == NO_REFINEMENT and fitting_sieve(one) == "none":
            raise ConfigError(
                f"pose.refine must not be none where {entry} is none: no stage estimates the pose"
            )


def _entry(config: PipelineConfig, name: str) -> object:
    group, entry = name.split(".")
    return getattr(getattr(config, group), entry)
