"""`msga match` and `msga demo`: what the pipeline makes of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msga_ros.cli.shared import ConfigFile, Device, Mode, Settings, Weights, console
from msga_ros.commands.errors import FAILED, reported_errors


def match(
    image0: Annotated[Path, typer.Argument(help="Reference view.")],
    image1: Annotated[Path, typer.Argument(help="Current view.")],
    camera: Annotated[
        str | None,
        typer.Option(
            help="fx,fy,cx,cy in pixels; or a YAML file, camera_info as echoed or a ROS "
            "calibration; or a scene.json. Default: the scene.json beside the images."
        ),
    ] = None,
    camera1: Annotated[str | None, typer.Option(help="Of the current view, if another.")] = None,
    fov: Annotated[
        float | None, typer.Option(help="Instead of a camera: horizontal field of view, degrees.")
    ] = None,
    rectified: Annotated[
        bool, typer.Option("--rectified", help="The images are rectified: use the file's P.")
    ] = False,
    frontend: Annotated[str | None, typer.Option(help="sift, orb or akaze.")] = None,
    refine: Annotated[
        str | None,
        typer.Option(help="Refinement of the pose: none, graduated, poselib or magsac."),
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    weights: Weights = None,
    device: Device = None,
    before_after: Annotated[
        bool, typer.Option("--before-after", help="All matches above, the inliers alone below.")
    ] = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture of the matches.")] = Path(
        "matches.png"
    ),
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the pose and the counts there.")
    ] = None,
) -> None:
    """Match two images: a picture of the matches, and the pose x_current = R x_reference + t.

    Exits with 1 where there is no pose.
    """
    with reported_errors():
        from msga_ros.commands import match as command
        from msga_ros.commands.settings import overrides

        given = {
            "frontend.name": frontend,
            "pose.refine": refine,
            "network.weights": str(weights) if weights else None,
            "network.device": device,
        }
        request = command.Request(
            image0=image0,
            image1=image1,
            camera0=camera,
            camera1=camera1,
            fov=fov,
            rectified=rectified,
            config=config,
            overrides=overrides(settings or (), given),
            before_after=before_after,
            output=output,
            json_file=json_file,
        )
        status = command.run(request, console())
        if status is command.Status.TOO_FEW_MATCHES:
            raise typer.Exit(FAILED)


def demo(
    mode: Annotated[Mode, typer.Option(help="Both views at once, or one after another.")] = (
        Mode.stereo
    ),
    source: Annotated[
        str | None,
        typer.Option(
            help="Folder with a scene.json, or a video (mode temporal). Default: a rendered scene."
        ),
    ] = None,
    frames: Annotated[int | None, typer.Option(min=0, help="At most that many; 0: all.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0, help="Frames a second; 0: as they were taken.")
    ] = None,
    frontend: Annotated[str | None, typer.Option(help="sift, orb or akaze.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the logs and the pictures.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="Parameter of the node, NAME=VALUE; repeatable."),
    ] = None,
) -> None:
    """Run the node on images with known poses, over ROS 2, and show what it finds.

    Exits with 1 where no pose was published, with 2 where ROS is missing or the source unusable.
    """
    with reported_errors():
        from msga_ros.commands import demo as command

        code = command.run(
            mode=mode.value,
            source=source,
            frames=frames,
            rate=rate,
            frontend=frontend,
            output=output,
            parameters=parameter or (),
        )
    raise typer.Exit(code)
