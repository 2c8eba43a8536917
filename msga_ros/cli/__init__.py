"""Command line of the package, `msga`: one file a command, shared helpers apart.

A command's file is imported when the command is called: torch, OpenCV and ROS take seconds, and
`msga --help` needs none of them.
"""

from __future__ import annotations

import importlib
import os
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from msga_ros import __version__
from msga_ros.cli.errors import reported_errors

# Read when torch is loaded. By default its threads wait for each other by spinning, which takes
# seconds instead of milliseconds where other programs use the cores too (docs/performance.md).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Commands as they are listed: the name is that of the file, the text its first line of help.
COMMANDS = {
    "match": "Match two images: a picture of the matches, the pose x_current = R x_reference + t.",
    "eval": "Judge estimators of the relative pose on the same matches, in one run.",
    "compare": "Compare whole methods from two images to a pose: accuracy, refusals, time, memory.",
    "vo": "Visual odometry by several estimators on the same matches, judged against true poses.",
    "loops": "Find loops: frames that show a place seen before, verified by the two-view pipeline.",
    "dump": "Turn posed images into a dump of correspondences; the command goes on after a stop.",
    "compact": "Join dumps in a compact form, half as large or less, for training and evaluation.",
    "export": "Write a network as an ONNX file, for ONNX Runtime here or in another language.",
    "train": "Train the network, or go on with a training that was interrupted.",
    "ablate": "Train and judge every variant of a configuration; the command goes on after a stop.",
    "bag": "Run the pipeline on a recorded bag, without ROS: a bag of correspondences and poses.",
    "view": "Show images with their matches, triangulated points and cameras in the viewer Rerun.",
    "bench": "How fast it is on this machine.",
    "demo": "Run the node on images with known poses, over ROS 2, and show what it finds.",
}


class Commands(TyperGroup):
    """The commands of `COMMANDS`, each loaded when it is called.

    `ctx` is a `Context` of the click that typer brings or needs, which depends on its version.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:
        """What the list of commands shows of one; it cannot be called."""
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was called, loaded; an error where there is none of the name."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, load(str(name)), rest


def load(name: str) -> Any:
    """The command `name`, ready to be called."""
    with reported_errors():
        module = importlib.import_module(f"msga_ros.cli.{name}")
    if hasattr(module, "app"):  # a group of commands
        return typer.main.get_command(module.app)
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(name)(module.command)
    return typer.main.get_command(single)


app = typer.Typer(
    name="msga",
    cls=Commands,
    help="Outlier removal for feature matches with MSGA-Net, and relative pose from them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"msga_ros {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options of all commands."""


def main() -> None:
    """Entry point of the `msga` command."""
    app()
