"""`msga demo`: player and node side by side over DDS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msga_ros.commands.errors import USAGE, UsageError
from msga_ros.commands.settings import parse_settings
from msga_ros.tools.demo import BAD_SOURCE, DemoOptions
from msga_ros.tools.demo import run as run_demo


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
        parameters=parse_settings(parameters),
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
    code = run_demo(options)
    return USAGE if code == BAD_SOURCE else code
