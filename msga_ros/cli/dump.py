"""`msga dump`: collections of posed images to a dump of correspondences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from msga_ros.cli.cameras import calibrated_camera
from msga_ros.cli.errors import UsageError, existing_file, not_a_bag, reported_errors, writable_file
from msga_ros.cli.interrupts import interruptible
from msga_ros.cli.settings import overrides
from msga_ros.cli.shared import ConfigFile, FrontendName, MatcherName, Overwrite, Settings, console
from msga_ros.datasets.posed.base import PosedScene
from msga_ros.datasets.posed.dump import DumpConfig, SceneSummary, dump
from msga_ros.datasets.posed.executors import Executor, local, ray_cluster
from msga_ros.datasets.posed.matching import Acceptance
from msga_ros.datasets.posed.selection import Selection
from msga_ros.datasets.posed.sources import open_scene
from msga_ros.terminal.progress import progress_bar
from msga_ros.two_view.config import PipelineConfig


@dataclass(frozen=True)
class Sources:
    """Where the images are; see `msga_ros.datasets.posed.sources.open_scene`."""

    folders: Sequence[Path]
    kind: str = "auto"
    images: Path | None = None
    camera: str | None = None
    poses: Path | None = None

    def open(self) -> list[PosedScene]:
        """All collections. Options of a single collection are refused for several."""
        if len(self.folders) > 1 and (self.images or self.poses):
            raise UsageError("--images and --poses are for a single collection")
        if self.poses:
            existing_file(self.poses, "poses")
        camera = calibrated_camera(self.camera) if self.camera else None
        return [
            open_scene(
                not_a_bag(folder), self.kind, images=self.images, camera=camera, poses=self.poses
            )
            for folder in self.folders
        ]


class Source(Enum):
    """Of `msga dump`: kinds of collections of posed images."""

    auto = "auto"
    scene = "scene"
    published = "published"
    tum = "tum"
    kitti = "kitti"
    euroc = "euroc"
    colmap = "colmap"


def command(
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
    frontend: FrontendName = None,
    matcher: MatcherName = None,
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
    overwrite: Overwrite = False,
) -> None:
    """Turn posed images into a dump of correspondences; the command goes on after a stop."""
    with reported_errors(goes_on=True), interruptible():
        given = {
            "frontend.name": frontend,
            "frontend.matcher": matcher,
            "frontend.max_image_size": max_size,
        }
        run(
            Sources(folders, source.value, images, camera, poses),
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


def run(
    sources: Sources,
    output: Path,
    config: DumpConfig,
    *,
    workers: int,
    ray: str | None,
    overwrite: bool,
    console: Console,
) -> list[SceneSummary]:
    """Make the dump, or go on with it; print what became of the pairs.

    Raises:
        UsageError: the output exists, or an input does not.
        PosedImagesError: a collection cannot be read, or no pair could be kept.
    """
    writable_file(output, "dump")
    if output.exists() and not overwrite:
        raise UsageError(f"{output} exists (--overwrite replaces it)")
    if config.pair_list is not None:
        existing_file(config.pair_list, "list of pairs")
    scenes = sources.open()
    execute = local(workers) if ray is None else ray_cluster(ray, workers)
    summaries = _with_progress(scenes, output, config, execute)
    console.print(table(summaries))
    size = output.stat().st_size
    pairs = sum(summary.kept for summary in summaries)
    line = f"{output}: {pairs} pairs, {size / 1e6:.1f} MB ({size / pairs / 1e3:.1f} kB a pair)"
    console.print(line, highlight=False, soft_wrap=True)
    return summaries


def table(summaries: Sequence[SceneSummary]) -> Table:
    """What each scene gave, and why pairs were not kept."""
    result = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    result.add_column("scene", overflow="fold")
    for name in ("candidates", "matched", "kept"):
        result.add_column(name, justify="right")
    result.add_column("not kept", overflow="fold")
    for summary in summaries:
        reasons = sorted(summary.rejected.items(), key=lambda item: -item[1])
        result.add_row(
            escape(summary.name),
            *(str(count) for count in (summary.candidates, summary.matched, summary.kept)),
            escape(", ".join(f"{count} {reason}" for reason, count in reasons)),
        )
    return result


def _with_progress(
    scenes: Sequence[PosedScene], output: Path, config: DumpConfig, execute: Executor
) -> list[SceneSummary]:
    with progress_bar() as progress:
        task = progress.add_task("matching", total=None)

        def advance(done: int, total: int, kept: int) -> None:
            progress.update(task, completed=done, total=total, description=f"{kept} pairs kept")

        return dump(scenes, output, config, execute, advance)
