"""A second front end, which is asked about the pairs that the first one refuses.

Both see the same two images, each with a matcher and a sieve of its own; the solver and the checks
of its pose are the same. What the second one says stands where its status is OK; otherwise the
result is that of the first, as if nobody had been asked.
"""

from __future__ import annotations

import logging
from dataclasses import replace
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
from msga_ros.two_view.stages import Sieve, TrackingFrontend

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


def second_opinion(
    stages: Stages,
    first: TwoViewResult,
    features0: Features,
    features1: Features,
    camera0: Camera,
    camera1: Camera,
) -> TwoViewResult:
    """The result of the pair: `first`, or that of the second front end if `first` was refused.

    Nobody is asked where an image is not there, or shows the first front end nothing at all. What
    the second one raises is logged, once, and a `problem` of the result.
    """
    views = (features0, features1)
    if stages.second is None or first.status is Status.OK or not all(map(_visible, views)):
        return first
    clock, name = StageClock(), stages.second.frontend.name
    opinion = SecondOpinion(name, stands=False)
    other = None
    try:
        other = _asked(stages.second, features0, features1, camera0, camera1)
    except Exception as error:  # whatever it is: the first result is there
        opinion = replace(opinion, problem=f"{type(error).__name__}: {error}")
        _say_once(f"the second front end {name} failed: {opinion.problem}")
    clock.lap(STAGE)
    result = replace(first, second=opinion)
    if other is not None and other.status is Status.OK:
        result = replace(
            other,
            indices0=None,  # of features that nobody else has
            indices1=None,
            second=replace(opinion, stands=True),
            refused=first,
        )
    return replace(
        result,
        timings=first.timings | clock.wall,
        cpu_timings=first.cpu_timings | clock.cpu,
    )


@lru_cache(maxsize=64)
def _say_once(text: str) -> None:
    _LOGGER.warning("%s", text)


def _visible(features: Features) -> bool:
    dark = features.fixed_keypoints and len(features) == 0
    return features.kept is not None and not dark


def _asked(
    second: Stages, features0: Features, features1: Features, camera0: Camera, camera1: Camera
) -> TwoViewResult:
    extract = second.frontend.extract
    assert features0.kept is not None and features1.kept is not None
    seen = features0.kept.features(extract), features1.kept.features(extract)
    return relation.relate(second, *seen, camera0, camera1)
