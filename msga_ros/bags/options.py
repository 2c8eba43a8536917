"""The node's parameters for a run without a node: a parameter file, then single values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from msga_ros.bags.errors import BagError
from msga_ros.configuration.yaml_dataclass import ConfigError, flatten, read_yaml
from msga_ros.stream.parameter_table import BY_NAME
from msga_ros.stream.settings import Settings, SettingsError


def read_settings(
    path: Path | None, overrides: Mapping[str, object], others: Collection[str] = ()
) -> Settings:
    """Parameters of the node `msga` (config/msga.yaml), changed by `overrides` (dotted names).

    `others`: parameters of another node, which a file may hold, too, and which are passed over.
    Raises `BagError` for an unreadable file, an unknown parameter or a value out of its range.
    """
    values: dict[str, object] = {}
    if path is not None:
        try:
            values = {
                name: value
                for name, value in flatten(read_yaml(path)).items()
                if name in BY_NAME or name not in others
            }
        except ConfigError as error:
            raise BagError(str(error)) from None
    try:
        return Settings.from_values(_typed({**values, **overrides}))
    except SettingsError as error:
        raise BagError(str(error)) from None


def _typed(values: Mapping[str, object]) -> dict[str, object]:
    """An integer where a number with a decimal point is expected is meant as one."""
    typed = dict(values)
    for name, value in values.items():
        declared = BY_NAME.get(name)
        if declared is not None and type(declared.default) is float and type(value) is int:
            typed[name] = float(value)
    return typed
