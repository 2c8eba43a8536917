#!/usr/bin/env python3
"""Writes docs/parameters.md, docs/loop_parameters.md and config/msga_loops.yaml from the tables of
parameters; `test/stream` holds the files to them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import yaml

from msga_ros.configuration.parameter import GIVEN_AT_START, Parameter
from msga_ros.stream.loops.parameters import LOOP_PARAMETERS
from msga_ros.stream.parameter_table import PARAMETERS

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docs" / "parameters.md"
LOOP_FILE = ROOT / "docs" / "loop_parameters.md"
LOOP_CONFIG = ROOT / "config" / "msga_loops.yaml"

_HEAD = """\
# Parameters

All parameters of the node, made from their declarations by \
`python scripts/make_parameter_docs.py`. \
[`config/msga.yaml`](../config/msga.yaml) holds them with their defaults; `msga bag` takes all of \
them, `msga match`, `msga eval` and `msga dump` those of the pipeline (`frontend`, \
`second_frontend`, `sieve`, `network`, `pose`), and `msga vo` those of the pipeline and of \
`odometry` (not `run`, `frame` and `path_*`). *live*: may change while the node runs (`ros2 param \
set`); *start*: given at start.

A front end or a sieve of another package adds parameters of its own, `frontend.NAME.ENTRY` and \
`sieve.NAME.ENTRY`.
"""

_LOOP_HEAD = """\
# Parameters of msga_loops

All parameters of the node `msga_loops` ([loops_node.md](loops_node.md)), made from their \
declarations by `python scripts/make_parameter_docs.py`. \
[`config/msga_loops.yaml`](../config/msga_loops.yaml) holds them with their defaults. *live*: may \
change while the node runs (`ros2 param set`); *start*: given at start.
"""

_CONFIG_HEAD = """\
# Parameters of the node `msga_loops`, with their defaults; made by scripts/make_parameter_docs.py.
# "Read-only": given at start. All others may change while the node runs (`ros2 param set`).
/**:
  ros__parameters:
"""
_WIDTH = 100


def document() -> str:
    """The whole page of the node `msga`."""
    return _page(_HEAD, PARAMETERS)


def loop_document() -> str:
    """The whole page of the node `msga_loops`."""
    return _page(_LOOP_HEAD, LOOP_PARAMETERS)


def loop_config() -> str:
    """The whole parameter file of the node `msga_loops`."""
    return _CONFIG_HEAD + "\n".join(_config_lines(LOOP_PARAMETERS)) + "\n"


def _config_lines(parameters: Sequence[Parameter]) -> Iterator[str]:
    for group, members in groupby(parameters, _group):
        indent = "    "
        if group:
            yield f"{indent}{group}:"
            indent += "  "
        for one in members:
            text = one.description.removesuffix(GIVEN_AT_START).strip()
            text += f" Unit: {one.unit}." * bool(one.unit) + " Read-only." * one.read_only
            yield from textwrap.wrap(
                text,
                _WIDTH,
                initial_indent=f"{indent}# ",
                subsequent_indent=f"{indent}# ",
                break_on_hyphens=False,
            )
            yield f"{indent}{one.name.rpartition('.')[2]}: {_yaml(one.default)}"


def _yaml(value: object) -> str:
    """A value as YAML reads it back with its type."""
    text = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
    return '""' if value == "" else text


def _group(one: Parameter) -> str:
    return one.name.rpartition(".")[0]


def _page(head: str, parameters: Sequence[Parameter]) -> str:
    parts = [head]
    for group, members in groupby(parameters, _group):
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
    LOOP_FILE.write_text(loop_document(), encoding="utf-8")
    LOOP_CONFIG.write_text(loop_config(), encoding="utf-8")
