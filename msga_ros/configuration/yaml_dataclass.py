"""Groups of entries, from YAML or from code, to frozen dataclasses whose types are checked."""

from __future__ import annotations

import contextlib
import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from msga_ros.foreign_text import shown


class ConfigError(ValueError):
    """An unknown entry, or a value of the wrong type or out of range; the message names it."""


def require(condition: bool, message: str) -> None:
    """Raise `ConfigError(message)` unless `condition`."""
    if not condition:
        raise ConfigError(message)


def read_yaml(path: Path) -> dict[str, object]:
    """The mapping in a YAML file, or what it has below `ros__parameters`. Raises `ConfigError`."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        reason = shown(error)
        raise ConfigError(f"{path}: not a readable YAML file ({reason})") from error
    document = {} if document is None else document
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: a mapping of groups is expected, not {shown(document, 60)!r}")
    for value in document.values():
        if isinstance(value, dict) and "ros__parameters" in value:
            document = value["ros__parameters"] or {}
            require(isinstance(document, dict), f"{path}: ros__parameters must be a mapping")
            break
    return document


def flatten(groups: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Groups of entries as one mapping with dotted names."""
    flat: dict[str, object] = {}
    for name, value in groups.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def build(kind: type, group: str, entries: Mapping[str, object]) -> Any:
    """The dataclass `kind` from `entries`; `group` (may be "") stands before names in messages.

    Mappings become the dataclasses, lists the tuples that the fields are; whole numbers are taken
    for numbers. Raises `ConfigError` for an unknown or missing entry and a value of another type.
    """
    prefix = f"{group}." if group else ""
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.name != "own"}
    for name in entries:
        require(name in fields, f"unknown configuration entry '{prefix}{name}'")
    for name, field in fields.items():
        needed = field.default is field.default_factory is dataclasses.MISSING
        require(name in entries or not needed, f"missing configuration entry '{prefix}{name}'")
    return kind(
        **{name: _value(hints[name], prefix + name, value) for name, value in entries.items()}
    )


def _value(expected: Any, name: str, value: Any) -> Any:
    """`value` as a field of the type `expected` takes it."""
    if dataclasses.is_dataclass(expected) and isinstance(expected, type):
        value = {} if value is None else value
        require(isinstance(value, Mapping), f"{name} must be a group of entries")
        return build(expected, name, value)
    origin, parts = typing.get_origin(expected), typing.get_args(expected)
    if origin in (types.UnionType, typing.Union):
        for part in parts:
            with contextlib.suppress(ConfigError):
                return _value(part, name, value)
    elif origin is tuple:
        require(isinstance(value, (list, tuple)), f"{name} must be a list, not {value!r}")
        kinds = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
        require(len(kinds) == len(value), f"{name} must have {len(kinds)} entries")
        return tuple(_value(one, name, item) for one, item in zip(kinds, value, strict=True))
    else:
        plain = origin or expected
        if plain is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if isinstance(value, plain) and isinstance(value, bool) == (plain is bool):
            return value
    described = getattr(origin or expected, "__name__", str(expected))
    if origin in (types.UnionType, typing.Union):
        described = str(expected)
    raise ConfigError(f"{name} must be of type {described}, not {type(value).__name__}")
