"""`msga bag`: a recorded bag through the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from msga_ros.bags.errors import require_rosbags
from msga_ros.bags.options import read_settings
from msga_ros.bags.outputs import PICTURES, STORAGES, OutputOptions
from msga_ros.commands.errors import UsageError
from msga_ros.commands.interrupts import interruptible

if TYPE_CHECKING:
    from rich.console import Console

    from msga_ros.bags.run import Summary


@dataclass(frozen=True)
class Request:
    """What the command line says; `topics` by input name, `parameters` by the node's names."""

    source: Path
    target: Path
    config: Path | None
    parameters: Mapping[str, object]
    topics: Mapping[str, str]
    namespace: str
    picture: str
    storage: str
    trajectory: bool
    overwrite: bool


def run(request: Request, console: Console) -> Summary:
    """Process the bag, show the progress, print what was done."""
    require_rosbags()
    _check_choice("--matches-image", request.picture, PICTURES)
    _check_choice("--storage", request.storage, ("", *STORAGES))
    from msga_ros.bags.run import Request as Work
    from msga_ros.bags.run import run as process

    settings = read_settings(request.config, request.parameters)
    work = Work(
        source=request.source,
        target=request.target,
        settings=settings,
        topics=request.topics,
        outputs=OutputOptions(
            namespace="/" + request.namespace.strip("/"),
            picture=request.picture,
            max_lines=settings["publish.max_lines"],
        ),
        storage=request.storage,
        trajectory=request.trajectory,
        overwrite=request.overwrite,
    )

    def load() -> object:
        from msga_ros.network import find_weights
        from msga_ros.network.inference import load_network
        from msga_ros.two_view.pipeline import TwoViewPipeline

        network = settings.pipeline.network
        weights = find_weights(network.weights, network.device)
        return TwoViewPipeline(settings.pipeline, load_network(weights))

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with interruptible(), Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("messages", total=None, visible=False)
        try:
            summary = process(
                work,
                load,  # type: ignore[arg-type]
                warn=lambda text: bar.console.print(f"[yellow]warning[/] {text}", highlight=False),
                progress=lambda done, total: bar.update(
                    task, completed=done, total=total, visible=True
                ),
            )
        except KeyboardInterrupt:
            bar.console.print("interrupted; the same command goes on from here")
            raise
    console.print(_table(request, summary))
    return summary


def _table(request: Request, summary: Summary) -> Table:
    table = Table(title=str(request.target), show_header=False, title_justify="left")
    rows = {
        "complete sets": str(summary.sets),
        "done by an earlier run": str(summary.resumed) if summary.resumed else "",
        "pairs of views": str(summary.outcomes),
        **{f"  {name}": str(count) for name, count in sorted(summary.by_status.items())},
        "unreadable messages": str(summary.tally.broken) if summary.tally.broken else "",
        "sets out of order": str(summary.tally.dropped) if summary.tally.dropped else "",
        "jumps back in time": str(summary.tally.jumps) if summary.tally.jumps else "",
        "poses of the trajectory": str(summary.poses) if summary.poses else "",
        "trajectories": "\n".join(str(path) for path in summary.files),
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, value)
    return table


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        offered = ", ".join(one for one in choices if one)
        raise UsageError(f"{option} must be one of {offered}, not {value!r}")
