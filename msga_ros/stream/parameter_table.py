"""The table of the node's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from msga_ros.configuration.parameter import Parameter
from msga_ros.configuration.setting import parameters_of
from msga_ros.frontend import FRONTENDS
from msga_ros.frontend.config import FrontendConfig
from msga_ros.odometry.config import OdometryConfig
from msga_ros.stream.input_parameters import INPUT_PARAMETERS
from msga_ros.stream.output_parameters import ODOMETRY_PARAMETERS, OUTPUT_PARAMETERS
from msga_ros.two_view.config import AS_SECOND, NO_SECOND, PoseConfig, SecondConfig, SieveConfig
from msga_ros.two_view.sieves import AUTOMATIC, SIEVES
from msga_ros.two_view.sieves.msga import NetworkConfig

PARAMETERS: tuple[Parameter, ...] = (
    *INPUT_PARAMETERS,
    *parameters_of(FrontendConfig, "frontend"),
    *parameters_of(SecondConfig, "second_frontend"),
    *parameters_of(SieveConfig, "sieve"),
    *parameters_of(NetworkConfig, "network"),
    *parameters_of(PoseConfig, "pose"),
    *ODOMETRY_PARAMETERS,
    *parameters_of(OdometryConfig, "odometry"),
    *OUTPUT_PARAMETERS,
)

BY_NAME: Mapping[str, Parameter] = {one.name: one for one in PARAMETERS}


def own_parameters(values: Mapping[str, object]) -> tuple[Parameter, ...]:
    """The settings that the front ends and the sieves of `values`, the first and the second ones,
    have of their own.

    A sieve that is not chosen by name has its defaults. Raises `FrontendError` or `SieveError` for
    a name that there is not.
    """
    stages = (
        ("frontend", "frontend.name", FRONTENDS),
        ("frontend", "second_frontend.name", FRONTENDS),
        ("sieve", "sieve.name", SIEVES),
        ("sieve", "second_frontend.sieve", SIEVES),
    )
    found: dict[str, Parameter] = {}
    for group, entry, registry in stages:
        name = str(values.get(entry, BY_NAME[entry].default))
        if (group, name) in (("sieve", AUTOMATIC), ("frontend", NO_SECOND)):
            continue
        kind = getattr(registry.load(name), "Config", None)
        if kind is not None:
            text = f"Of the {registry.kind} {name}."
            for one in parameters_of(kind, f"{group}.{name}", text):
                if entry == "second_frontend.name":
                    default = AS_SECOND.get(name, {}).get(one.name.rpartition(".")[2], one.default)
                    one = replace(one, default=default)
                found[one.name] = one
    return tuple(found.values())
