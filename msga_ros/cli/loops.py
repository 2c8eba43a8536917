"""`msga loops`: where a sequence comes back to places that it has seen, without ROS."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from msga_ros.cli.errors import UsageError, reported_errors, writable_file
from msga_ros.cli.interrupts import interruptible
from msga_ros.cli.loops_files import graph_lines, loops_csv
from msga_ros.cli.loops_resume import InterruptedRun, fingerprint
from msga_ros.cli.loops_views import Wanted, open_views
from msga_ros.cli.settings import overrides, parse_settings
from msga_ros.cli.shared import BagTopics, ConfigFile, Device, Settings, Weights, console
from msga_ros.configuration.yaml_dataclass import build
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.mapping import LoopMapper
from msga_ros.loops.places import packaged_places
from msga_ros.loops.reports import LoopEdge
from msga_ros.loops.store import KeyframeStore
from msga_ros.odometry.poses import pose_matrix
from msga_ros.odometry.trajectory import write_tum
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
        str, typer.Argument(help="Bag, folder with a scene.json, video, or `synthetic`.")
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
            help="x,y,z,qx,qy,qz,qw: the camera in the body that the odometry moves. Default: of "
            "--odometry the camera itself, of a bag what its /tf_static says."
        ),
    ] = None,
    odom: Annotated[
        str | None,
        typer.Option(
            help="Of a bag: topic of nav_msgs/Odometry, tf:PARENT:CHILD, own (stereo, rgbd) or "
            "none. Default: what there is, in this order."
        ),
    ] = None,
    topic: BagTopics = None,
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

    With odometry a frame is a keyframe when the camera has moved; settings of the loops are
    given as --set loops.NAME=VALUE, and of a bag those of the node, as --set sync.slop=0.01.
    With --map an interrupted run goes on when the same command is given again.
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
            wanted=Wanted(
                mode=mode.value,
                every=every,
                frames=frames,
                odometry=odometry,
                mount=mount,
                odom=odom,
                topics={name: str(value) for name, value in parse_settings(topic or ()).items()},
            ),
            outputs=Outputs(output, graph, trajectory, picture),
            config=config,
            overrides=chosen | overrides(settings or (), given),
            console=console(),
        )


def run(
    source: str,
    *,
    map_file: Path | None,
    wanted: Wanted,
    outputs: Outputs,
    config: Path | None,
    overrides: Mapping[str, object],
    console: Console,
) -> tuple[LoopEdge, ...]:
    """Find and show the loops; all that hold in the map.

    Raises:
        SequenceError, BagError, StoreError, VocabularyError, ConfigError, UsageError, MissingGtsam:
            what was given cannot be used.
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
    source_of_views = open_views(source, wanted, config, of_pipeline, console)
    settings = source_of_views.pipeline.alone  # stored keyframes have no image to ask about
    places = packaged_places(settings.frontend)
    pipeline = TwoViewPipeline(settings)
    described = {**source_of_views.described, "loops": dataclasses.asdict(loops)}
    unfinished = InterruptedRun(map_file, fingerprint(source, settings, described))
    kept, said = unfinished.kept()
    if said:
        console.print(escape(said), highlight=False)
    with (
        interruptible(),
        _explained(console, map_file),
        tempfile.TemporaryDirectory(prefix="msga_loops_") as folder,
        KeyframeStore(
            map_file or Path(folder) / "keyframes", end=None if kept is None else kept.end
        ) as store,
    ):
        mapper = LoopMapper(store, pipeline, places, loops)
        done, before, state = 0, len(store), None
        if kept is not None:
            done, before, state = kept.views, kept.before, kept.odometry
            mapper.load_state_dict(kept.mapper)
        else:
            unfinished.keep(0, before, store, mapper, lambda: None)
        for view in source_of_views.views(pipeline, done, state):
            outcome = mapper.add(view)
            for note in outcome.notes:
                console.print(f"{escape(view.name)}: {escape(note)}")
            for edge in outcome.taken_back:
                names = [store[one].name for one in (edge.current, edge.reference)]
                console.print(f"{' and '.join(names)}: the loop contradicts the rest, taken back")
            done += 1
            unfinished.keep_some(done, before, store, mapper, source_of_views.state)
        unfinished.keep(done, before, store, mapper, source_of_views.state)
        found = tuple(edge for edge in mapper.edges if edge.current >= before)
        _show(console, store, found, before)
        _write(outputs, source_of_views.name, store, mapper, found)
        unfinished.end()
        return mapper.edges


@contextmanager
def _explained(console: Console, map_file: Path | None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if map_file is None:
            console.print("interrupted; with --map FILE the same command would go on from here")
        else:
            console.print("interrupted; the same command goes on from here")
        raise


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
