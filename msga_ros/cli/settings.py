"""Settings given on the command line as NAME=VALUE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

from msga_ros.cli.errors import UsageError


def parse_settings(texts: Sequence[str]) -> dict[str, object]:
    """Values by name; each is read as YAML (`0.8`, `true`, `sift`), and `1e-5` as a number, too.

    Raises:
        UsageError: an entry is not NAME=VALUE, or its value is not YAML.
    """
    settings: dict[str, object] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not (name and separator):
            raise UsageError(f"a setting is given as NAME=VALUE, not {text!r}")
        try:
            settings[name] = _value(yaml.safe_load(value))
        except yaml.YAMLError:
            raise UsageError(f"the value of {name} is not readable: {value!r}") from None
    return settings


def overrides(texts: Sequence[str], given: Mapping[str, object | None]) -> dict[str, object]:
    """Configuration entries: those of `given` that are not None, then the settings in `texts`."""
    entries = {name: value for name, value in given.items() if value is not None}
    return {**entries, **parse_settings(texts)}


def _value(value: object) -> object:
    """YAML 1.1 takes an exponent without a decimal point for text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
