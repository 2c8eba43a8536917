"""`msga demo`: player and node side by side over DDS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from msga_ros.cli.errors import USAGE, UsageError, reported_errors
from msga_ros.cli.settings import parse_settings
from msga_ros.cli.shared import FrontendName, Mode
from msga_ros.stream.settings import Settings
from msga_ros.tools.demo import BAD_SOURCE, DemoOptions
from msga_ros.tools.demo import run as run_demo

_OF_ROS = ("use_sim_time", "qos_overrides.")  # parameters that every node has


def command(
    mode: Annotated[Mode, typer.Option(help="Both views at once, or one after another.")] = (
        Mode.stereo
    ),
    source: Annotated[
        str | None,
        typer.Option(
            help="Folder with a scene.json, or a video (mode temporal). Default: a rendered scene."
        ),
    ] = None,
    frames: Annotated[int | None, typer.Option(min=0, help="At most that many; 0: all.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0, help="Frames a second; 0: as they were taken.")
    ] = None,
    frontend: FrontendName = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the logs and the pictures.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="Parameter of the node, NAME=VALUE; repeatable."),
    ] = None,
) -> None:
    """Run the node on images with known poses, over ROS 2, and show what it finds.

    Exits with 1 where no pose was published, with 2 where ROS is missing or the source unusable.
    """
    with reported_errors():
        code = run(
            mode=mode.value,
            source=source,
            frames=frames,
            rate=rate,
            frontend=frontend,
            output=output,
            parameters=parameter or (),
        )
    raise typer.Exit(code)


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
        SettingsError: the node has no such parameter, or it cannot have that value.
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
    own = parse_settings(parameters)
    Settings.from_values({name: one for name, one in own.items() if not name.startswith(_OF_ROS)})
    options = DemoOptions(
        mode=mode,
        parameters=own,
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
    code = run_demo(options)
    return USAGE if code == BAD_SOURCE else code
