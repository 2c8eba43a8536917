"""Readers of collections of posed images by name, and which of them a folder is for."""

from __future__ import annotations

from pathlib import Path

from msga_ros.datasets.posed import colmap, euroc, kitti, published, scene_json, tum
from msga_ros.datasets.posed.base import PosedImagesError, PosedScene
from msga_ros.geometry.camera import Camera

# In this order: the images.txt of the published folders is not that of COLMAP.
KINDS = {
    "scene": scene_json,
    "published": published,
    "tum": tum,
    "kitti": kitti,
    "euroc": euroc,
    "colmap": colmap,
}


def detect(folder: Path) -> str:
    """Which kind of collection a folder is; `PosedImagesError` where it is none."""
    for name, module in KINDS.items():
        if module.is_scene(folder):
            return name
    raise PosedImagesError(
        f"{folder}: no collection of posed images that is known ({', '.join(KINDS)})"
    )


def open_scene(
    folder: str | Path,
    kind: str = "auto",
    *,
    images: Path | None = None,
    camera: Camera | None = None,
    poses: Path | None = None,
) -> PosedScene:
    """The collection in a folder.

    Args:
        folder: see the module of each kind.
        kind: one of `KINDS`, or `auto`.
        images: where the images are (scene, colmap).
        camera: instead of the published one (tum).
        poses: file of the poses (kitti).

    Raises:
        PosedImagesError: not such a collection, or one that is broken.
    """
    folder = Path(folder).absolute()  # workers may have another working directory
    if not folder.is_dir():
        raise PosedImagesError(f"{folder}: not a folder")
    kind = detect(folder) if kind == "auto" else kind
    if kind == "scene":
        return scene_json.read(folder, images and images.absolute())
    if kind == "colmap":
        return colmap.read(folder, images and images.absolute())
    if kind == "tum":
        return tum.read(folder, camera)
    if kind == "kitti":
        return kitti.read(folder, poses)
    if kind == "euroc":
        return euroc.read(folder)
    if kind == "published":
        return published.read(folder)
    raise PosedImagesError(f"unknown kind of collection {kind!r}; there are {', '.join(KINDS)}")
