"""The stages that a configuration names, made.

Each implementation is found by a name: `FRONTENDS`, `MATCHERS`, `SIEVES` and `SOLVERS` list them,
and say how another package adds one. What a stage must be: `stages`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from msga_ros.configuration.stage_settings import with_own_defaults
from msga_ros.frontend import FRONTENDS
from msga_ros.frontend.base import Features, Matches
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.matchers import MATCHERS, fitting_matcher
from msga_ros.geometry.robust import SOLVERS
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.sieves import AUTOMATIC, DEFAULT_SIEVE, SIEVES
from msga_ros.two_view.stages import Extractor, Frontend, Matcher, OnDevice, Sieve, Solver


class MatchedFrontend:
    """An extractor and a matcher as one front end."""

    def __init__(self, extractor: Extractor, matcher: Matcher) -> None:
        self._extractor = extractor
        self._matcher = matcher

    @property
    def name(self) -> str:
        return self._extractor.name

    @property
    def device(self) -> str:
        """Where the extractor computes now."""
        return self._extractor.device if isinstance(self._extractor, OnDevice) else "cpu"

    @property
    def matcher(self) -> Matcher:
        """The half that relates features."""
        return self._matcher

    @property
    def device_problem(self) -> str:
        """Why one of both is on the CPU though CUDA was meant; "" where all is well."""
        halves = (self._extractor, self._matcher)
        problems = [one.device_problem for one in halves if isinstance(one, OnDevice)]
        return "; ".join(problem for problem in problems if problem)

    def extract(self, image: NDArray[np.generic]) -> Features:
        return self._extractor.extract(image)

    def match(self, features0: Features, features1: Features) -> Matches:
        return self._matcher.match(features0, features1)

    def reconfigured(self, config: FrontendConfig) -> MatchedFrontend:
        return MatchedFrontend(
            self._extractor.reconfigured(config), self._matcher.reconfigured(config)
        )


def matching_device(frontend: Frontend) -> str:
    """Where `frontend` relates features now."""
    stage = frontend.matcher if isinstance(frontend, MatchedFrontend) else frontend
    return stage.device if isinstance(stage, OnDevice) else "cpu"


def create_frontend(config: FrontendConfig) -> Frontend:
    """The front end that `config` names, with its matcher.

    `FrontendError`, with the names there are, for an unknown name; with those that fit, for a
    matcher that does not; with the reason, for one that does not load.
    """
    module = FRONTENDS.load(config.name)
    matcher = fitting_matcher(config.name, config.matcher)
    made = module.create(with_own_defaults(config, module))
    if not matcher:
        frontend: Frontend = made
        return frontend
    return MatchedFrontend(made, MATCHERS.load(matcher).create(config))


def fitting_sieve(config: PipelineConfig) -> str:
    """The name of the sieve: that of `config.sieve`, or what is best behind its front end.

    `FrontendError` where there is no such front end or matcher.
    """
    if config.sieve.name != AUTOMATIC:
        return config.sieve.name
    matcher = fitting_matcher(config.frontend.name, config.frontend.matcher)
    modules = [MATCHERS.load(matcher)] if matcher else []
    modules.append(FRONTENDS.load(config.frontend.name))
    for module in modules:
        name: str = getattr(module, "SIEVE", "")
        if name:
            return name
    return DEFAULT_SIEVE


def create_sieve(config: PipelineConfig, name: str = "") -> Sieve:
    """The sieve that `fitting_sieve` names, or another one; `SieveError` if there is none."""
    chosen = config.sieve
    name = name or fitting_sieve(config)
    if name != chosen.name:
        chosen = replace(chosen, name=name, own=None)
    module = SIEVES.load(chosen.name)
    sieve: Sieve = module.create(replace(config, sieve=with_own_defaults(chosen, module)))
    return sieve


def solver(name: str) -> Solver:
    """The solver of that name; `ValueError`, with the names there are, if none."""
    found: Solver = SOLVERS.load(name)
    return found
