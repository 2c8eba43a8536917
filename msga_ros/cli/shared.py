"""What the commands share: option types, and where they print."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msga_ros.frontend import FRONTENDS
from msga_ros.frontend.matchers import matcher_names
from msga_ros.two_view.presets import PRESETS, configuration_file

if TYPE_CHECKING:
    from rich.console import Console

FrontendName = Annotated[
    str | None, typer.Option("--frontend", help=f"One of {', '.join(FRONTENDS.names())}.")
]
MatcherName = Annotated[
    str | None, typer.Option("--matcher", help=f"One of {', '.join(matcher_names())}.")
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        callback=lambda path: configuration_file(path) if path else None,
        help=f"Preset ({', '.join(PRESETS)}), or a YAML file: pipeline or node parameters.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Entry of the configuration, e.g. frontend.ratio=0.8; repeatable."),
]
BagTopics = Annotated[
    list[str] | None,
    typer.Option("--topic", help="INPUT=TOPIC of a bag, as left/image=/cam0; repeatable."),
]
NodeParameters = Annotated[
    list[str] | None,
    typer.Option("--set", help="Parameter of the node, NAME=VALUE; repeatable."),
]
RowsFile = Annotated[
    Path | None, typer.Option("--json", help="Write the rows there, a list of records.")
]
FiguresFile = Annotated[Path | None, typer.Option("--json", help="Write the figures.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output.")]
Rectified = Annotated[
    bool, typer.Option("--rectified", help="The images are rectified: P of the calibration counts.")
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        "-w",
        help="Set in the package or checkpoint. Default: msga_net on a GPU, else msga_net_lite.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="Where the networks run: auto (the default), cpu, cuda, cuda:N."),
]


class Mode(Enum):
    """Of the node: both views at once, or one camera over time, without and with depth."""

    stereo = "stereo"
    temporal = "temporal"
    rgbd = "rgbd"


def console() -> Console:
    """Standard output; wide enough for a table where it is a file or a pipe."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=120)
