"""The tables that the fault suite and the soak write into `docs/reliability.md`."""

from __future__ import annotations

import os
import platform
import re
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from faults.fault import Fault, Row

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
ALL = os.environ.get("MSGA_FAULTS") == "all"


def chosen(faults: Sequence[Fault]) -> list[Fault]:
    """All faults in `make faults`, else those that are quick."""
    return [one for one in faults if ALL or one.quick]


class Report:
    """Collects the rows of a run."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, Row]] = []

    def add(self, mode: str, row: Row) -> None:
        """Take the row of a fault that the node has survived."""
        self._rows.append((mode, row))

    def write(self, footage: str, seconds: float) -> None:
        """Put the table into the page."""
        lines = [
            f"{len(self._rows)} faults, all survived, in {seconds:.0f} s; pictures: {footage}; "
            f"{where()}.",
            "",
            "| mode | fault | the diagnostics say | rotation, direction off by (degrees) "
            "| s to the next right pose | MB | files | threads |",
            "|---|---|---|---|---|---|---|---|",
        ]
        lines += [_line(mode, row) for mode, row in self._rows]
        put_section("faults", "\n".join(lines))


def where() -> str:
    """When, and on what."""
    return f"{date.today().isoformat()}, Python {platform.python_version()}, {os.cpu_count()} cores"


def put_section(name: str, text: str, page: Path = PAGE) -> None:
    """Replace what lies between the markers `<!-- name -->` and `<!-- /name -->` of `page`."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    old = page.read_text(encoding="utf-8")
    head, found, rest = old.partition(start)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page} has no section {name}")
    page.write_text(f"{head}{start}\n{text}\n{end}{tail}", encoding="utf-8")


def without_folders(text: str) -> str:
    """`text` with the names of temporary files alone: the folders are another's at each run."""
    return re.sub(re.escape(tempfile.gettempdir()) + r"/\S*/", "", text)


def _line(mode: str, row: Row) -> str:
    said = without_folders(" ".join(row.said.split())).replace("|", "\\|")
    said = said if len(said) <= 120 else said[:117] + "..."
    errors = row.errors
    off = f"{errors.rotation:.2f}, {errors.direction:.2f}" if errors is not None else "-"
    held = row.resources
    return (
        f"| {mode} | {row.fault} | {said} | {off} | {row.seconds:.1f} | {held.rss:.0f} "
        f"| {held.files} | {held.threads} |"
    )
