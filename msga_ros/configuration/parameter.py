"""What a parameter of the node is: name, default, unit, range, meaning, live or at start."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from msga_ros.foreign_text import shown

Value = bool | int | float | str

GIVEN_AT_START = "Read-only: give it at start."


@dataclass(frozen=True)
class Parameter:
    """One parameter. `minimum` and `maximum` are inclusive; `choices` for strings.

    `unit`: of a number, "" where it counts or has none. `read_only`: given at start; all others
    may change while the node runs.
    """

    name: str
    default: Value
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False
    unit: str = ""

    def check(self, value: object) -> str | None:
        """The reason why `value` cannot be taken, or None."""
        kind = type(self.default)
        if type(value) is not kind:
            return f"{self.name} is {_TYPE_NAMES[kind]}, not {shown(repr(value))}"
        return self.out_of_range(value)

    def out_of_range(self, value: object) -> str | None:
        """The reason why `value`, of the right type, is not allowed, or None."""
        if self.choices and value not in self.choices:
            return f"{self.name} must be one of {', '.join(self.choices)}, not {shown(repr(value))}"
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


def nearest(name: str, known: Iterable[str]) -> str:
    """`"; KNOWN is meant?"` for the known name that is most like `name`; "" if none is."""
    near = difflib.get_close_matches(shown(name), list(known), 1)
    return f"; {near[0]} is meant?" if near else ""


def given_at_start(name: str, default: Value, description: str, **kwargs: Any) -> Parameter:
    """A parameter that is given at start, and says so."""
    return Parameter(name, default, f"{description} {GIVEN_AT_START}", read_only=True, **kwargs)
