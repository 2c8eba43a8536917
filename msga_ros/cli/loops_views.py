"""Where the views of `msga loops` are from: a folder, a video, or a bag."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape

from msga_ros.bags.loop_odometry import NONE
from msga_ros.bags.loop_views import BagViews, Request
from msga_ros.bags.options import read_settings
from msga_ros.bags.storage_files import is_bag
from msga_ros.cli.errors import UsageError
from msga_ros.datasets.sequences.base import LEFT, RIGHT, Frame, Sequence
from msga_ros.datasets.sequences.source import open_sequence
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.rotations import rotation_from_quaternion
from msga_ros.loops.odometry_file import RecordedOdometry
from msga_ros.loops.reports import RightView, View
from msga_ros.odometry.mount import Mount
from msga_ros.stream.loops.parameters import LOOP_PARAMETERS
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.pipeline import TwoViewPipeline

_MODES = {"mono": "temporal", "stereo": "stereo", "rgbd": "rgbd"}  # as the node calls them


@dataclass(frozen=True)
class Wanted:
    """What the command line says of the views; `topics` by input name."""

    mode: str
    every: int
    frames: int
    odometry: Path | None = None
    mount: str | None = None
    odom: str | None = None
    topics: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceOfViews:
    """`name` for people; `pipeline`: the configuration; `described`: what else decides the views.

    `views`, by the pipeline that is made of it, in order: those after the first so many, which an
    interrupted run has done, with the `state()` that there was after them. Plain values.
    """

    name: str
    pipeline: PipelineConfig
    described: Mapping[str, object]
    views: Callable[[TwoViewPipeline, int, Any], Iterator[View]]
    state: Callable[[], Any] = lambda: None


def open_views(
    source: str,
    wanted: Wanted,
    config: Path | None,
    overrides: Mapping[str, object],
    console: Console,
) -> SourceOfViews:
    """`overrides`: of the pipeline and, for a bag, parameters of the node.

    Raises `SequenceError`, `BagError`, `ConfigError`, `UsageError`.
    """
    odometry = _odometry(wanted)
    path = Path(source).expanduser()
    if path.exists() and is_bag(path):
        return _of_bag(path, wanted, odometry, config, overrides, console)
    if wanted.odom is not None or wanted.topics:
        raise UsageError(f"{source}: no bag: --odom and --topic are for bags")
    if wanted.mount is not None and odometry is None:
        raise UsageError("--mount says nothing without --odometry")
    settings = PipelineConfig.load(config, **overrides)
    sequence = open_sequence(source, stereo=wanted.mode == "stereo", depth=wanted.mode == "rgbd")

    def views(_: TwoViewPipeline, done: int, state: Any) -> Iterator[View]:
        frames = islice(sequence, wanted.frames or None)
        return islice(_of_frames(frames, sequence, wanted.every, odometry), done, None)

    return SourceOfViews(sequence.name, settings, _described(wanted), views)


def _of_bag(
    path: Path,
    wanted: Wanted,
    odometry: RecordedOdometry | None,
    config: Path | None,
    overrides: Mapping[str, object],
    console: Console,
) -> SourceOfViews:
    others = {one.name for one in LOOP_PARAMETERS}
    settings = read_settings(config, {**overrides, "mode": _MODES[wanted.mode]}, others)
    if odometry is not None and wanted.odom is not None:
        raise UsageError("give either --odometry or --odom")
    place = None if wanted.mount is None else _mount(wanted.mount)
    request = Request(
        path,
        settings,
        wanted.topics,
        wanted.odom,
        None if place is None else Mount("", place.rotation, place.translation),
        wanted.every,
        wanted.frames,
        None if odometry is None else odometry.at,
    )

    def warn(text: str) -> None:
        console.print(f"[yellow]warning[/] {escape(text)}", highlight=False)

    opened = BagViews(request, warn)
    console.print(f"odometry: {escape(str(opened.source))}", highlight=False)
    if opened.source.topic == NONE:
        console.print("without one loops have no length, and there is no trajectory")
    described = {**_described(wanted), "settings": dict(settings.values)}
    return SourceOfViews(path.name, settings.pipeline, described, opened.views, opened.state)


def _described(wanted: Wanted) -> dict[str, object]:
    given = wanted.odometry
    return {"wanted": asdict(wanted), "odometry": None if given is None else given.read_text()}


def _of_frames(
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


def _odometry(wanted: Wanted) -> RecordedOdometry | None:
    if wanted.odometry is None:
        return None
    place = None if wanted.mount is None else _mount(wanted.mount)
    return RecordedOdometry.read_tum(wanted.odometry, place)


def _mount(text: str) -> Pose:
    """The camera in the body: `x_body = R x_camera + t`."""
    try:
        numbers = [float(word) for word in text.split(",")]
        rotation = rotation_from_quaternion(numbers[3:])
        if len(numbers) != 7 or not np.isfinite(numbers).all():
            raise ValueError
    except ValueError:
        raise UsageError(f"--mount is not x,y,z,qx,qy,qz,qw: {text}") from None
    return Pose(rotation, np.array(numbers[:3]))
