"""The table of the node's parameters."""

from __future__ import annotations

from collections.abc import Mapping

from msga_ros.configuration.parameter import Parameter
from msga_ros.configuration.setting import parameters_of
from msga_ros.frontend import FRONTENDS
from msga_ros.frontend.config import FrontendConfig
from msga_ros.odometry.config import OdometryConfig
from msga_ros.stream.input_parameters import INPUT_PARAMETERS
from msga_ros.stream.output_parameters import ODOMETRY_PARAMETERS, OUTPUT_PARAMETERS
from msga_ros.two_view.config import PoseConfig, SieveConfig
from msga_ros.two_view.sieves import AUTOMATIC, SIEVES
from msga_ros.two_view.sieves.msga import NetworkConfig

PARAMETERS: tuple[Parameter, ...] = (
    *INPUT_PARAMETERS,
    *parameters_of(FrontendConfig, "frontend"),
    *parameters_of(SieveConfig, "sieve"),
    *parameters_of(NetworkConfig, "network"),
    *parameters_of(PoseConfig, "pose"),
    *ODOMETRY_PARAMETERS,
    *parameters_of(OdometryConfig, "odometry"),
    *OUTPUT_PARAMETERS,
)

BY_NAME: Mapping[str, Parameter] = {one.name: one for one in PARAMETERS}


def own_parameters(values: Mapping[str, object]) -> tuple[Parameter, ...]:
    """The settings that the front end and the sieve of `values` have of their own.

    A sieve that is not chosen by name has its defaults. Raises `FrontendError` or `SieveError` for
    a name that there is not.
    """
    found: list[Parameter] = []
    for group, registry in (("frontend", FRONTENDS), ("sieve", SIEVES)):
        name = str(values.get(f"{group}.name", BY_NAME[f"{group}.name"].default))
        if (group, name) == ("sieve", AUTOMATIC):
            continue
        kind = getattr(registry.load(name), "Config", None)
        if kind is not None:
            text = f"Of the {registry.kind} {name}."
            found += parameters_of(kind, f"{group}.{name}", text)
    return tuple(found)
