"""Groups of entries, from YAML or from code, to frozen dataclasses whose types are checked."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


class ConfigError(ValueError):
    """An unknown entry, or a value of the wrong type or out of range; the message names it."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not a readable YAML file ({error})") from error
    document = {} if document is None else document
    require(isinstance(document, dict), f"{path}: a mapping of groups is expected")
    for value in document.values():
        if isinstance(value, dict) and "ros__parameters" in value:
            document = value["ros__parameters"] or {}
            require(isinstance(document, dict), f"{path}: ros__parameters must be a mapping")
            break
    return document


def flatten(groups: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in groups.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def build(kind: type, group: str, entries: dict[str, Any]) -> Any:
    types = typing.get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind)} - {"own"}
    checked: dict[str, Any] = {}
    for name, value in entries.items():
        require(name in known, f"unknown configuration entry '{group}.{name}'")
        expected = types[name]
        if expected is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        require(
            isinstance(value, expected) and isinstance(value, bool) == (expected is bool),
            f"{group}.{name} must be of type {expected.__name__}, not {type(value).__name__}",
        )
        checked[name] = value
    return kind(**checked)
