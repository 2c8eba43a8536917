"""`msga bench`: how fast it is on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msga_ros.cli.shared import Device, Mode, Weights, console
from msga_ros.commands.errors import reported_errors

app = typer.Typer(help="How fast it is on this machine.", no_args_is_help=True)


@app.command("network")
def bench_network(
    matches: Annotated[
        list[int] | None, typer.Option("--matches", "-n", min=1, help="Repeatable.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs of each.")] = 20,
    weights: Weights = None,
    device: Device = None,
    threads: Annotated[int, typer.Option(min=0, help="Of the CPU; 0: as torch chooses.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures.")] = None,
) -> None:
    """Milliseconds of the network on one pair, by the number of matches."""
    with reported_errors():
        from msga_ros.commands import bench as command

        command.run(
            matches or (500, 1000, 2000, 4000),
            repeats=repeats,
            weights=weights,
            device=device or "auto",
            threads=threads,
            json_file=json_file,
            console=console(),
        )


@app.command("node")
def bench_node(
    mode: Annotated[Mode, typer.Option(help="What the node compares.")] = Mode.stereo,
    size: Annotated[
        list[str] | None, typer.Option(help="WIDTHxHEIGHT; repeatable. 640x480 and 1280x720.")
    ] = None,
    frontend: Annotated[str, typer.Option(help="sift, orb or akaze.")] = "orb",
    keypoints: Annotated[int, typer.Option(min=8, help="Kept in each view.")] = 1000,
    rate: Annotated[float, typer.Option(min=0.1, help="Frames a second.")] = 10.0,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of sending, for each size.")] = 10.0,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="Parameter of the node, NAME=VALUE; repeatable."),
    ] = None,
    weights: Weights = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures.")] = None,
) -> None:
    """The node in a process of its own over DDS: stamp to pose, rate, CPU, memory, drops."""
    with reported_errors():
        from msga_ros.commands import bench_node as command
        from msga_ros.commands.settings import parse_settings

        options = command.BenchmarkOptions(
            mode=mode.value,
            frontend=frontend,
            keypoints=keypoints,
            rate=rate,
            seconds=seconds,
            weights=str(weights or ""),
            parameters=parse_settings(parameter or ()),
        )
        sizes = size or ("640x480", "1280x720")
        command.run(options, sizes, json_file=json_file, console=console())
