"""What every reader of a collection gives: images with their cameras and poses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msga_ros.foreign_text import read_text, shown
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.rotations import checked_rotation


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


def numbered_lines(path: Path) -> list[tuple[str, str]]:
    """Lines of a text file without comments and blank lines, each behind its place, for errors.

    Raises `PosedImagesError`, which names the file.
    """
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PosedImagesError(f"{path}: cannot be read ({error})") from None
    placed = ((f"{path}, line {number}", line.strip()) for number, line in enumerate(lines, 1))
    return [(where, line) for where, line in placed if line and not line.startswith("#")]


def read_lines(path: Path) -> list[str]:
    """Lines of a text file without comments and blank lines; `PosedImagesError` names the file."""
    return [line for _, line in numbered_lines(path)]


def numbers(words: list[str], count: int, where: str) -> NDArray[np.float64]:
    """`words` as `count` finite numbers; `where` (file and line) is for the error."""
    try:
        values = np.array([float(word) for word in words[: count + 1]])
    except ValueError:
        values = np.empty(0)
    if len(words) != count or values.size != count or not np.isfinite(values).all():
        text = shown(" ".join(words))
        raise PosedImagesError(
            f"{where}: {count} numbers are expected, not {len(words)} words: {text!r}"
        )
    return values


def rotation(matrix: ArrayLike, where: str) -> NDArray[np.float64]:
    """`matrix` as a rotation (3, 3); `PosedImagesError` where it is none, with its place."""
    try:
        return checked_rotation(matrix)
    except ValueError as error:
        raise PosedImagesError(f"{where}: {error}") from None
