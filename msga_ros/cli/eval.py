"""`msga eval`: estimators on dumps, as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from msga_ros.cli.errors import UsageError, existing_file, reported_errors, writable_file
from msga_ros.cli.settings import overrides
from msga_ros.cli.shared import ConfigFile, Device, RowsFile, Settings, console
from msga_ros.evaluation.dump_evaluation import evaluate
from msga_ros.evaluation.estimators import DEFAULT_ESTIMATORS, solvers
from msga_ros.evaluation.examples import estimate_again
from msga_ros.evaluation.records import PairRecord, RecordFile
from msga_ros.evaluation.report import chosen_examples, report
from msga_ros.evaluation.report_pictures import Images
from msga_ros.evaluation.tables import EvaluationRow, summarise
from msga_ros.network import find_weights
from msga_ros.terminal.progress import progress_bar
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.sieves import SIEVES
from msga_ros.whole_files import write_whole


class Grouping(Enum):
    """Further rows of `msga eval`."""

    all = "all"
    scene = "scene"
    inlier_ratio = "inlier-ratio"


def command(
    dumps: Annotated[list[Path], typer.Argument(help="Dumps, HDF5 in the published layout.")],
    estimator: Annotated[
        list[str] | None,
        typer.Option(
            "--estimator",
            "-e",
            help="Repeatable. PRUNER+SOLVER, or a sieve alone. Pruners: the sieves "
            f"{', '.join(SIEVES.names())}; ratio, mutual+ratio, oracle, oracle-tight, "
            "oracle-prefiltered. "
            f"Solvers: {', '.join(solvers())}. Default: {', '.join(DEFAULT_ESTIMATORS)}.",
        ),
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option("--weights", "-w", help="Set in the package or checkpoint; repeatable."),
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    device: Device = None,
    stride: Annotated[int, typer.Option(min=1, help="Every N-th pair of a dump.")] = 1,
    limit: Annotated[
        int, typer.Option(min=0, help="At most N pairs of a dump, spread evenly; 0: all.")
    ] = 0,
    seed: Annotated[int | None, typer.Option(help="Of the robust estimators.")] = None,
    by: Annotated[Grouping, typer.Option(help="Add rows by scene or inlier ratio.")] = Grouping.all,
    intervals: Annotated[
        bool, typer.Option("--intervals", help="Add 95 % bootstrap intervals of the AUC.")
    ] = False,
    json_file: RowsFile = None,
    records_file: Annotated[
        Path | None,
        typer.Option(
            "--records",
            help="Keep one record a pair and estimator there (JSON lines): an interrupted "
            "evaluation goes on, a finished one is only measured again.",
        ),
    ] = None,
    report_file: Annotated[
        Path | None,
        typer.Option("--report", help="Write an HTML page there: tables, plots, pictures."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the collections that the dumps are of, for the pictures."),
    ] = None,
) -> None:
    """Judge estimators of the relative pose on the same matches, in one run."""
    with reported_errors():
        given = {"network.device": device, "pose.seed": seed}
        run(
            dumps,
            estimator or (),
            weights or (),
            PipelineConfig.load(config, **overrides(settings or (), given)),
            stride=stride,
            limit=limit,
            by=by.value,
            intervals=intervals,
            json_file=json_file,
            records_file=records_file,
            report_file=report_file,
            images=images,
            console=console(),
        )


def run(
    dumps: Sequence[Path],
    estimators: Sequence[str],
    weights: Sequence[Path],
    config: PipelineConfig,
    *,
    stride: int,
    limit: int,
    by: str,
    intervals: bool,
    json_file: Path | None,
    records_file: Path | None,
    report_file: Path | None,
    images: Path | None,
    console: Console,
) -> list[EvaluationRow]:
    """Evaluate, print the table, write the JSON; the rows that were printed.

    Raises:
        UsageError: a file is missing, or there is no pair to judge.
    """
    for dump in dumps:
        existing_file(dump, "dump")
    for checkpoint in weights:
        existing_file(find_weights(checkpoint), "checkpoint")
    if json_file:
        writable_file(json_file, "JSON file")
    if report_file:
        writable_file(report_file, "report")
    if images and not images.is_dir():
        raise UsageError(f"folder of the images not found: {images}")
    dumps = [Path(dump) for dump in dict.fromkeys(dumps)]
    records = _with_progress(
        dumps,
        list(estimators) or list(DEFAULT_ESTIMATORS),
        weights,
        config,
        stride=stride,
        limit=limit,
        cache=RecordFile(records_file) if records_file else None,
    )
    if not records:
        raise UsageError("the dumps hold no pair")
    rows = summarise(records, intervals=intervals)
    if by != "all":
        rows += summarise(records, by, intervals=intervals)
    console.print(table(rows))
    console.print(
        "Percent; P/R/F by full-size verification; MiB: working memory; RANSAC: mean iterations.",
        style="dim",
    )
    if json_file:
        write_whole(json_file, json.dumps([row.as_json() for row in rows], indent=2) + "\n")
    if report_file:
        examples = estimate_again(chosen_examples(records), dumps, weights, config)
        found = Images(images) if images else None
        facts = _facts(records, config, stride, limit)
        write_whole(report_file, report(records, examples, found, facts))
        console.print(f"report: {report_file}", highlight=False, soft_wrap=True)
    return rows


def table(rows: Sequence[EvaluationRow]) -> Table:
    """Rows as a table, in sections by dump and group; narrow enough for a terminal."""
    result = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    result.add_column("estimator", overflow="fold")
    for name in ("pairs", "AUC@5/10/20", "mAP5/10/20", "P/R/F", "ms/pair", "MiB", "RANSAC"):
        result.add_column(name, justify="right", no_wrap=True)
    section: tuple[str, str] | None = None
    for row in rows:
        if section != (row.dump, row.group):
            result.add_section()
            result.add_row(f"[bold]{escape(row.group or row.dump)}[/bold]")
            section = (row.dump, row.group)
        result.add_row(escape(_name(row)), *_numbers(row))
    return result


def _name(row: EvaluationRow) -> str:
    return f"{row.estimator}\n  {row.weights}" if row.weights else row.estimator


def _numbers(row: EvaluationRow) -> list[str]:
    def joined(*shares: float) -> str:
        return "/".join(f"{share:.1f}" for share in shares)

    area = joined(row.auc5, row.auc10, row.auc20)
    if row.intervals:
        area += "\n" + " ".join(f"{low:.0f}-{high:.0f}" for low, high in row.intervals)
    return [
        f"{row.pairs}\n{row.failures} failed" if row.failures else str(row.pairs),
        area,
        joined(row.map5, row.map10, row.map20),
        joined(row.precision, row.recall, row.f),
        f"{row.ms_per_pair:.1f}",
        _memory(row),
        f"{row.iterations:.0f}" if row.iterations else "-",
    ]


def _facts(
    records: Sequence[PairRecord], config: PipelineConfig, stride: int, limit: int
) -> dict[str, str]:
    """What a reader of the report should know of how it was made."""
    facts = {"Estimators": ", ".join(dict.fromkeys(record.estimator for record in records))}
    weights = [weights for weights in dict.fromkeys(r.weights for r in records) if weights]
    if weights:
        facts["Weights"] = f"{', '.join(weights)} (device: {config.network.device})"
    most = config.frontend.max_matches
    facts["Settings"] = (
        f"threshold of the solvers {config.pose.threshold_px:g} px, seed {config.pose.seed}; "
        f"matches before the network: ratio below {config.frontend.ratio:g}"
        f"{', mutual' if config.frontend.mutual else ''}"
        f"{f', the best {most}' if most else ''}"
    )
    if stride > 1 or limit:
        every = [f"one in {stride}"] if stride > 1 else []
        facts["Pairs"] = ", ".join([*every, *([f"at most {limit} of each dump"] if limit else [])])
    return facts


def _memory(row: EvaluationRow) -> str:
    if math.isnan(row.peak_mb):
        return "-"
    device = f"\nGPU {row.peak_device_mb:.0f}" if row.peak_device_mb > 0 else ""
    return f"{row.peak_mb:.0f}{device}"


def _with_progress(
    dumps: Sequence[Path],
    estimators: Sequence[str],
    weights: Sequence[Path],
    config: PipelineConfig,
    *,
    stride: int,
    limit: int,
    cache: RecordFile | None,
) -> list[PairRecord]:
    with progress_bar() as progress:
        task = progress.add_task("loading", total=None)

        def advance(done: int, total: int, dump: str) -> None:
            progress.update(task, completed=done, total=total, description=dump)

        return evaluate(
            dumps,
            estimators,
            weights,
            config,
            stride=stride,
            limit=limit,
            cache=cache,
            advance=advance,
        )
