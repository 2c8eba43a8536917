"""The progress bar of whatever works for long."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def progress_bar(console: Console | None = None, *, shown: bool = True) -> Progress:
    """A bar that vanishes at the end, and is not drawn where there is no terminal.

    Args:
        console: where else to draw than on standard error, which leaves results to be piped.
        shown: False: not drawn in any case.
    """
    screen = console or Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not (shown and screen.is_terminal),
    )
