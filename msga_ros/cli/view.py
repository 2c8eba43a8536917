"""`msga view`: matches, points and cameras in the viewer Rerun."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msga_ros.bags.options import read_settings
from msga_ros.cli.errors import FAILED, reported_errors, writable_file
from msga_ros.cli.interrupts import interruptible
from msga_ros.cli.settings import overrides, parse_settings
from msga_ros.cli.shared import (
    BagTopics,
    ConfigFile,
    Device,
    Mode,
    NodeParameters,
    Weights,
    console,
)
from msga_ros.viewing.recorder import Recorder, rerun

if TYPE_CHECKING:
    from rich.console import Console

    from msga_ros.stream.processor import Pipeline
    from msga_ros.viewing.pairs import ShownPair

NODE = "node"  # the source that is a running node


@dataclass(frozen=True)
class Request:
    """What the command line says; `topics` by input name, `parameters` by the node's names."""

    source: str
    save: Path | None
    config: Path | None
    parameters: Mapping[str, object]
    topics: Mapping[str, str]
    namespace: str
    frames: int


def command(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder with a scene.json, video, bag (of images, or written by `msga bag`), "
            "or `node`: a running one."
        ),
    ],
    save: Annotated[
        Path | None, typer.Option(help="Write a recording (.rrd) instead of opening the viewer.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="Both views at once, or one after another.")] = (
        Mode.temporal
    ),
    frames: Annotated[int, typer.Option(min=0, help="At most that many pairs; 0: all.")] = 0,
    topic: BagTopics = None,
    namespace: Annotated[str, typer.Option(help="Of the node's topics.")] = "/msga",
    config: ConfigFile = None,
    parameter: NodeParameters = None,
    weights: Weights = None,
    device: Device = None,
) -> None:
    """Show images with their matches, triangulated points and cameras in the viewer Rerun.

    Exits with 1 where there was nothing to show.
    """
    with reported_errors():
        given = {
            "mode": mode.value,
            "network.weights": str(weights) if weights else None,
            "network.device": device,
            "frontend.device": device,
        }
        request = Request(
            source=source,
            save=save,
            config=config,
            parameters=overrides(parameter or (), given),
            topics={name: str(value) for name, value in parse_settings(topic or ()).items()},
            namespace=namespace,
            frames=frames,
        )
        code = run(request, console())
    raise typer.Exit(code)


def run(request: Request, console: Console) -> int:
    """Show the source, or write it to a file; the exit code, `FAILED` where there was nothing."""
    rerun()
    if request.save is not None:
        writable_file(request.save, "recording")
    pairs = _pairs(request, console)
    recorder, shown = Recorder(request.save), 0
    try:
        with interruptible(), console.status("waiting for the first pair of views") as status:
            for pair in islice(pairs, request.frames or None):
                recorder.log(pair)
                shown += 1
                status.update(f"{shown} pairs of views")
    except KeyboardInterrupt:
        console.print("interrupted")
    finally:
        recorder.close()
    where = f" in {request.save}" if request.save else ""
    console.print(f"{shown} pairs of views{where}")
    return 0 if shown else FAILED


def _pairs(request: Request, console: Console) -> Iterator[ShownPair]:
    namespace = "/" + request.namespace.strip("/")
    if request.source == NODE:
        from msga_ros.viewing.node.listener import listen

        console.print(f"listening to {namespace}/*, end with Ctrl-C")
        return listen(namespace)
    from msga_ros.viewing.sources import Request as Source
    from msga_ros.viewing.sources import open_pairs

    settings = read_settings(request.config, request.parameters)

    def load() -> Pipeline:
        from msga_ros.two_view.pipeline import TwoViewPipeline

        return TwoViewPipeline(settings.pipeline)

    source = Source(request.source, settings, request.topics, namespace)
    return open_pairs(
        source, load, lambda text: console.print(f"[yellow]warning[/] {text}", highlight=False)
    )
