"""`msga dump`: collections of posed images to a dump of correspondences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from msga_ros.commands.cameras import calibrated_camera
from msga_ros.commands.errors import UsageError, existing_file, writable_file
from msga_ros.commands.progress import progress_bar
from msga_ros.datasets.posed.base import PosedScene
from msga_ros.datasets.posed.dump import DumpConfig, SceneSummary, dump
from msga_ros.datasets.posed.executors import Executor, local, ray_cluster
from msga_ros.datasets.posed.sources import open_scene


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
            open_scene(folder, self.kind, images=self.images, camera=camera, poses=self.poses)
            for folder in self.folders
        ]


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
    told = f"{output}: {pairs} pairs, {size / 1e6:.1f} MB ({size / pairs / 1e3:.1f} kB a pair)"
    console.print(told, highlight=False, soft_wrap=True)
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
