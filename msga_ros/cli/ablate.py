"""`msga ablate`: what each part of the network and of its training is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from msga_ros.cli.errors import existing_file, reported_errors, training_file, writable_file
from msga_ros.cli.shared import console
from msga_ros.training.ablation import AblationConfig, ablation_table, run_ablation
from msga_ros.whole_files import write_whole


def command(
    config: Annotated[Path, typer.Argument(help="Ablations, YAML.")],
    table: Annotated[
        Path | None, typer.Option("--table", help="Write the table, Markdown.")
    ] = None,
) -> None:
    """Train and judge every variant of a configuration; the command goes on after a stop."""
    with reported_errors(goes_on=True):
        run(config, table_file=table, console=console())


def run(config: Path, *, table_file: Path | None, console: Console) -> str:
    """Run, print and return the table.

    Raises:
        UsageError: the file is missing, or an entry is unknown or out of range.
    """
    existing_file(config, "ablation configuration")
    with training_file(config):
        settings = AblationConfig.load(config)
    if table_file:
        writable_file(table_file, "table")
    for dump in settings.dumps:
        existing_file(Path(dump).expanduser(), "dump")
    rows = run_ablation(settings, lambda text: console.print(text, highlight=False))
    table = ablation_table(rows)
    console.print(table, highlight=False, soft_wrap=True, markup=False)
    if table_file:
        write_whole(table_file, table + "\n")
    return table
