"""Settings as fields of frozen dataclasses: default, range, unit and meaning, declared once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from msga_ros.configuration.parameter import Parameter, Value, given_at_start
from msga_ros.configuration.yaml_dataclass import ConfigError

# Declared, but left to the registry that knows the names.
_OF_A_REGISTRY = "name"


def setting(
    default: Value,
    description: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Callable[[], tuple[str, ...]] | None = None,
    at_start: bool = False,
) -> Any:
    """A field of a configuration; the arguments are those of a `Parameter`.

    `choices` is asked when needed: other packages may add to them. `at_start`: what a running node
    cannot change.
    """
    metadata = {
        "description": description,
        "unit": unit,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "at_start": at_start,
    }
    return dataclasses.field(default=default, metadata=metadata)


def parameters_of(kind: type, group: str, otherwise: str = "") -> tuple[Parameter, ...]:
    """The parameters `GROUP.FIELD` that the fields of a configuration are.

    `otherwise`: the description of a field that has none. `own`, the settings of a chosen stage,
    is no parameter itself.
    """
    return tuple(
        _parameter(field, f"{group}.{field.name}", otherwise)
        for field in dataclasses.fields(kind)
        if field.name != "own"
    )


def check_ranges(config: object, group: str, error: type[Exception] = ConfigError) -> None:
    """Raise `error` for a field of `config` that is out of its range; the message names it."""
    for parameter in parameters_of(type(config), group):
        name = parameter.name.removeprefix(f"{group}.")
        reason = parameter.out_of_range(getattr(config, name))
        if reason is not None and name != _OF_A_REGISTRY:
            raise error(reason)


def _parameter(field: dataclasses.Field[Any], name: str, otherwise: str) -> Parameter:
    known = field.metadata
    choices = known.get("choices")
    declare = given_at_start if known.get("at_start") else Parameter
    default: Any = field.default
    return declare(
        name,
        default,
        known.get("description", otherwise),
        minimum=known.get("minimum"),
        maximum=known.get("maximum"),
        choices=choices() if choices is not None else (),
        unit=known.get("unit", ""),
    )
