"""`msga bench node`: the whole node over DDS, from the stamp of a frame to its published pose."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from msga_ros.cli.errors import UsageError, existing_file, reported_errors, writable_file
from msga_ros.cli.settings import overrides
from msga_ros.cli.shared import ConfigFile, FiguresFile, FrontendName, Mode, Weights, console
from msga_ros.configuration.yaml_dataclass import flatten, read_yaml
from msga_ros.network import find_weights
from msga_ros.tools.benchmark import BenchmarkOptions, measure
from msga_ros.tools.benchmark_figures import OUTPUTS, Run
from msga_ros.tools.child_environment import SET_UP_HINT, missing_ros
from msga_ros.whole_files import write_whole

_SIZE = re.compile(r"(\d{2,5})x(\d{2,5})")
_LARGEST = 8192 * 8192


def command(
    mode: Annotated[Mode, typer.Option(help="What the node compares.")] = Mode.stereo,
    size: Annotated[
        list[str] | None, typer.Option(help="WIDTHxHEIGHT; repeatable. 640x480 and 1280x720.")
    ] = None,
    config: ConfigFile = None,
    frontend: FrontendName = None,
    keypoints: Annotated[
        int | None, typer.Option(min=8, help="Kept in each view; without --config orb, 1000.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, help="Frames a second.")] = 10.0,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of sending, for each size.")] = 10.0,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Output to listen to besides the pose; repeatable: {', '.join(OUTPUTS[1:])}."
        ),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="Parameter of the node, NAME=VALUE; repeatable."),
    ] = None,
    weights: Weights = None,
    json_file: FiguresFile = None,
) -> None:
    """The node in a process of its own over DDS: stamp to pose, rate, CPU, memory, drops."""
    with reported_errors():
        options = BenchmarkOptions(
            mode=mode.value,
            rate=rate,
            seconds=seconds,
            weights=str(weights or ""),
            listen=tuple(listen or ()),
        )
        given = {"frontend.name": frontend, "frontend.max_keypoints": keypoints}
        options = with_parameters(options, config, overrides(parameter or (), given))
        sizes = size or ("640x480", "1280x720")
        run(options, sizes, json_file=json_file, console=console())


def with_parameters(
    options: BenchmarkOptions, config: Path | None, given: Mapping[str, object]
) -> BenchmarkOptions:
    """`options` with the node's parameters of a file, and over them those that are `given`.

    The mode, and weights that `options` have, stay. Raises `ConfigError`.
    """
    of_file = flatten(read_yaml(config)) if config else {}
    decided = {"mode", "network.weights"} if options.weights else {"mode"}
    values = {name: value for name, value in of_file.items() if name not in decided} | dict(given)
    return dataclasses.replace(
        options,
        frontend=str(values.pop("frontend.name", options.frontend)),
        keypoints=int(str(values.pop("frontend.max_keypoints", options.keypoints))),
        parameters=values,
    )


def run(
    options: BenchmarkOptions,
    sizes: Sequence[str],
    *,
    json_file: Path | None,
    console: Console,
) -> list[Run]:
    """Measure each size, print the tables, write the JSON.

    Args:
        options: what is sent and how the node is set.
        sizes: WIDTHxHEIGHT.
        json_file: where the figures go, if anywhere.
        console: for the tables.

    Raises:
        UsageError: a size that is none, files that cannot be, ROS that is missing.
        BenchmarkError: the node could not be measured.
    """
    wanted = [parse_size(text) for text in sizes]
    checkpoint = existing_file(find_weights(options.weights), "checkpoint")
    options = dataclasses.replace(options, weights=str(checkpoint.resolve()))
    if json_file:
        writable_file(json_file, "JSON file")
    missing = missing_ros()
    if missing:
        raise UsageError(f"{missing}: {SET_UP_HINT}")
    progress = Console(stderr=True)
    measured = []
    for size in wanted:
        with progress.status("") as status:
            measured.append(measure(options, size, status.update))
        if json_file:  # what there is so far, in case the next one fails
            document = as_document(options, measured)
            write_whole(json_file, json.dumps(document, indent=2) + "\n")
    for table in tables(options, measured):
        console.print(table)
    return measured


def parse_size(text: str) -> tuple[int, int]:
    """(width, height) of WIDTHxHEIGHT; raises `UsageError`."""
    found = _SIZE.fullmatch(text)
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    if min(size) < 64 or size[0] * size[1] > _LARGEST:
        raise UsageError(f"a size is WIDTHxHEIGHT, 64x64 at least, e.g. 640x480, not {text!r}")
    return size


def as_document(options: BenchmarkOptions, measured: Sequence[Run]) -> dict[str, object]:
    """Everything for the JSON file; what is not known is null."""
    return {
        "machine": machine(),
        "options": asdict(options),
        "runs": [_without_nan(asdict(run)) for run in measured],
    }


def machine() -> dict[str, object]:
    """What the figures depend on."""
    names = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "RMW_IMPLEMENTATION")
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "environment": {name: os.environ[name] for name in names if name in os.environ},
    }


def tables(options: BenchmarkOptions, measured: Sequence[Run]) -> list[Table]:
    """What is printed: the figures, the account of the frames, where the time goes."""
    title = f"msga bench node: {options.mode}, {options.frontend}, {options.keypoints} keypoints"
    return [_figures(title, measured), _accounts(measured), _outputs(measured), _stages(measured)]


def _figures(title: str, measured: Sequence[Run]) -> Table:
    table = _columns(measured, title)
    rows: list[tuple[str, Callable[[Run], str]]] = [
        ("frames a second: asked for", lambda run: _number(run.asked_rate)),
        ("frames a second: sent", lambda run: _number(run.sent_rate)),
        ("poses a second", lambda run: _number(run.pose_rate)),
        ("stamp to pose, median ms", lambda run: _number(run.latency_median_ms)),
        ("stamp to pose, 99 % below ms", lambda run: _number(run.latency_p99_ms)),
        ("CPU of the node, cores", lambda run: _number(run.cpu_node, 2)),
        ("CPU of the node, ms for each set", lambda run: _number(run.cpu_ms_per_set, 0)),
        ("CPU of this benchmark, cores", lambda run: _number(run.cpu_bench, 2)),
        ("CPU of everything else, cores", lambda run: _number(run.cpu_others, 2)),
        ("memory of the node, MB", lambda run: _number(run.memory_mb, 0)),
        ("memory, peak, MB", lambda run: _number(run.memory_peak_mb, 0)),
        ("threads of the node", lambda run: str(run.threads)),
        ("start until it is active, s", lambda run: _number(run.start_seconds)),
        ("CPU of the start, s", lambda run: _number(run.start_cpu_seconds)),
    ]
    for name, figure in rows:
        table.add_row(name, *(figure(run) for run in measured))
    table.caption = f"{os.cpu_count()} cores, torch {torch.__version__}, OpenCV {cv2.__version__}"
    return table


def _accounts(measured: Sequence[Run]) -> Table:
    table = _columns(measured, "where the frames went")
    table.add_row("sent", *(str(run.account.sent) for run in measured))
    table.add_row("processed", *(str(run.account.processed) for run in measured))
    for reason in sorted({reason for run in measured for reason in run.account.dropped}):
        counts = (str(run.account.dropped.get(reason, 0)) for run in measured)
        table.add_row(f"dropped: {reason}", *counts)
    table.add_row(
        "unaccounted", *(str(run.account.unaccounted) for run in measured), end_section=True
    )
    table.add_row("poses that came", *(str(run.account.poses) for run in measured))
    table.add_row("of these with status OK", *(str(run.ok) for run in measured))
    return table


def _outputs(measured: Sequence[Run]) -> Table:
    table = _columns(measured, "stamp to arrival of each output: median, 99 % below, ms")
    for name in dict.fromkeys(name for run in measured for name in run.outputs):
        figures = [run.outputs.get(name) for run in measured]
        table.add_row(
            name,
            *(
                "-"
                if one is None
                else f"{_number(one.latency_median_ms)}, {_number(one.latency_p99_ms)}"
                for one in figures
            ),
        )
        table.add_row("  came", *("-" if one is None else str(one.came) for one in figures))
        late = ("-" if one is None else str(one.late) for one in figures)
        table.add_row("  later than two frames", *late)
    return table


def _stages(measured: Sequence[Run]) -> Table:
    table = _columns(measured, "where the time goes: median ms, share")
    names = dict.fromkeys(stage for run in measured for stage in run.stages)
    for name in names:
        table.add_row(name, *(_share(run, name) for run in measured))
    return table


def _share(run: Run, stage: str) -> str:
    value, total = run.stages.get(stage, math.nan), sum(run.stages.values())
    if not (math.isfinite(value) and math.isfinite(total) and total > 0):
        return "-"
    return f"{value:.1f} {value / total:6.1%}"


def _columns(measured: Sequence[Run], title: str) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", min_width=60)
    table.add_column("")
    for run in measured:
        table.add_column(f"{run.width}x{run.height}", justify="right")
    return table


def _number(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def _without_nan(value: object) -> object:
    """`value` for JSON, which has no NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
