"""`msga loops`: where a sequence comes back to places that it has seen, without ROS."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from msga_ros.cli.errors import reported_errors, writable_file
from msga_ros.cli.settings import overrides
from msga_ros.cli.shared import ConfigFile, Device, Settings, Weights, console
from msga_ros.datasets.sequences.base import LEFT
from msga_ros.datasets.sequences.source import open_sequence
from msga_ros.loops.closing import Loop, LoopCloser
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.store import KeyframeStore
from msga_ros.loops.vlad import packaged_vocabulary
from msga_ros.two_view.config import PipelineConfig
from msga_ros.whole_files import write_whole

_DEFAULT = LoopConfig()
_POSE = [f"r{row}{column}" for row in range(3) for column in range(3)] + ["tx", "ty", "tz"]


def command(
    source: Annotated[
        str, typer.Argument(help="Folder with a scene.json, a video, or `synthetic`.")
    ],
    map_file: Annotated[
        Path | None,
        typer.Option("--map", help="File of keyframes: what lies in it is searched, too."),
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Every n-th frame is a keyframe.")] = 1,
    frames: Annotated[int, typer.Option(min=0, help="At most that many; 0: all.")] = 0,
    gap: Annotated[
        float, typer.Option(min=0.0, help="Seconds before a frame that count as the same visit.")
    ] = _DEFAULT.min_gap,
    candidates: Annotated[
        int, typer.Option(min=1, help="Most similar keyframes that are verified.")
    ] = _DEFAULT.candidates,
    min_inliers: Annotated[
        int, typer.Option(min=1, help="Matches that must agree.")
    ] = _DEFAULT.min_inliers,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="CSV file with the poses.")
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    weights: Weights = None,
    device: Device = None,
) -> None:
    """Find loops: frames that show a place seen before, verified by the two-view pipeline."""
    with reported_errors():
        given = {
            "network.weights": str(weights) if weights else None,
            "network.device": device,
            "frontend.device": device,
        }
        run(
            source,
            map_file=map_file,
            every=every,
            frames=frames,
            loops=LoopConfig(candidates=candidates, min_gap=gap, min_inliers=min_inliers),
            output=output,
            config=config,
            overrides=overrides(settings or (), given),
            console=console(),
        )


def run(
    source: str,
    *,
    map_file: Path | None,
    every: int,
    frames: int,
    loops: LoopConfig,
    output: Path | None,
    config: Path | None,
    overrides: Mapping[str, object],
    console: Console,
) -> list[Loop]:
    """Find and show the loops; they, too.

    Raises:
        SequenceError, StoreError, VocabularyError, ConfigError: what was given cannot be used.
    """
    from msga_ros.two_view.pipeline import TwoViewPipeline

    if output is not None:
        writable_file(output, "CSV file")
    if map_file is not None:
        writable_file(map_file, "map")
    settings = PipelineConfig.load(config, **overrides)
    vocabulary = packaged_vocabulary(settings.frontend.name)
    sequence = open_sequence(source, stereo=False)
    found: list[Loop] = []
    with (
        tempfile.TemporaryDirectory(prefix="msga_loops_") as folder,
        KeyframeStore(map_file or Path(folder) / "keyframes") as store,
    ):
        before = len(store)
        closer = LoopCloser(store, TwoViewPipeline(settings), vocabulary, loops)
        for number, frame in enumerate(islice(sequence, frames or None)):
            if number % every:
                continue
            name = f"{sequence.name}/{number}"
            loop = closer.add(name, frame.stamp, frame.images[LEFT], frame.cameras[LEFT])
            found += [] if loop is None else [loop]
        _show(console, store, found, before)
        if output is not None:
            write_whole(output, _csv(store, found))
    return found


def _show(console: Console, store: KeyframeStore, found: list[Loop], before: int) -> None:
    table = Table("frame", "shows what was seen in", "similarity", "matches that agree", "pose")
    for loop in found:
        table.add_row(
            store[loop.current].name,
            store[loop.reference].name,
            f"{loop.similarity:.2f}",
            f"{loop.result.counts.geometric_inliers} of {loop.result.counts.matched}",
            loop.result.status.name,
        )
    if found:
        console.print(table)
    earlier = f", {before} of them from before" if before else ""
    console.print(f"{len(found)} loops among {len(store)} keyframes{earlier}")


def _csv(store: KeyframeStore, found: list[Loop]) -> str:
    """`x_current = R x_reference + t`, t of unit length, NaN where it is unknown."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["reference", "current", "similarity", "inliers", "status", *_POSE])
    for loop in found:
        result = loop.result
        direction = result.translation if result.status == 0 else [float("nan")] * 3
        writer.writerow(
            [
                store[loop.reference].name,
                store[loop.current].name,
                f"{loop.similarity:.4f}",
                result.counts.geometric_inliers,
                result.status.name,
                *(f"{value:.9g}" for value in [*result.rotation.ravel(), *direction]),
            ]
        )
    return text.getvalue()
