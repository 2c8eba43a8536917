"""`msga compare`: whole methods from two images to a pose, in turns on the same pairs."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from msga_ros.bags.storage_files import is_bag
from msga_ros.cli.errors import (
    UsageError,
    existing_file,
    reported_errors,
    writable_file,
)
from msga_ros.cli.footage import footage
from msga_ros.cli.settings import overrides, parse_settings
from msga_ros.cli.shared import BagTopics, Device, Settings, console
from msga_ros.datasets.posed.selection import Selection
from msga_ros.datasets.posed.sources import KINDS, open_scene
from msga_ros.evaluation.comparison.methods import Method, MethodError, method
from msga_ros.evaluation.comparison.pairs import FootagePairs, PosedPairs, repeated
from msga_ros.evaluation.comparison.records import ComparisonFile, ComparisonRecord
from msga_ros.evaluation.comparison.report import COLUMNS, examples, picture, report
from msga_ros.evaluation.comparison.rows import ComparisonRow, groupings, rows
from msga_ros.evaluation.comparison.run import compare
from msga_ros.foreign_text import read_text
from msga_ros.terminal.progress import progress_bar
from msga_ros.two_view.presets import PRESETS
from msga_ros.whole_files import write_whole

DEFAULT_METHODS = ("balanced", "opencv-sift")


class Grouping(Enum):
    """Further tables of `msga compare`."""

    all = "all"
    angle = "angle"
    difficulty = "difficulty"
    domain = "domain"
    scene = "scene"


@dataclass(frozen=True)
class Outputs:
    """Files to be written; None: not."""

    json_file: Path | None
    report_file: Path | None
    records_file: Path | None


def command(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of posed images (scene.json, COLMAP, TUM, KITTI, EuRoC, ...); or "
            "without poses a video, a folder of images or a bag."
        ),
    ],
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help="Repeatable. NAME[,ENTRY=VALUE]...[,ungated]; NAME: a preset "
            f"({', '.join(PRESETS)}), a YAML file, FRONTEND[+MATCHER][+SIEVE][+SOLVER], "
            "opencv-sift or opencv-orb. The first one is what the others are measured by. "
            f"Default: {', '.join(DEFAULT_METHODS)}.",
        ),
    ] = None,
    pairs: Annotated[int, typer.Option(min=0, help="Of each source; 0: all candidates.")] = 20,
    pair_list: Annotated[
        Path | None,
        typer.Option(help="These pairs: lines of [SCENE] IMAGE0 IMAGE1, or the names of a dump."),
    ] = None,
    max_angle: Annotated[float, typer.Option(help="Between the optical axes, degrees.")] = 60.0,
    unrelated: Annotated[
        int, typer.Option(min=0, help="So many pairs of two different scenes on top.")
    ] = 0,
    gap: Annotated[
        int, typer.Option(min=1, help="Without poses: frames between the images of a pair.")
    ] = 5,
    camera: Annotated[
        str | None,
        typer.Option(
            help="Without poses: fx,fy,cx,cy or a calibration file; a bag has camera_info, or a "
            "file takes its place."
        ),
    ] = None,
    topic: BagTopics = None,
    seed: Annotated[int, typer.Option(help="Of the choice of pairs.")] = 0,
    by: Annotated[Grouping, typer.Option(help="Add rows by what pairs share.")] = (Grouping.all),
    domains: Annotated[
        Path | None, typer.Option(help="CSV with the columns name and domain, of the scenes.")
    ] = None,
    settings: Settings = None,
    device: Device = None,
    intervals: Annotated[
        bool, typer.Option("--intervals", help="Add 95 % bootstrap intervals of AUC@5.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the rows there.")] = None,
    records_file: Annotated[
        Path | None,
        typer.Option("--records", help="Keep one record a pair and method there, and go on."),
    ] = None,
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Write an HTML page: tables, plots, pictures.")
    ] = None,
) -> None:
    """Compare whole methods from two images to a pose: accuracy, refusals, time, memory.

    Without poses: agreement with the first method, refusals, inliers and time.
    """
    with reported_errors():
        given = {"network.device": device, "frontend.device": device}
        entries = overrides(settings or (), given)
        made = [method(text, entries) for text in dict.fromkeys(methods or DEFAULT_METHODS)]
        posed = all(_is_posed(source) for source in sources)
        if posed:
            chosen: Sequence[PosedPairs | FootagePairs] = [
                PosedPairs(
                    [open_scene(source) for source in sources],
                    pairs,
                    Selection(max_angle=max_angle),
                    existing_file(pair_list, "list of pairs") if pair_list else None,
                    unrelated,
                    seed,
                )
            ]
        else:
            if pair_list or unrelated:
                raise UsageError("--pair-list and --unrelated are for posed images")
            if twice := repeated([source.name for source in sources]):
                raise UsageError(f"several sources are called {', '.join(twice)}")
            topics = {name: str(value) for name, value in parse_settings(topic or ()).items()}
            # Records of other images of a bag are not those of these.
            images = f":{topics['image']}" if "image" in topics else ""
            chosen = [
                FootagePairs(
                    source.name + images, footage(source, camera, topics, _warn), gap, pairs
                )
                for source in sources
            ]
        run(
            chosen,
            made,
            Outputs(json_file, report_file, records_file),
            by=by.value,
            domains=_domains(domains) if domains else {},
            intervals=intervals,
            console=console(),
        )


def run(
    sources: Sequence[PosedPairs | FootagePairs],
    methods: Sequence[Method],
    outputs: Outputs,
    *,
    by: str,
    domains: Mapping[str, str],
    intervals: bool,
    console: Console,
) -> list[ComparisonRow]:
    """Compare, print the table, write the files; the rows that were printed.

    Raises:
        UsageError: there is no pair, or a file cannot be written.
    """
    for path, what in (
        (outputs.json_file, "JSON file"),
        (outputs.report_file, "report"),
        (outputs.records_file, "file of records"),
    ):
        if path:
            writable_file(path, what)
    if by == "domain" and not domains:
        raise UsageError("rows by domain need --domains")
    cache = ComparisonFile(outputs.records_file) if outputs.records_file else None
    records: list[ComparisonRecord] = []
    with progress_bar() as progress:
        total = sum(len(source) for source in sources)
        task = progress.add_task("comparing", total=total)
        for source in sources:
            records += compare(
                source,
                methods,
                cache,
                lambda pair: progress.update(task, advance=1, description=pair.split()[0]),
            )
    if not records:
        raise UsageError("there is no pair to compare on")
    found = rows(records, intervals=intervals)
    if by != "all":
        found += rows(records, groupings(domains, records)[by], intervals)
    console.print(table(found))
    console.print(
        "AUC, right, agree: percent; missed: refused where some method was right; wrong: it stood "
        "by a pose more than 10 degrees off; x: CPU time by that of the first method.",
        style="dim",
    )
    if outputs.json_file:
        text = json.dumps([row.as_json() for row in found], indent=2)
        write_whole(outputs.json_file, f"{text}\n")
    if outputs.report_file:
        shown = {name for part in examples(records) for name in part}
        pictures = {
            pair.name: picture(
                pair, methods[0](pair.image0, pair.image1, pair.camera0, pair.camera1)
            )
            for source in sources
            for pair in source
            if pair.name in shown
        }
        facts = {"Methods": "; ".join(one.name for one in methods)}
        text = report(records, pictures, facts, domains)
        write_whole(outputs.report_file, text)
        console.print(f"report: {outputs.report_file}", highlight=False, soft_wrap=True)
    return found


def table(found: Sequence[ComparisonRow]) -> Table:
    """Rows as a table, in sections by group."""
    result = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    result.add_column("method", overflow="fold")
    shown = COLUMNS[:-2]  # the stages are in JSON and report
    for name, _ in shown:
        result.add_column(name, justify="right", no_wrap=True)
    group = ""
    for row in found:
        if row.group != group:
            result.add_section()
            result.add_row(f"[bold]{escape(row.group)}[/bold]")
            group = row.group
        result.add_row(escape(row.method), *(text(row) for _, text in shown))
    return result


def _warn(text: str) -> None:
    console().print(f"[yellow]warning[/] {escape(text)}", highlight=False)


def _is_posed(source: Path) -> bool:
    return (
        source.is_dir()
        and not is_bag(source)
        and any(kind.is_scene(source) for kind in KINDS.values())
    )


def _domains(path: Path) -> dict[str, str]:
    try:
        reader = csv.DictReader(read_text(existing_file(path, "CSV of domains")).splitlines())
        if not {"name", "domain"} <= set(reader.fieldnames or ()):
            raise UsageError(f"{path}: the columns name and domain are expected")
        return {row["name"]: row["domain"] or "" for row in reader}
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: not a CSV of domains ({error})") from None


__all__ = ["MethodError", "command", "run", "table"]
