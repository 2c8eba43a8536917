"""`msga bench network`: how long the network takes on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from msga_ros.cli.errors import existing_file, reported_errors, writable_file
from msga_ros.cli.shared import Device, FiguresFile, Weights, console
from msga_ros.network import find_weights
from msga_ros.network.inference import Inference, load_network
from msga_ros.terminal.progress import progress_bar
from msga_ros.training.synthetic_scenes import synthetic_batch
from msga_ros.whole_files import write_whole


@dataclass(frozen=True)
class Latency:
    """Milliseconds from matches on the host to the scores on the host, one pair at a time."""

    matches: int
    device: str
    threads: int
    repeats: int
    median_ms: float
    p90_ms: float


def command(
    matches: Annotated[
        list[int] | None, typer.Option("--matches", "-n", min=1, help="Repeatable.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs of each.")] = 20,
    weights: Weights = None,
    device: Device = None,
    threads: Annotated[int, typer.Option(min=0, help="Of the CPU; 0: as torch chooses.")] = 0,
    json_file: FiguresFile = None,
) -> None:
    """Milliseconds of the network on one pair, by the number of matches."""
    with reported_errors():
        run(
            matches or (500, 1000, 2000, 4000),
            repeats=repeats,
            weights=weights,
            device=device or "auto",
            threads=threads,
            json_file=json_file,
            console=console(),
        )


def run(
    counts: Sequence[int],
    *,
    repeats: int,
    weights: Path | None,
    device: str,
    threads: int,
    json_file: Path | None,
    console: Console,
) -> list[Latency]:
    """Measure each number of matches, print a table, write the JSON.

    Args:
        counts: numbers of matches.
        repeats: timed calls of each, after two that do not count.
        weights: checkpoint, or name of a set in the package; None: msga_net.
        device: auto, cpu, cuda or cuda:N.
        threads: of the CPU; 0: as torch chooses.
        json_file: where the figures go, if anywhere.
        console: for the table.
    """
    checkpoint = existing_file(find_weights(weights or "", device), "checkpoint")
    if json_file:
        writable_file(json_file, "JSON file")
    inference = Inference(load_network(checkpoint), device)
    with _threads(threads):
        measured = [_measure(inference, count, repeats) for count in _shown(counts)]
    console.print(_table(measured))
    if json_file:
        write_whole(json_file, json.dumps([asdict(row) for row in measured], indent=2) + "\n")
    return measured


def _measure(inference: Inference, count: int, repeats: int) -> Latency:
    scene = synthetic_batch(1, count, torch.Generator().manual_seed(0))
    matches = scene.correspondences[0].double().numpy()
    valid = np.ones(len(matches), dtype=bool)
    times = []
    for turn in range(repeats + 2):
        started = time.perf_counter()
        inference(matches, valid)
        if turn >= 2:
            times.append(1e3 * (time.perf_counter() - started))
    median, p90 = np.percentile(times, (50, 90))
    device, threads = str(inference.device), torch.get_num_threads()
    return Latency(len(matches), device, threads, repeats, float(median), float(p90))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _shown(counts: Sequence[int]) -> Iterator[int]:
    with progress_bar() as bar:
        yield from bar.track(counts, description="measuring")


def _table(measured: Sequence[Latency]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("matches", "median ms", "90 % below ms", "pairs a second"):
        table.add_column(name, justify="right")
    for row in measured:
        figures = (row.median_ms, row.p90_ms, 1e3 / row.median_ms)
        table.add_row(str(row.matches), *(f"{figure:.1f}" for figure in figures))
    if measured:
        first = measured[0]
        table.caption = (
            f"{first.device}, {first.threads} threads, torch {torch.__version__}, "
            f"{first.repeats} runs each"
        )
    return table
