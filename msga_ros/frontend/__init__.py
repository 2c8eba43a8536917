"""Images to putative matches. A front end is a module here with `create(config) -> Frontend`."""

from __future__ import annotations

import importlib
import pkgutil

from msga_ros.frontend.base import Features, Frontend, FrontendError, Matches
from msga_ros.frontend.config import FrontendConfig

__all__ = ["Features", "Frontend", "FrontendError", "Matches", "available", "create"]

_SHARED_MODULES = frozenset({"base", "config", "detector", "images", "matching"})


def available() -> list[str]:
    """Names of the front ends: those of the modules of this package that are one."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in modules if name not in _SHARED_MODULES)


def create(config: FrontendConfig) -> Frontend:
    """The front end that `config` names; `FrontendError`, with the names there are, if none."""
    if config.name not in available():
        raise FrontendError(
            f"unknown front end {config.name!r}; there are {', '.join(available())}"
        )
    frontend: Frontend = importlib.import_module(f"{__name__}.{config.name}").create(config)
    return frontend
