"""Implementations by name: those of this package, and those of others through entry points."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any


class Registry:
    """Names of one kind of thing, each with what implements it; nothing is imported before `load`.

    `ours`: name to `module` or `module:attribute`. `group`: entry points of other packages; a name
    of ours is never taken over by one of theirs.
    """

    def __init__(
        self, kind: str, group: str, ours: Mapping[str, str], error: type[Exception] = ValueError
    ) -> None:
        self.kind = kind
        self.group = group
        self._ours = {name: EntryPoint(name, value, group) for name, value in ours.items()}
        self._error = error
        self._loaded: dict[EntryPoint, object] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._ours or name in self._theirs()

    def names(self) -> tuple[str, ...]:
        """All names: ours in their order, then those of other packages, sorted."""
        return (*self._ours, *sorted(set(self._theirs()) - set(self._ours)))

    def load(self, name: str) -> Any:
        """What implements `name`; the registry's error, with all names, where nothing does."""
        entry = self._ours.get(name) or self._theirs().get(name)
        if entry is None:
            known = ", ".join(self.names())
            raise self._error(f"unknown {self.kind} {name!r}; there are {known}")
        if entry in self._loaded:
            return self._loaded[entry]
        try:
            self._loaded[entry] = entry.load()
        except Exception as error:  # whatever the code of another package raises
            if name in self._ours:
                raise
            raise self._error(f"{self.kind} {name!r} ({entry.value}) fails: {error}") from error
        return self._loaded[entry]

    def _theirs(self) -> Mapping[str, EntryPoint]:
        return _of_other_packages(self.group, tuple(sys.path))


@lru_cache(maxsize=32)
def _of_other_packages(group: str, path: tuple[str, ...]) -> Mapping[str, EntryPoint]:
    """Entry points by name. Looked up once: it reads what every installed package says of itself,
    and every change of a parameter asks. `path`: where packages are looked for."""
    return {entry.name: entry for entry in entry_points(group=group)}
