"""`msga bag`: a recorded bag through the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msga_ros.bags.errors import require_rosbags
from msga_ros.bags.options import read_settings
from msga_ros.bags.outputs import PICTURES, STORAGES, OutputOptions
from msga_ros.cli.bag_summary import print_summary
from msga_ros.cli.errors import NOTHING_USABLE, UsageError, reported_errors
from msga_ros.cli.interrupts import interruptible
from msga_ros.cli.settings import overrides
from msga_ros.cli.shared import (
    ConfigFile,
    Device,
    Mode,
    NodeParameters,
    Overwrite,
    Rectified,
    Weights,
    console,
)
from msga_ros.stream.message_set import DEPTH_INPUT
from msga_ros.terminal.progress import progress_bar
from msga_ros.whole_files import named

if TYPE_CHECKING:
    from rich.console import Console

    from msga_ros.bags.summary import Summary


@dataclass(frozen=True)
class Request:
    """What the command line says; `topics` by input name, `parameters` by the node's names."""

    source: Path
    target: Path
    config: Path | None
    parameters: Mapping[str, object]
    topics: Mapping[str, str]
    namespace: str
    picture: str
    storage: str
    trajectory: bool
    overwrite: bool


def command(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="rosbag2 folder, .mcap, .db3, or ROS 1 .bag.")
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the new bag.")],
    mode: Annotated[
        Mode | None, typer.Option(help="Default: that of the configuration, or stereo.")
    ] = None,
    left_image: Annotated[str | None, typer.Option(help="Topic. Default: /left/image.")] = None,
    right_image: Annotated[str | None, typer.Option(help="Topic. Default: /right/image.")] = None,
    left_camera_info: Annotated[
        str | None, typer.Option(help="Topic. Default: beside the image.")
    ] = None,
    right_camera_info: Annotated[
        str | None, typer.Option(help="Topic. Default: beside the image.")
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="Topic, temporal and rgbd. Default: /image.")
    ] = None,
    camera_info: Annotated[
        str | None, typer.Option(help="Topic, temporal and rgbd. Default: beside the image.")
    ] = None,
    depth_image: Annotated[
        str | None, typer.Option(help="Topic, rgbd. Default: /depth/image.")
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(help="File of the camera, or of a stereo rig with both, for camera_info."),
    ] = None,
    left_calibration: Annotated[
        str | None, typer.Option(help="Calibration file for left camera_info.")
    ] = None,
    right_calibration: Annotated[
        str | None, typer.Option(help="Calibration file for right camera_info.")
    ] = None,
    namespace: Annotated[str, typer.Option(help="Of the topics that are written.")] = "/msga",
    matches_image: Annotated[
        str, typer.Option(help="Write pictures of the matches: none, raw or jpeg.")
    ] = "none",
    storage: Annotated[
        str, typer.Option(help="Of the new bag: mcap or sqlite3. Default: as the old one.")
    ] = "",
    rectified: Rectified = False,
    trajectory: Annotated[
        bool, typer.Option(help="Run the odometry as well, and write trajectories.")
    ] = True,
    config: ConfigFile = None,
    parameter: NodeParameters = None,
    weights: Weights = None,
    device: Device = None,
    overwrite: Overwrite = False,
) -> None:
    """Run the pipeline on a recorded bag, without ROS: a bag of correspondences and poses.

    OUT holds trajectories in TUM and KITTI format too. An interrupted run goes on when the same
    command is given again. Exit status 3: nothing usable came out, and the summary says why.
    """
    with reported_errors():
        topics = {
            "left/image": left_image,
            "left/camera_info": left_camera_info,
            "right/image": right_image,
            "right/camera_info": right_camera_info,
            "image": image,
            "camera_info": camera_info,
            DEPTH_INPUT: depth_image,
        }
        given = {
            "mode": mode.value if mode else None,
            "rectified": True if rectified else None,
            "calibration": calibration,
            "left/calibration": left_calibration,
            "right/calibration": right_calibration,
            "network.weights": str(weights) if weights else None,
            "network.device": device,
            "frontend.device": device,
        }
        request = Request(
            source=source,
            target=target,
            config=config,
            parameters=overrides(parameter or (), given),
            topics={name: topic for name, topic in topics.items() if topic},
            namespace=namespace,
            picture=matches_image,
            storage=storage,
            trajectory=trajectory,
            overwrite=overwrite,
        )
        with named(target):
            summary = run(request, console())
    if not summary.usable:
        raise typer.Exit(NOTHING_USABLE)


def run(request: Request, console: Console) -> Summary:
    """Process the bag, show the progress, print what was done."""
    require_rosbags()
    _check_choice("--matches-image", request.picture, PICTURES)
    _check_choice("--storage", request.storage, ("", *STORAGES))
    from msga_ros.bags.run import Request as Work
    from msga_ros.bags.run import run as process

    settings = read_settings(request.config, request.parameters)
    work = Work(
        source=request.source,
        target=request.target,
        settings=settings,
        topics=request.topics,
        outputs=OutputOptions(
            namespace="/" + request.namespace.strip("/"),
            picture=request.picture,
            max_lines=settings["publish.max_lines"],
        ),
        storage=request.storage,
        trajectory=request.trajectory,
        overwrite=request.overwrite,
    )

    def load() -> object:
        from msga_ros.two_view.pipeline import TwoViewPipeline

        return TwoViewPipeline(settings.pipeline)

    with interruptible(), progress_bar(console) as bar:
        task = bar.add_task("messages", total=None, visible=False)
        try:
            summary = process(
                work,
                load,  # type: ignore[arg-type]
                warn=lambda text: bar.console.print(f"[yellow]warning[/] {text}", highlight=False),
                progress=lambda done, total: bar.update(
                    task, completed=done, total=total, visible=True
                ),
            )
        except KeyboardInterrupt:
            bar.console.print("interrupted; the same command goes on from here")
            raise
    print_summary(console, str(request.target), summary)
    return summary


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        offered = ", ".join(one for one in choices if one)
        raise UsageError(f"{option} must be one of {offered}, not {value!r}")
