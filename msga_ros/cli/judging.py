"""`msga eval` and `msga vo`: estimators against known poses."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from msga_ros.cli.shared import ConfigFile, Device, Settings, Weights, console
from msga_ros.commands.errors import reported_errors


class Grouping(Enum):
    """Further rows of `msga eval`."""

    all = "all"
    scene = "scene"
    inlier_ratio = "inlier-ratio"


class OdometryMode(Enum):
    """Of `msga vo`."""

    auto = "auto"
    stereo = "stereo"
    mono = "mono"


def evaluate(
    dumps: Annotated[list[Path], typer.Argument(help="Dumps, HDF5 in the published layout.")],
    estimator: Annotated[
        list[str] | None,
        typer.Option(
            "--estimator",
            "-e",
            help="Repeatable. PRUNER+SOLVER, or msga alone. Pruners: msga, ratio, mutual+ratio, "
            "oracle, oracle-tight; solvers: poselib, magsac. "
            "Default: msga, msga+poselib, ratio+magsac, ratio+poselib.",
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
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the rows there, a list of records.")
    ] = None,
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
        from msga_ros.commands import evaluate as command
        from msga_ros.commands.settings import overrides
        from msga_ros.two_view.config import PipelineConfig

        given = {"network.device": device, "pose.seed": seed}
        command.run(
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


def odometry(
    scenes: Annotated[
        list[str],
        typer.Argument(help="Folders with a scene.json, a video (mono), or `synthetic`."),
    ],
    mode: Annotated[
        OdometryMode, typer.Option(help="auto: stereo where there is a right camera.")
    ] = OdometryMode.auto,
    estimator: Annotated[
        list[str] | None,
        typer.Option(
            "--estimator",
            "-e",
            help="Repeatable. PRUNER or PRUNER+SOLVER; pruners: msga, ratio, mutual+ratio; "
            "solvers: poselib, magsac. Default: msga, msga+poselib, ratio+magsac, ratio+poselib.",
        ),
    ] = None,
    frames: Annotated[int, typer.Option(min=0, help="At most that many; 0: all.")] = 0,
    config: ConfigFile = None,
    settings: Settings = None,
    weights: Weights = None,
    device: Device = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the rows there, a list of records.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for trajectories (TUM, KITTI) and a plot."),
    ] = None,
) -> None:
    """Visual odometry by several estimators on the same matches, judged against true poses.

    Settings of the odometry are given as --set odometry.NAME=VALUE.
    """
    with reported_errors():
        from msga_ros.commands import vo as command
        from msga_ros.commands.settings import overrides

        given = {"network.weights": str(weights) if weights else None, "network.device": device}
        command.run(
            scenes,
            mode=mode.value,
            estimators=estimator or (),
            frames=frames,
            config=config,
            overrides=overrides(settings or (), given),
            json_file=json_file,
            output=output,
            console=console(),
        )
