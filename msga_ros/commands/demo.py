"""`msga demo`: player and node side by side over DDS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from msga_ros.commands.errors import USAGE, UsageError
from msga_ros.node.demo import BAD_SOURCE, DemoOptions
from msga_ros.node.demo import run as run_demo


def run(
    *,
    mode: str,
    source: str | None,
    frames: int | None,
    rate: float | None,
    frontend: str | None,
    output: Path | None,
    parameters: Sequence[str],
) -> int:
    """Run the demo, what is None as by default; the exit code of the command.

    Raises:
        UsageError: a parameter is not NAME=VALUE, or the output is not a folder.
    """
    if output is not None and output.exists() and not output.is_dir():
        raise UsageError(f"the output is not a folder: {output}")
    given = {
        "source": source,
        "frames": frames,
        "rate": rate,
        "frontend": frontend,
        "output": output,
    }
    options = DemoOptions(
        mode=mode,
        parameters=_parsed(parameters),
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
    code = run_demo(options)
    return USAGE if code == BAD_SOURCE else code


def _parsed(parameters: Sequence[str]) -> dict[str, object]:
    """Node parameters from NAME=VALUE, values read as YAML like those of `ros2 run ... -p`."""
    parsed: dict[str, object] = {}
    for text in parameters:
        name, separator, value = text.partition("=")
        if not (name and separator):
            raise UsageError(f"a parameter is given as NAME=VALUE, not {text!r}")
        try:
            parsed[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(
                f"the value of the parameter {name} is not readable: {value!r}"
            ) from None
    return parsed
