"""`msga compact`: dumps of correspondences to one compact file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from msga_ros.cli.errors import UsageError, existing_file, reported_errors, writable_file
from msga_ros.cli.shared import Overwrite, console
from msga_ros.datasets.compact import Arrays, write_compact
from msga_ros.datasets.dumps import DumpError, DumpFile
from msga_ros.datasets.thinning import Preferred, drawn_pairs, thinned
from msga_ros.terminal.progress import progress_bar


@dataclass(frozen=True)
class Thinning:
    """How much is kept: `pairs` of each place of all dumps together and `matches` of each pair.

    0: all of them. What is drawn depends on `seed`; `preferred`: which matches come first
    (`msga_ros.datasets.thinning.thinned`).
    """

    pairs: int = 0
    matches: int = 0
    seed: int = 0
    preferred: Preferred = Preferred.MUTUAL


def command(
    dumps: Annotated[list[Path], typer.Argument(help="Dumps of correspondences.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="One file for all of them.")],
    pairs: Annotated[
        int, typer.Option(min=0, help="At most that many of each place, drawn at random; 0: all.")
    ] = 0,
    most_matches: Annotated[
        int,
        typer.Option(
            min=0, help="At most that many of a pair; --prefer says which come first. 0: all."
        ),
    ] = 0,
    prefer: Annotated[
        Preferred,
        typer.Option(
            help="Keep first: mutual matches, up to two thirds; what the front end's default filter"
            " leaves; none: any as likely as any other."
        ),
    ] = Preferred.MUTUAL,
    uniform: Annotated[bool, typer.Option("--uniform", help="The same as --prefer none.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Join dumps in a compact form, half as large or less, for training and evaluation."""
    with reported_errors():
        preferred = Preferred.NONE if uniform else prefer
        thinning = Thinning(pairs, most_matches, seed, preferred)
        run(dumps, output, thinning, overwrite=overwrite, console=console())


def run(
    dumps: Sequence[Path],
    output: Path,
    thinning: Thinning = Thinning(),
    *,
    overwrite: bool,
    console: Console,
) -> Path:
    """Write the pairs of the dumps, in their order, to `output`, and say what became of the size.

    Raises:
        UsageError: an input is missing, the output exists, or the pairs do not fit together.
        DumpError: an input is no dump.
    """
    for path in dumps:
        existing_file(path, "dump")
    writable_file(output, "compact dump")
    if output.exists() and not overwrite:
        raise UsageError(f"{output} exists (--overwrite replaces it)")
    before = sum(path.stat().st_size for path in dumps)
    with ExitStack() as stack:
        files = [stack.enter_context(DumpFile(path)) for path in dumps]
        places = [(file, index) for file in files for index in range(len(file))]
        names = [file.name(index) for file, index in places]
        kept = drawn_pairs(names, thinning.pairs, thinning.seed).tolist()
        names = [names[number] for number in kept]
        bar = stack.enter_context(progress_bar())
        task = bar.add_task("reading", total=len(names))

        file = files[0]  # that is being read

        def pairs() -> Iterator[Arrays]:
            nonlocal file
            for number, name in zip(kept, names, strict=True):
                file, index = places[number]
                arrays, most = file.arrays(index), thinning.matches
                yield thinned(arrays, name, most, thinning.seed, thinning.preferred)
                bar.advance(task)

        try:
            write_compact(output, pairs(), names)
        except DumpError:
            raise
        except ValueError as error:
            raise UsageError(f"{file.path}: {error}") from None
    after = output.stat().st_size
    console.print(
        f"{len(names)} pairs: {before / 1e6:.1f} MB to {after / 1e6:.1f} MB", highlight=False
    )
    return output
