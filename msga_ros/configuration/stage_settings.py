"""Settings that an implementation of a stage has of its own, beside those of every one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

from msga_ros.configuration.registry import Registry
from msga_ros.configuration.yaml_dataclass import ConfigError, build, require

Config = TypeVar("Config")


def own_settings(
    registry: Registry, group: str, name: str, entries: Mapping[str, object]
) -> object | None:
    """The `Config` of the implementation `name`, made from entries `NAME.ENTRY`; None without any.

    Entries of other implementations are passed over. Raises `ConfigError` for a name that the
    registry does not know, and for an entry that the implementation does not have.
    """
    own: dict[str, object] = {}
    for key, value in entries.items():
        owner, _, entry = key.partition(".")
        require(owner in registry, f"unknown configuration entry '{group}.{key}'")
        if owner == name:
            own[entry] = value
    if not own:
        return None
    kind = getattr(registry.load(name), "Config", None)
    if kind is None:
        raise ConfigError(f"{registry.kind} {name!r} has no settings of its own: {', '.join(own)}")
    settings: object = build(kind, f"{group}.{name}", own)
    return settings


def with_own_defaults(config: Config, module: object) -> Config:
    """`config` with `own` as by default where nothing was given."""
    kind = getattr(module, "Config", None)
    if kind is None or config.own is not None:  # type: ignore[attr-defined]
        return config
    return dataclasses.replace(config, own=kind())  # type: ignore[type-var]
