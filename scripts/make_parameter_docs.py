#!/usr/bin/env python3
"""Writes docs/parameters.md from the table of parameters; `test/stream` holds the file to it."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from msga_ros.configuration.parameter import GIVEN_AT_START, Parameter
from msga_ros.stream.parameter_table import PARAMETERS

FILE = Path(__file__).resolve().parents[1] / "docs" / "parameters.md"

_HEAD = """\
# Parameters

All parameters of the node, made from their declarations by \
`python scripts/make_parameter_docs.py`. \
[`config/msga.yaml`](../config/msga.yaml) holds them with their defaults; `msga bag` takes all of \
them, `msga match`, `msga eval` and `msga dump` those of the pipeline (`frontend`, `sieve`, \
`network`, `pose`), and `msga vo` those of the pipeline and of `odometry` (not `run`, `frame` and \
`path_*`). *live*: may change while the node runs (`ros2 param set`); *start*: given at start.

A front end or a sieve of another package adds parameters of its own, `frontend.NAME.ENTRY` and \
`sieve.NAME.ENTRY`.
"""


def document() -> str:
    """The whole file."""
    parts = [_HEAD]
    for group, members in groupby(PARAMETERS, lambda one: one.name.rpartition(".")[0]):
        parts.append(f"## {group or 'The node'}\n")
        parts.append(
            "| parameter | default | unit | range | | meaning |\n|---|---|---|---|---|---|"
        )
        parts.extend(_row(one) for one in members)
        parts.append("")
    return "\n".join(parts)


def _row(one: Parameter) -> str:
    default = str(one.default).lower() if isinstance(one.default, bool) else f"{one.default}"
    if one.choices:
        allowed = ", ".join(f"`{name}`" for name in one.choices)
    elif one.minimum is not None and one.maximum is not None:
        allowed = f"{one.minimum:.7g} to {one.maximum:.7g}"
    else:
        allowed = ""
    meaning = one.description.removesuffix(GIVEN_AT_START).strip()
    moment = "start" if one.read_only else "live"
    shown = default if default else '""'
    cells = (f"`{one.name}`", f"`{shown}`", one.unit, allowed, moment, meaning)
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
