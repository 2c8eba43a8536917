"""`msga dump`, `msga compact`, `msga train` and `msga ablate`: posed images to weights."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from msga_ros.cli.shared import ConfigFile, Settings, console
from msga_ros.commands.errors import reported_errors


class Precision(Enum):
    """Of `msga train`, by Lightning Fabric's names."""

    full = "32-true"
    half = "bf16-mixed"


class Source(Enum):
    """Of `msga dump`: kinds of collections of posed images."""

    auto = "auto"
    scene = "scene"
    published = "published"
    tum = "tum"
    kitti = "kitti"
    euroc = "euroc"
    colmap = "colmap"


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
        from msga_ros.datasets.posed.dump import DumpConfig
        from msga_ros.datasets.posed.matching import Acceptance
        from msga_ros.datasets.posed.selection import Selection
        from msga_ros.two_view.config import PipelineConfig

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
            console=console(),
        )


def compact(
    dumps: Annotated[list[Path], typer.Argument(help="Dumps of correspondences.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="One file for all of them.")],
    pairs: Annotated[
        int, typer.Option(min=0, help="At most that many of each place, drawn at random; 0: all.")
    ] = 0,
    most_matches: Annotated[
        int,
        typer.Option(
            min=0, help="At most that many of a pair: mutual ones up to two thirds. 0: all."
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
) -> None:
    """Join dumps in a compact form, half as large or less; training and evaluation read it."""
    with reported_errors():
        from msga_ros.commands import compact as command

        thinning = command.Thinning(pairs, most_matches, seed)
        command.run(dumps, output, thinning, overwrite=overwrite, console=console())


def export(
    weights: Annotated[str, typer.Argument(help="A set in the package, or a checkpoint.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.onnx")],
) -> None:
    """Write a network as an ONNX file, for ONNX Runtime here or in another language."""
    with reported_errors():
        from msga_ros.commands import export as command

        command.run(weights, output, console=console())


def train(
    config: Annotated[Path, typer.Argument(help="Training configuration, YAML.")],
    max_seconds: Annotated[
        float | None,
        typer.Option(min=0, help="Stop after that long; the same command goes on from there."),
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="How many of them, on each node.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines of a cluster.")] = 1,
    precision: Annotated[
        Precision, typer.Option(help="Half precision is for the network, not for the losses.")
    ] = Precision.full,
) -> None:
    """Train the network, or go on with a training that was interrupted."""
    with reported_errors():
        from msga_ros.commands import train as command

        command.run(
            config,
            max_seconds=max_seconds,
            accelerator=accelerator,
            devices=devices,
            nodes=nodes,
            precision=precision.value,
            console=console(),
        )


def ablate(
    config: Annotated[Path, typer.Argument(help="Ablations, YAML.")],
    table: Annotated[
        Path | None, typer.Option("--table", help="Write the table, Markdown.")
    ] = None,
) -> None:
    """Train and judge every variant of a configuration; the same command goes on after a stop."""
    with reported_errors():
        from msga_ros.commands import ablate as command

        command.run(config, table_file=table, console=console())
