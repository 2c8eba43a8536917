"""A second front end, which is asked about the pairs that the first one refuses.

Both see the same two images, each with a matcher and a sieve of its own; the solver and the checks
of its pose are the same. What the second one says stands where its status is OK and more of the
first one's matches agree with it than by chance: they had no part in its motion, so that even few
of them are a strong witness. Otherwise the result is that of the first, as if nobody was asked.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.frontend.base import Features, KeptImage
from msga_ros.geometry.camera import Camera
from msga_ros.two_view import relation
from msga_ros.two_view.chosen_stages import create_frontend, create_sieve, fitting_sieve
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.relation import Stages
from msga_ros.two_view.result import SecondOpinion, Status, TwoViewResult
from msga_ros.two_view.stage_clock import StageClock
from msga_ros.two_view.stages import Frontend, Sieve, TrackingFrontend
from msga_ros.two_view.witness import Witnesses, hardly_moved

_LOGGER = logging.getLogger(__name__)

STAGE = "second"  # of the timings


def create_second(config: PipelineConfig, sieve: Sieve, sieve_name: str) -> Stages | None:
    """The stages of the second front end that `config` names, if it does.

    `sieve`, called `sieve_name`: that of the first one, which is shared where the second has the
    same. Raises what making them raises, and `ConfigError` for a front end that cannot be second.
    """
    if not config.second_frontend.asked:
        return None
    if config.second_frontend.name == config.frontend.name:
        raise ConfigError(
            f"second_frontend.name must be another front end than frontend.name, which is "
            f"{config.frontend.name!r} too"
        )
    own = config.of_second
    frontend = create_frontend(own.frontend)
    if isinstance(frontend, TrackingFrontend):
        raise ConfigError(
            f"second_frontend.name must not be {config.second_frontend.name!r}: it follows points "
            "from image to image, and a second front end sees only what the first one refuses"
        )
    name = fitting_sieve(own)
    if name != sieve_name:
        sieve = create_sieve(own)
    return Stages(own, frontend, sieve, name)


def with_image(stages: Stages, features: Features, image: NDArray[np.generic]) -> Features:
    """`features` with a copy of their image where a second front end may be asked about it."""
    if stages.second is None:
        return features
    return replace(features, kept=KeptImage(np.array(image)))


@dataclass(frozen=True)
class Pair:
    """Two views, by the features of the first front end."""

    features0: Features
    features1: Features
    camera0: Camera
    camera1: Camera

    @property
    def cameras(self) -> tuple[Camera, Camera]:
        """Of both views."""
        return self.camera0, self.camera1

    @property
    def shown(self) -> bool:
        """Whether the images of both are there."""
        return self.features0.kept is not None and self.features1.kept is not None

    @property
    def independent(self) -> bool:
        """Whether the matches of the first front end err each for itself."""
        return self.features0.independent and self.features1.independent

    def witnesses(self, first: TwoViewResult, config: PipelineConfig) -> Witnesses:
        """The matches of the first front end, for a motion of the second."""
        return Witnesses.of(first, self.cameras, config.pose.threshold_px, self.independent)

    def seen_by(self, frontend: Frontend) -> Pair:
        """The same by the features of another front end; each image is extracted once."""
        assert self.features0.kept is not None and self.features1.kept is not None
        features0 = self.features0.kept.features(frontend.extract)
        features1 = self.features1.kept.features(frontend.extract)
        return Pair(features0, features1, self.camera0, self.camera1)


def second_opinion(stages: Stages, first: TwoViewResult, pair: Pair) -> TwoViewResult:
    """The result of `pair`: `first`, or that of the second front end if `first` was refused.

    Nobody is asked where an image is not there, where the first front end has too few matches to
    confirm any motion, nor where the camera has turned on the spot: no front end finds a parallax
    that is not there. What the second one raises is logged, once, and a `problem` of the result.
    """
    if stages.second is None or not _worth_asking(first, pair, stages.config):
        return first
    clock, name = StageClock(), stages.second.frontend.name
    opinion = SecondOpinion(name, stands=False)
    result = first
    try:
        other = _related(stages.second, pair)
        if _stands(other, first, pair, stages.config):
            opinion = replace(opinion, stands=True)
            # The indices are of features that nobody else has.
            result = replace(other, indices0=None, indices1=None, refused=first)
    except Exception as error:  # whatever it is: the first result is there
        opinion = replace(opinion, problem=f"{type(error).__name__}: {error}")
        _say_once(f"the second front end {name} failed: {opinion.problem}")
    clock.lap(STAGE)
    return replace(
        result,
        second=opinion,
        timings=first.timings | clock.wall,
        cpu_timings=first.cpu_timings | clock.cpu,
    )


def _worth_asking(first: TwoViewResult, pair: Pair, config: PipelineConfig) -> bool:
    if first.status is Status.OK or not pair.shown:
        return False
    if first.status is Status.DEGENERATE:
        return not hardly_moved(first, pair.cameras, config.pose, pair.independent)
    most = config.second_frontend.max_chance
    return most >= 1 or pair.witnesses(first, config).least_chance < most


def _related(second: Stages, pair: Pair) -> TwoViewResult:
    seen = pair.seen_by(second.frontend)
    return relation.relate(second, seen.features0, seen.features1, pair.camera0, pair.camera1)


def _stands(other: TwoViewResult, first: TwoViewResult, pair: Pair, config: PipelineConfig) -> bool:
    """Whether the result of the second front end is OK, and the matches of the first say so too."""
    most = config.second_frontend.max_chance
    if other.status is not Status.OK or most >= 1:
        return other.status is Status.OK
    return pair.witnesses(first, config).chance_of(other.essential) < most


@lru_cache(maxsize=64)
def _say_once(text: str) -> None:
    _LOGGER.warning("%s", text)
