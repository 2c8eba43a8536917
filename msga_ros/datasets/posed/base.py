"""What every reader of a collection gives: images with their cameras and poses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose


class PosedImagesError(ValueError):
    """A collection that cannot be read, or a dump that cannot be made; the message says why."""


@dataclass(frozen=True)
class PosedImage:
    """One image of a collection.

    Attributes:
        name: unique in the collection; the dump names pairs by it.
        path: the file.
        camera: of the image as it is on disk, with its distortion.
        pose: world to camera.
        frame: position in time; images of a rig at one moment share it. Where there is no time,
            the position in the list.
        group: images of different groups may not be paired, where the collection says so.
    """

    name: str
    path: Path
    camera: Camera
    pose: Pose
    frame: int
    group: int | None = None


@dataclass(frozen=True)
class PosedScene:
    """A collection of one place.

    Attributes:
        name: without blanks, slashes or colons, so that it is the first word of a pair's name.
        images: in order.
        pairs_only: only images of one `group` may be paired.
        visibility: `(n, n)` how much each two images see in common, where the collection tells:
            a share in 0..1 of the points of the image with fewer, or what the source counts.
        unordered: the images have no order in time, so a distance in frames says nothing.
    """

    name: str
    images: tuple[PosedImage, ...]
    pairs_only: bool = False
    visibility: NDArray[np.float32] | None = None
    unordered: bool = False

    def __post_init__(self) -> None:
        names = [image.name for image in self.images]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise PosedImagesError(f"scene {self.name}: two images are called {twice!r}")

    def __len__(self) -> int:
        return len(self.images)


def plain_name(text: str) -> str:
    """`text` as the name of a scene: blanks, slashes and colons become underscores."""
    return "".join("_" if c.isspace() or c in "/\\:" else c for c in text) or "scene"


def read_lines(path: Path) -> list[str]:
    """Lines of a text file without comments and blank lines; `PosedImagesError` names the file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PosedImagesError(f"{path}: cannot be read ({error})") from None
    stripped = (line.strip() for line in lines)
    return [line for line in stripped if line and not line.startswith("#")]


def numbers(words: list[str], count: int, where: str) -> NDArray[np.float64]:
    """The first `count` of `words` as finite numbers; `where` (file and line) is for the error."""
    try:
        values = np.array([float(word) for word in words[:count]])
    except ValueError:
        values = np.empty(0)
    if values.size != count or not np.isfinite(values).all():
        raise PosedImagesError(f"{where}: {count} numbers are expected, not {' '.join(words)!r}")
    return values
