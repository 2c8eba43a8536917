"""`msga loops`: where a sequence comes back to places that it has seen, without ROS."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from msga_ros.cli.errors import UsageError, reported_errors, writable_file
from msga_ros.cli.loops_files import graph_lines, loops_csv
from msga_ros.cli.settings import overrides
from msga_ros.cli.shared import ConfigFile, Device, Settings, Weights, console
from msga_ros.configuration.yaml_dataclass import build
from msga_ros.datasets.sequences.base import LEFT, RIGHT, Frame, Sequence
from msga_ros.datasets.sequences.source import open_sequence
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.rotations import rotation_from_quaternion
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.mapping import LoopMapper
from msga_ros.loops.odometry_file import RecordedOdometry
from msga_ros.loops.reports import LoopEdge, RightView, View
from msga_ros.loops.store import KeyframeStore
from msga_ros.loops.vlad import packaged_vocabulary
from msga_ros.odometry.poses import pose_matrix
from msga_ros.odometry.trajectory import write_tum
from msga_ros.two_view.config import PipelineConfig
from msga_ros.whole_files import write_whole

_DEFAULT = LoopConfig()
_GROUP = "loops."


class Views(Enum):
    """What is known of each frame."""

    mono = "mono"
    stereo = "stereo"
    rgbd = "rgbd"


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Files to write, those that are asked for."""

    loops: Path | None = None
    graph: Path | None = None
    trajectory: Path | None = None
    picture: Path | None = None

    def check(self) -> None:
        """Raises `UsageError` for what cannot be written."""
        kinds = {"loops": "CSV file", "graph": "pose graph", "trajectory": "trajectory"}
        for name in ("loops", "graph", "trajectory", "picture"):
            path = getattr(self, name)
            if path is not None:
                writable_file(path, kinds.get(name, name))


def command(
    source: Annotated[
        str, typer.Argument(help="Folder with a scene.json, a video, or `synthetic`.")
    ],
    map_file: Annotated[
        Path | None,
        typer.Option("--map", help="File of keyframes: what lies in it is searched, too."),
    ] = None,
    odometry: Annotated[
        Path | None,
        typer.Option(help="TUM file, `stamp x y z qx qy qz qw`, as `msga vo` writes it."),
    ] = None,
    mount: Annotated[
        str | None,
        typer.Option(
            help="x,y,z,qx,qy,qz,qw: the camera in the body whose poses --odometry has. "
            "Default: they are the camera's."
        ),
    ] = None,
    mode: Annotated[
        Views, typer.Option(help="stereo, rgbd: depth gives the loops their length.")
    ] = Views.mono,
    optimise: Annotated[
        bool, typer.Option("--optimise", help="Correct the trajectory (extra `slam`: GTSAM).")
    ] = False,
    every: Annotated[int, typer.Option(min=1, help="Every n-th frame is looked at.")] = 1,
    frames: Annotated[int, typer.Option(min=0, help="At most that many; 0: all.")] = 0,
    gap: Annotated[
        float, typer.Option(min=0.0, help="Seconds before a frame that count as the same visit.")
    ] = _DEFAULT.min_gap,
    candidates: Annotated[
        int, typer.Option(min=1, help="Most similar keyframes that are verified.")
    ] = _DEFAULT.candidates,
    min_inliers: Annotated[
        int, typer.Option(min=1, help="Matches that must agree.")
    ] = _DEFAULT.min_inliers,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="CSV file with the poses of the loops.")
    ] = None,
    graph: Annotated[Path | None, typer.Option(help="Pose graph, a .g2o file.")] = None,
    trajectory: Annotated[
        Path | None, typer.Option(help="TUM file of the keyframes in the map.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Trajectory before and after, the loops drawn (PNG).")
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    weights: Weights = None,
    device: Device = None,
) -> None:
    """Find loops: frames that show a place seen before, verified by the two-view pipeline.

    With --odometry a frame is a keyframe when the camera has moved; settings of the loops are
    given as --set loops.NAME=VALUE.
    """
    with reported_errors():
        given = {
            "network.weights": str(weights) if weights else None,
            "network.device": device,
            "frontend.device": device,
        }
        chosen: dict[str, object] = {
            "loops.candidates": candidates,
            "loops.min_gap": gap,
            "loops.min_inliers": min_inliers,
            "loops.optimise": optimise,
        }
        run(
            source,
            map_file=map_file,
            odometry=_odometry(odometry, mount),
            mode=mode.value,
            every=every,
            frames=frames,
            outputs=Outputs(output, graph, trajectory, picture),
            config=config,
            overrides=chosen | overrides(settings or (), given),
            console=console(),
        )


def run(
    source: str,
    *,
    map_file: Path | None,
    odometry: RecordedOdometry | None,
    mode: str,
    every: int,
    frames: int,
    outputs: Outputs,
    config: Path | None,
    overrides: Mapping[str, object],
    console: Console,
) -> tuple[LoopEdge, ...]:
    """Find and show the loops; all that hold in the map.

    Raises:
        SequenceError, StoreError, VocabularyError, ConfigError, UsageError, MissingGtsam: what was
            given cannot be used.
    """
    from msga_ros.two_view.pipeline import TwoViewPipeline

    outputs.check()
    if map_file is not None:
        writable_file(map_file, "map")
    of_loops = {
        name.removeprefix(_GROUP): value
        for name, value in overrides.items()
        if name.startswith(_GROUP)
    }
    loops: LoopConfig = build(LoopConfig, "loops", of_loops)
    of_pipeline = {key: value for key, value in overrides.items() if not key.startswith(_GROUP)}
    settings = PipelineConfig.load(config, **of_pipeline)
    vocabulary = packaged_vocabulary(settings.frontend.name)
    sequence = open_sequence(source, stereo=mode == "stereo", depth=mode == "rgbd")
    with (
        tempfile.TemporaryDirectory(prefix="msga_loops_") as folder,
        KeyframeStore(map_file or Path(folder) / "keyframes") as store,
    ):
        before = len(store)
        mapper = LoopMapper(store, TwoViewPipeline(settings), vocabulary, loops)
        earlier = mapper.edges
        for view in _views(islice(sequence, frames or None), sequence, every, odometry):
            outcome = mapper.add(view)
            for note in outcome.notes:
                console.print(f"{escape(view.name)}: {escape(note)}")
            for edge in outcome.taken_back:
                names = [store[one].name for one in (edge.current, edge.reference)]
                console.print(f"{' and '.join(names)}: the loop contradicts the rest, taken back")
        found = tuple(edge for edge in mapper.edges if edge not in earlier)
        _show(console, store, found, before)
        _write(outputs, sequence.name, store, mapper, found)
        return mapper.edges


def _views(
    frames: Iterator[Frame], sequence: Sequence, every: int, odometry: RecordedOdometry | None
) -> Iterator[View]:
    known = 0
    for number, frame in enumerate(frames):
        if number % every:
            continue
        pose = None if odometry is None else odometry.at(frame.stamp)
        known += pose is not None
        right = None
        if RIGHT in frame.images:
            if frame.poses is None:
                raise UsageError(f"{sequence.name} does not say where the right camera is")
            rig = frame.poses[RIGHT].relative_to(frame.poses[LEFT])
            right = RightView(frame.images[RIGHT], frame.cameras[RIGHT], rig)
        yield View(
            f"{sequence.name}/{number}",
            frame.stamp,
            frame.images[LEFT],
            frame.cameras[LEFT],
            pose,
            frame.depth,
            right,
        )
    if odometry is not None and not known:
        raise UsageError("--odometry has no pose at any stamp of the frames")


def _odometry(path: Path | None, mount: str | None) -> RecordedOdometry | None:
    if path is None:
        if mount is not None:
            raise UsageError("--mount says nothing without --odometry")
        return None
    if mount is None:
        return RecordedOdometry.read_tum(path)
    try:
        numbers = [float(word) for word in mount.split(",")]
        rotation = rotation_from_quaternion(numbers[3:])
        if len(numbers) != 7 or not np.isfinite(numbers).all():
            raise ValueError
    except ValueError:
        raise UsageError(f"--mount is not x,y,z,qx,qy,qz,qw: {mount}") from None
    return RecordedOdometry.read_tum(path, Pose(rotation, np.array(numbers[:3])))


def _show(console: Console, store: KeyframeStore, found: tuple[LoopEdge, ...], before: int) -> None:
    table = Table("frame", "shows what was seen in", "similarity", "matches", "pose", "length")
    for loop in found:
        length = float(np.linalg.norm(loop.pose.position))
        table.add_row(
            store[loop.current].name,
            store[loop.reference].name,
            f"{loop.similarity:.2f}",
            str(loop.inliers),
            loop.status.name,
            f"{length:.2f} m, by {loop.scale.value}" if loop.metric else "unknown",
        )
    if found:
        console.print(table)
    earlier = f", {before} of them from before" if before else ""
    console.print(f"{len(found)} loops among {len(store)} keyframes{earlier}")


def _write(
    outputs: Outputs,
    name: str,
    store: KeyframeStore,
    mapper: LoopMapper,
    found: tuple[LoopEdge, ...],
) -> None:
    if outputs.loops is not None:
        write_whole(outputs.loops, loops_csv(store, found))
    if outputs.graph is not None:
        write_whole(outputs.graph, "\n".join(graph_lines(mapper)) + "\n")
    path = [one for one in mapper.path() if one.pose is not None]
    if not path and (outputs.trajectory or outputs.picture):
        raise UsageError("no trajectory: no keyframe has odometry")
    if outputs.trajectory is not None:
        poses = [pose_matrix(one.pose.rotation.T, one.pose.centre) for one in path if one.pose]
        write_tum(outputs.trajectory, [one.stamp for one in path], np.array(poses))
    if outputs.picture is not None:
        from msga_ros.evaluation.odometry.loop_plot import plot_loops

        nowhere = np.full(3, np.nan)
        before, after = (
            np.array([nowhere if pose is None else pose.centre for pose in poses])
            for poses in (mapper.odometry(), [one.pose for one in mapper.path()])
        )
        pairs = [(edge.reference, edge.current) for edge in mapper.edges]
        plot_loops(outputs.picture, name, before, after, pairs)
