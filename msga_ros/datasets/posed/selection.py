"""Which pairs of a collection are worth matching, before any image is read."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.dumps import DumpFile
from msga_ros.datasets.posed.base import PosedImagesError, PosedScene
from msga_ros.foreign_text import read_text


@dataclass(frozen=True)
class Selection:
    """Criteria of a candidate; all of them hold.

    Attributes:
        min_frames, max_frames: distance in time, in frames; 0 as the maximum: any. Images of one
            moment (a stereo pair) are always near enough. Collections without order ignore both.
        max_angle: degrees between the optical axes.
        min_overlap: what both images see in common, where the collection tells: above this. For
            COLMAP a share in 0..1; for the published folders what their visibility files hold.
    """

    min_frames: int = 1
    max_frames: int = 0
    max_angle: float = 60.0
    min_overlap: float = 0.0

    def __post_init__(self) -> None:
        if self.min_frames < 1 or self.max_frames < 0:
            raise PosedImagesError("distances in frames must be at least 1 (0 as maximum: any)")
        if not 0.0 < self.max_angle <= 180.0:
            raise PosedImagesError(f"max_angle must be in (0, 180] degrees, not {self.max_angle}")
        if self.min_overlap < 0.0:
            raise PosedImagesError(f"min_overlap must not be negative, but is {self.min_overlap}")


def candidates(scene: PosedScene, selection: Selection, seed: int) -> NDArray[np.int32]:
    """Pairs `(m, 2)`, i < j, in a random order that depends on the seed and the scene's name."""
    count = len(scene)
    if count < 2:
        return np.empty((0, 2), np.int32)
    axes = np.array([image.pose.rotation[2] for image in scene.images])  # z axis, in the world
    centres = np.array([image.pose.centre for image in scene.images])
    frames = np.array([image.frame for image in scene.images])
    groups = [image.group for image in scene.images]
    least = np.cos(np.deg2rad(selection.max_angle)) - 1e-12
    found = []
    for i in range(count - 1):
        after = slice(i + 1, None)
        good = axes[after] @ axes[i] >= least
        good &= (centres[after] != centres[i]).any(axis=1)
        if not scene.unordered:
            distance = np.abs(frames[after] - frames[i])
            near = distance >= selection.min_frames
            if selection.max_frames:
                near &= distance <= selection.max_frames
            good &= near | (distance == 0)
        if scene.visibility is not None:
            good &= scene.visibility[i, after] > selection.min_overlap
        if scene.pairs_only:
            same = [group is not None and group == groups[i] for group in groups[i + 1 :]]
            good &= np.array(same)
        second = np.flatnonzero(good) + i + 1
        found.append(np.column_stack((np.full_like(second, i), second)).astype(np.int32))
    generator = np.random.default_rng([seed, zlib.crc32(scene.name.encode())])
    return generator.permutation(np.concatenate(found))


def listed(scenes: Sequence[PosedScene], path: Path) -> list[NDArray[np.int32]]:
    """Pairs `(m, 2)` that a file names, for each scene, in the order of the file.

    The file is a text with `[SCENE] IMAGE0 IMAGE1` a line, or a dump, whose names count. Lines
    about other scenes are passed over; the scene may be left out where there is only one.

    Raises:
        PosedImagesError: a line that is neither, an image that a scene lacks, or no pair at all.
    """
    numbers = [{image.name: n for n, image in enumerate(scene.images)} for scene in scenes]
    places = {scene.name: n for n, scene in enumerate(scenes)}
    pairs: list[list[tuple[int, int]]] = [[] for _ in scenes]
    for line in _lines(path):
        words = line.split()
        if len(words) == 2 and len(scenes) == 1:
            words.insert(0, scenes[0].name)
        if len(words) != 3:
            raise PosedImagesError(f"{path}: [SCENE] IMAGE0 IMAGE1 is expected, not {line!r}")
        if words[0] not in places:
            continue
        known = numbers[places[words[0]]]
        unknown = [word for word in words[1:] if word not in known]
        if unknown:
            raise PosedImagesError(f"{path}: scene {words[0]} has no image {unknown[0]}")
        pairs[places[words[0]]].append((known[words[1]], known[words[2]]))
    if not any(pairs):
        raise PosedImagesError(f"{path}: no pair of {', '.join(places)} in it")
    once = (list(dict.fromkeys(of_scene)) for of_scene in pairs)
    return [np.array(of_scene, np.int32).reshape(-1, 2) for of_scene in once]


def _lines(path: Path) -> list[str]:
    if path.suffix.lower() in (".h5", ".hdf5"):
        with DumpFile(path) as dump:
            return [dump.name(index) for index in range(len(dump))]
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PosedImagesError(f"{path}: cannot be read ({error})") from None
    return [line for line in (line.strip() for line in lines) if line and line[0] != "#"]
