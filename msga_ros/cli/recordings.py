"""`msga bag` and `msga view`: recordings in, results out or on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msga_ros.cli.shared import ConfigFile, Device, Mode, Weights, console
from msga_ros.commands.errors import reported_errors


def bag(
    source: Annotated[Path, typer.Argument(metavar="IN", help="rosbag2 folder, .mcap or .db3.")],
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
    image: Annotated[str | None, typer.Option(help="Topic, temporal. Default: /image.")] = None,
    camera_info: Annotated[
        str | None, typer.Option(help="Topic, temporal. Default: beside the image.")
    ] = None,
    namespace: Annotated[str, typer.Option(help="Of the topics that are written.")] = "/msga",
    matches_image: Annotated[
        str, typer.Option(help="Write pictures of the matches: none, raw or jpeg.")
    ] = "none",
    storage: Annotated[
        str, typer.Option(help="Of the new bag: mcap or sqlite3. Default: as the old one.")
    ] = "",
    rectified: Annotated[
        bool, typer.Option("--rectified", help="The images are rectified: P of camera_info counts.")
    ] = False,
    trajectory: Annotated[
        bool, typer.Option(help="Run the odometry as well, and write trajectories.")
    ] = True,
    config: ConfigFile = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--set", help="Parameter of the node, NAME=VALUE; repeatable."),
    ] = None,
    weights: Weights = None,
    device: Device = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Run the pipeline on a recorded bag, without ROS: a bag of correspondences and poses.

    OUT holds trajectories in TUM and KITTI format too. An interrupted run goes on when the same
    command is given again.
    """
    with reported_errors():
        from msga_ros.commands import bag as command
        from msga_ros.commands.settings import overrides

        topics = {
            "left/image": left_image,
            "left/camera_info": left_camera_info,
            "right/image": right_image,
            "right/camera_info": right_camera_info,
            "image": image,
            "camera_info": camera_info,
        }
        given = {
            "mode": mode.value if mode else None,
            "rectified": True if rectified else None,
            "network.weights": str(weights) if weights else None,
            "network.device": device,
        }
        request = command.Request(
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
        command.run(request, console())


def view(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder with a scene.json, video, bag (of images, or written by `msga bag`), "
            "or `node`: a running one."
        ),
    ],
    save: Annotated[
        Path | None, typer.Option(help="Write a recording (.rrd) instead of opening the viewer.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="Both views at once, or one after another.")] = (
        Mode.temporal
    ),
    frames: Annotated[int, typer.Option(min=0, help="At most that many pairs; 0: all.")] = 0,
    topic: Annotated[
        list[str] | None,
        typer.Option("--topic", help="INPUT=TOPIC of a bag, as left/image=/cam0; repeatable."),
    ] = None,
    namespace: Annotated[str, typer.Option(help="Of the node's topics.")] = "/msga",
    config: ConfigFile = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--set", help="Parameter of the node, NAME=VALUE; repeatable."),
    ] = None,
    weights: Weights = None,
    device: Device = None,
) -> None:
    """Show images with their matches, triangulated points and cameras in the viewer Rerun.

    Exits with 1 where there was nothing to show.
    """
    with reported_errors():
        from msga_ros.commands import view as command
        from msga_ros.commands.settings import overrides, parse_settings

        given = {
            "mode": mode.value,
            "network.weights": str(weights) if weights else None,
            "network.device": device,
        }
        request = command.Request(
            source=source,
            save=save,
            config=config,
            parameters=overrides(parameter or (), given),
            topics={name: str(value) for name, value in parse_settings(topic or ()).items()},
            namespace=namespace,
            frames=frames,
        )
        code = command.run(request, console())
    raise typer.Exit(code)
