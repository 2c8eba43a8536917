"""Command line of the package, `msga`: the declarations; the work is in `msga_ros.commands`.

Heavy imports (torch, OpenCV, ROS) happen inside the commands, so that `msga --help` is quick.
"""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msga_ros import __version__
from msga_ros.commands.errors import FAILED, reported_errors

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="msga",
    help="Outlier removal for feature matches with MSGA-Net, and relative pose from them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
bench = typer.Typer(help="How fast it is on this machine.", no_args_is_help=True)
app.add_typer(bench, name="bench")

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Pipeline configuration or node parameters, YAML.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Entry of the configuration, e.g. frontend.ratio=0.8; repeatable."),
]
Weights = Annotated[
    Path | None, typer.Option("--weights", "-w", help="Checkpoint. Default: the packaged one.")
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="Where the network runs: auto (the default), cpu, cuda, cuda:N."),
]


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"msga_ros {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options of all commands."""


class Mode(Enum):
    """Of `msga demo`."""

    stereo = "stereo"
    temporal = "temporal"


class Source(Enum):
    """Of `msga dump`: kinds of collections of posed images."""

    auto = "auto"
    scene = "scene"
    published = "published"
    tum = "tum"
    kitti = "kitti"
    euroc = "euroc"
    colmap = "colmap"


class OdometryMode(Enum):
    """Of `msga vo`."""

    auto = "auto"
    stereo = "stereo"
    mono = "mono"


class Grouping(Enum):
    """Further rows of `msga eval`."""

    all = "all"
    scene = "scene"
    inlier_ratio = "inlier-ratio"


@app.command("match")
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
        str | None, typer.Option(help="Refinement of the pose: none, poselib or magsac.")
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
        status = command.run(request, _console())
        if status is command.Status.TOO_FEW_MATCHES:
            raise typer.Exit(FAILED)


@app.command("eval")
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
        typer.Option("--weights", "-w", help="Checkpoint; repeatable. Default: the packaged one."),
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
        from msga_ros.config import PipelineConfig

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
            console=_console(),
        )


@app.command("dump")
def dump(
    folders: Annotated[list[Path], typer.Argument(help="Collections of posed images.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="HDF5, the published layout.")],
    source: Annotated[
        Source, typer.Option(help="What the folders are; auto looks at their files.")
    ] = Source.auto,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images (scene, colmap), if elsewhere.")
    ] = None,
    camera: Annotated[
        str | None, typer.Option(help="fx,fy,cx,cy or a YAML calibration (tum).")
    ] = None,
    poses: Annotated[Path | None, typer.Option(help="File of the poses (kitti).")] = None,
    pairs: Annotated[int, typer.Option(min=0, help="Of each collection; 0: all.")] = 100,
    pair_list: Annotated[
        Path | None,
        typer.Option(help="These pairs: lines of [SCENE] IMAGE0 IMAGE1, or the names of a dump."),
    ] = None,
    min_frames: Annotated[int, typer.Option(min=1, help="Least distance in time.")] = 1,
    max_frames: Annotated[int, typer.Option(min=0, help="Largest one; 0: any.")] = 0,
    max_angle: Annotated[float, typer.Option(help="Between the optical axes, degrees.")] = 60.0,
    min_overlap: Annotated[
        float,
        typer.Option(
            min=0, help="Share of points seen in both (colmap), or as visibility files count."
        ),
    ] = 0.0,
    min_matches: Annotated[
        int, typer.Option(min=0, help="Matches that agree with the true motion.")
    ] = 20,
    min_parallax: Annotated[
        float, typer.Option(min=0, help="Median of those matches, degrees.")
    ] = 1.5,
    frontend: Annotated[str | None, typer.Option(help="sift, orb or akaze.")] = None,
    max_size: Annotated[
        int | None, typer.Option(min=0, help="Longest side, pixels, that features are found at.")
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    seed: Annotated[int, typer.Option(help="Of the choice of pairs.")] = 0,
    bits: Annotated[
        int, typer.Option(help="Round coordinates to 2^-BITS, which compresses; 0: do not.")
    ] = 0,
    residuals: Annotated[
        bool, typer.Option(help="Write ys; readers of this package compute them if absent.")
    ] = True,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: one a processor.")] = 0,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Ray cluster: auto, HOST:PORT, ray://..., local."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
) -> None:
    """Turn posed images into a dump of correspondences; the same command goes on after a stop."""
    with reported_errors():
        from msga_ros.commands import dump as command
        from msga_ros.commands.settings import overrides
        from msga_ros.config import PipelineConfig
        from msga_ros.training.posed.dump import DumpConfig
        from msga_ros.training.posed.matching import Acceptance
        from msga_ros.training.posed.selection import Selection

        given = {"frontend.name": frontend, "frontend.max_image_size": max_size}
        command.run(
            command.Sources(folders, source.value, images, camera, poses),
            output,
            DumpConfig(
                frontend=PipelineConfig.load(config, **overrides(settings or (), given)).frontend,
                selection=Selection(min_frames, max_frames, max_angle, min_overlap),
                acceptance=Acceptance(min_matches, min_parallax),
                pairs=pairs,
                pair_list=pair_list,
                seed=seed,
                bits=bits,
                residuals=residuals,
            ),
            workers=workers,
            ray=ray,
            overwrite=overwrite,
            console=_console(),
        )


@app.command("train")
def train(
    config: Annotated[Path, typer.Argument(help="Training configuration, YAML.")],
    max_seconds: Annotated[
        float | None,
        typer.Option(min=0, help="Stop after that long; the same command goes on from there."),
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="How many of them.")] = 1,
    precision: Annotated[
        str, typer.Option(help="32-true, bf16-mixed or 16-mixed, as in Lightning Fabric.")
    ] = "32-true",
) -> None:
    """Train the network, or go on with a training that was interrupted."""
    with reported_errors():
        from msga_ros.commands import train as command

        command.run(
            config,
            max_seconds=max_seconds,
            accelerator=accelerator,
            devices=devices,
            precision=precision,
            console=_console(),
        )


@app.command("demo")
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


@app.command("bag")
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
        command.run(request, _console())


@app.command("view")
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
        code = command.run(request, _console())
    raise typer.Exit(code)


@app.command("vo")
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
            console=_console(),
        )


@bench.command("network")
def bench_network(
    matches: Annotated[
        list[int] | None, typer.Option("--matches", "-n", min=1, help="Repeatable.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs of each.")] = 20,
    weights: Weights = None,
    device: Device = None,
    threads: Annotated[int, typer.Option(min=0, help="Of the CPU; 0: as torch chooses.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures.")] = None,
) -> None:
    """Milliseconds of the network on one pair, by the number of matches."""
    with reported_errors():
        from msga_ros.commands import bench as command

        command.run(
            matches or (500, 1000, 2000, 4000),
            repeats=repeats,
            weights=weights,
            device=device or "auto",
            threads=threads,
            json_file=json_file,
            console=_console(),
        )


@bench.command("node")
def bench_node(
    mode: Annotated[Mode, typer.Option(help="What the node compares.")] = Mode.stereo,
    size: Annotated[
        list[str] | None, typer.Option(help="WIDTHxHEIGHT; repeatable. 640x480 and 1280x720.")
    ] = None,
    frontend: Annotated[str, typer.Option(help="sift, orb or akaze.")] = "orb",
    keypoints: Annotated[int, typer.Option(min=8, help="Kept in each view.")] = 1000,
    rate: Annotated[float, typer.Option(min=0.1, help="Frames a second.")] = 10.0,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of sending, for each size.")] = 10.0,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="Parameter of the node, NAME=VALUE; repeatable."),
    ] = None,
    weights: Weights = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures.")] = None,
) -> None:
    """The node in a process of its own over DDS: stamp to pose, rate, CPU, memory, drops."""
    with reported_errors():
        from msga_ros.commands import bench_node as command
        from msga_ros.commands.settings import parse_settings

        options = command.BenchmarkOptions(
            mode=mode.value,
            frontend=frontend,
            keypoints=keypoints,
            rate=rate,
            seconds=seconds,
            weights=str(weights.resolve()) if weights else "",
            parameters=parse_settings(parameter or ()),
        )
        sizes = size or ("640x480", "1280x720")
        command.run(options, sizes, json_file=json_file, console=_console())


def _console() -> Console:
    """Standard output; wide enough for a table where it is a file or a pipe."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=120)


def main() -> None:
    """Entry point of the `msga` command."""
    app()


if __name__ == "__main__":
    main()
