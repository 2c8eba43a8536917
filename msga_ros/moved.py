"""Modules that have moved: their old names give what they gave, with a `DeprecationWarning`."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any


def moved(old: str, *homes: str) -> Callable[[str], Any]:
    """`__getattr__` for the module at the name `old`: looks a name up in the modules `homes`."""

    def get(name: str) -> Any:
        for home in homes:
            module = importlib.import_module(home)
            if not name.startswith("__") and hasattr(module, name):
                warnings.warn(f"{old} has moved to {home}", DeprecationWarning, stacklevel=2)
                return getattr(module, name)
        raise AttributeError(f"module {old!r} has no attribute {name!r}")

    return get
