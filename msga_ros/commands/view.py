"""`msga view`: matches, points and cameras in the viewer Rerun."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msga_ros.bags.options import read_settings
from msga_ros.commands.errors import FAILED, writable_file
from msga_ros.commands.interrupts import interruptible
from msga_ros.viewing.recorder import Recorder, rerun

if TYPE_CHECKING:
    from rich.console import Console

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

    def load() -> Any:
        from msga_ros.network import find_weights
        from msga_ros.network.inference import load_network
        from msga_ros.two_view.pipeline import TwoViewPipeline

        network = settings.pipeline.network
        weights = find_weights(network.weights, network.device)
        return TwoViewPipeline(settings.pipeline, load_network(weights))

    source = Source(request.source, settings, request.topics, namespace)
    return open_pairs(
        source, load, lambda text: console.print(f"[yellow]warning[/] {text}", highlight=False)
    )
