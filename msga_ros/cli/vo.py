"""`msga vo`: visual odometry by several estimators, judged against the truth, side by side."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from msga_ros.cli.cameras import calibrated_camera
from msga_ros.cli.errors import UsageError, existing_file, not_a_bag, reported_errors, writable_file
from msga_ros.cli.settings import overrides
from msga_ros.cli.shared import ConfigFile, Device, RowsFile, Settings, Weights, console
from msga_ros.cli.vo_rows import NOTES, Row, print_rows, rows_of
from msga_ros.configuration.yaml_dataclass import build, flatten, read_yaml
from msga_ros.datasets.sequences.base import Sequence as FrameSequence
from msga_ros.datasets.sequences.base import SequenceError
from msga_ros.datasets.sequences.source import open_sequence
from msga_ros.evaluation.estimators import solvers
from msga_ros.evaluation.odometry.estimators import DEFAULT_ESTIMATORS
from msga_ros.evaluation.odometry.sequence_run import Run, run_sequence
from msga_ros.geometry.camera import Camera
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.trajectory import write_kitti, write_tum
from msga_ros.stream.parameter_table import BY_NAME
from msga_ros.terminal.progress import progress_bar
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.sieves import SIEVES
from msga_ros.whole_files import write_whole

_GROUP = "odometry."


class OdometryMode(Enum):
    """Of `msga vo`."""

    auto = "auto"
    stereo = "stereo"
    rgbd = "rgbd"
    mono = "mono"


def command(
    scenes: Annotated[
        list[str],
        typer.Argument(
            help="Folders with a scene.json or of TUM RGB-D (rgb.txt, depth.txt, groundtruth.txt), "
            "a video (mono), or `synthetic`."
        ),
    ],
    mode: Annotated[
        OdometryMode,
        typer.Option(
            help="auto: stereo where there is a right camera, rgbd where there are depth images."
        ),
    ] = OdometryMode.auto,
    estimator: Annotated[
        list[str] | None,
        typer.Option(
            "--estimator",
            "-e",
            help="Repeatable. PRUNER or PRUNER+SOLVER. Pruners: the sieves "
            f"{', '.join(SIEVES.names())}; ratio, mutual+ratio. "
            f"Solvers: {', '.join(solvers())}. Default: {', '.join(DEFAULT_ESTIMATORS)}.",
        ),
    ] = None,
    frames: Annotated[int, typer.Option(min=0, help="At most that many; 0: all.")] = 0,
    camera: Annotated[
        str | None,
        typer.Option(
            help="fx,fy,cx,cy or a YAML calibration, of videos and folders of TUM RGB-D. Default: "
            "a guess; by the folder's name (freiburg1, 2, 3)."
        ),
    ] = None,
    depth_scale: Annotated[
        float,
        typer.Option(min=0, help="Units a metre of depth images in folders of TUM RGB-D; 0: 5000."),
    ] = 0.0,
    config: ConfigFile = None,
    settings: Settings = None,
    weights: Weights = None,
    device: Device = None,
    json_file: RowsFile = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for trajectories (TUM, KITTI) and a plot."),
    ] = None,
) -> None:
    """Visual odometry by several estimators on the same matches, judged against true poses.

    Settings of the odometry are given as --set odometry.NAME=VALUE, or in the group odometry of the
    configuration, as for the node.
    """
    with reported_errors():
        given = {
            "network.weights": str(weights) if weights else None,
            "network.device": device,
            "frontend.device": device,
        }
        run(
            scenes,
            mode=mode.value,
            estimators=estimator or (),
            frames=frames,
            camera=camera,
            depth_scale=depth_scale,
            config=config,
            overrides=overrides(settings or (), given),
            json_file=json_file,
            output=output,
            console=console(),
        )


def run(
    scenes: Sequence[str],
    *,
    mode: str,
    estimators: Sequence[str],
    frames: int,
    camera: str | None,
    depth_scale: float,
    config: Path | None,
    overrides: Mapping[str, object],
    json_file: Path | None,
    output: Path | None,
    console: Console,
) -> list[Row]:
    """Run, print the table, write JSON, trajectories and plot; the rows.

    Args:
        scenes: folders, videos or `synthetic`.
        mode: stereo, rgbd, mono, or auto (the first of them that the sequence allows).
        estimators: names; empty: the default ones.
        frames: at most; 0: all.
        camera: of videos and folders of TUM RGB-D, as `calibrated_camera` takes it.
        depth_scale: units a metre of depth images in folders of TUM RGB-D; 0: the benchmark's.
        config: pipeline configuration, YAML.
        overrides: entries of the pipeline, and of the odometry as `odometry.NAME`.
        json_file, output: where results go, if anywhere.
        console: for the table.

    Raises:
        UsageError, SequenceError, EstimatorError, OdometryError, ConfigError: what was given cannot
            be used; the message says what and why.
    """
    if json_file:
        writable_file(json_file, "JSON file")
    if output:
        if output.exists() and not output.is_dir():
            raise UsageError(f"--output is not a folder: {output}")
        output.mkdir(parents=True, exist_ok=True)
    if config:
        existing_file(config, "configuration")
    pipeline = PipelineConfig.load(config, **_of_pipeline(overrides))
    settings = _odometry(config, overrides)
    names = list(dict.fromkeys(estimators)) or list(DEFAULT_ESTIMATORS)
    given = _Given(calibrated_camera(camera) if camera else None, depth_scale)
    opened = [_open(str(not_a_bag(Path(scene))), mode, given) for scene in dict.fromkeys(scenes)]
    rows: list[Row] = []
    for sequence, used in opened:
        runs = _with_progress(sequence, names, pipeline, settings, used, frames)
        found = rows_of(sequence.name, used, runs)
        rows += found
        print_rows(console, found)
        if output:
            _write(output, sequence.name, used, runs)
    console.print(NOTES, style="dim")
    if json_file:
        records = [dataclasses.asdict(row) for row in rows]
        write_whole(json_file, json.dumps(records, indent=2) + "\n")
    return rows


@dataclass(frozen=True)
class _Given:
    """What the command line says of sequences that do not say it themselves."""

    camera: Camera | None
    depth_scale: float

    def open(self, scene: str, mode: str) -> FrameSequence:
        return open_sequence(
            scene,
            mode == "stereo",
            camera=self.camera,
            depth=mode == "rgbd",
            depth_scale=self.depth_scale,
        )


def _open(scene: str, mode: str, given: _Given) -> tuple[FrameSequence, str]:
    """The sequence, and the mode that `auto` is for it."""
    for wanted in ("stereo", "rgbd") if mode == "auto" else ():
        try:
            return given.open(scene, wanted), wanted
        except SequenceError:
            continue
    used = "mono" if mode == "auto" else mode
    return given.open(scene, used), used


def _of_pipeline(overrides: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in overrides.items() if not name.startswith(_GROUP)}


def _odometry(config: Path | None, overrides: Mapping[str, object]) -> OdometryConfig:
    """The group `odometry` of the file, then of the overrides.

    What only the node has of that group (its topics and frames) is passed over in a file.
    """
    known = {field.name for field in dataclasses.fields(OdometryConfig)}
    of_the_node = {name.removeprefix(_GROUP) for name in BY_NAME if name.startswith(_GROUP)} - known
    entries: dict[str, object] = {}
    if config is not None:
        entries = _group(flatten(read_yaml(config)))
        entries = {name: value for name, value in entries.items() if name not in of_the_node}
    built: OdometryConfig = build(OdometryConfig, "odometry", entries | _group(overrides))
    return built


def _group(values: Mapping[str, object]) -> dict[str, object]:
    return {
        name.removeprefix(_GROUP): value
        for name, value in values.items()
        if name.startswith(_GROUP)
    }


def _with_progress(
    sequence: FrameSequence,
    names: Sequence[str],
    pipeline: PipelineConfig,
    settings: OdometryConfig,
    mode: str,
    frames: int,
) -> list[Run]:
    with progress_bar() as progress:
        task = progress.add_task(escape(sequence.name), total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        return run_sequence(
            sequence,
            names,
            pipeline,
            settings,
            stereo=mode == "stereo",
            depth=mode == "rgbd",
            limit=frames,
            advance=advance,
        )


def _write(folder: Path, name: str, mode: str, runs: Sequence[Run]) -> None:
    """`SEQUENCE_MODE_ESTIMATOR.tum` and `.kitti`, the truth as `..._truth.tum`, and a plot."""
    stem = f"{name}_{mode}"
    for one in runs:
        path = folder / f"{stem}_{one.estimator.replace('+', '-')}.tum"
        write_tum(path, one.stamps, one.poses)
        write_kitti(path.with_suffix(".kitti"), one.poses)
    judged = [one.judged() for one in runs]
    longest = max(judged, key=lambda one: len(one.stamps))
    if longest.truth is not None:
        write_tum(folder / f"{stem}_truth.tum", longest.stamps, longest.truth)
    from msga_ros.evaluation.odometry.plot import plot_trajectories

    plot_trajectories(folder / f"{stem}.png", name, judged, with_scale=mode == "mono")
