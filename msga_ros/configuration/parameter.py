"""What a parameter of the node is: name, default, range, meaning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Value = bool | int | float | str

GIVEN_AT_START = "Read-only: give it at start."


@dataclass(frozen=True)
class Parameter:
    """One parameter. `minimum` and `maximum` are inclusive; `choices` for strings."""

    name: str
    default: Value
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False

    def check(self, value: Any) -> str | None:
        """The reason why `value` cannot be taken, or None."""
        kind = type(self.default)
        if type(value) is not kind:
            return f"{self.name} is {_TYPE_NAMES[kind]}, not {value!r}"
        if self.choices and value not in self.choices:
            return f"{self.name} must be one of {', '.join(self.choices)}, not {value!r}"
        if not isinstance(value, (int, float)):
            return None
        if not math.isfinite(value):
            return f"{self.name} must be a finite number, not {value}"
        if self.minimum is not None and value < self.minimum:
            return f"{self.name} must be at least {self.minimum:g}, not {value}"
        if self.maximum is not None and value > self.maximum:
            return f"{self.name} must be at most {self.maximum:g}, not {value}"
        return None


_TYPE_NAMES: Mapping[type, str] = {
    bool: "a bool",
    int: "an integer",
    float: "a double (a number with a decimal point)",
    str: "a string",
}


def given_at_start(name: str, default: Value, description: str, **kwargs: Any) -> Parameter:
    """A parameter that is given at start, and says so."""
    return Parameter(name, default, f"{description} {GIVEN_AT_START}", read_only=True, **kwargs)
