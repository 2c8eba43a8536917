"""Command line of the package, `msga`: the declarations; the work is in `msga_ros.commands`.

Heavy imports (torch, OpenCV, ROS) happen inside the commands, so that `msga --help` is quick.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from msga_ros import __version__
from msga_ros.cli import bench, images, judging, learning, recordings

# Read when torch is loaded. By default its threads wait for each other by spinning, which takes
# seconds instead of milliseconds where somebody else uses the cores too (docs/performance.md).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

app = typer.Typer(
    name="msga",
    help="Outlier removal for feature matches with MSGA-Net, and relative pose from them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("match")(images.match)
app.command("eval")(judging.evaluate)
app.command("vo")(judging.odometry)
app.command("dump")(learning.dump)
app.command("compact")(learning.compact)
app.command("export")(learning.export)
app.command("train")(learning.train)
app.command("ablate")(learning.ablate)
app.command("bag")(recordings.bag)
app.command("view")(recordings.view)
app.add_typer(bench.app, name="bench")
app.command("demo")(images.demo)


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
