"""Pairs of images that methods are compared on: of posed scenes, or of footage without poses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.posed.base import PosedImage, PosedImagesError, PosedScene
from msga_ros.datasets.posed.selection import Selection, candidates, listed
from msga_ros.datasets.sequences.base import LEFT, Footage, Frame
from msga_ros.frontend.pictures import read_picture
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose

ANGLE_CLASSES = ("under 15°", "15-30°", "30-60°", "over 60°")
_ANGLE_LIMITS = (15.0, 30.0, 60.0)


@dataclass(frozen=True)
class ImagePair:
    """Two images and their cameras.

    `motion`, `x1 = R x0 + t`, is None where it is unknown; `related` is False where the two show
    different places, so that no motion is right. `angle_deg`: between the optical axes; NaN where
    unknown.
    """

    name: str
    scene: str
    image0: NDArray[np.uint8]
    image1: NDArray[np.uint8]
    camera0: Camera
    camera1: Camera
    motion: Pose | None
    angle_deg: float
    related: bool = True


def angle_class(angle_deg: float) -> str:
    """One of `ANGLE_CLASSES`; "" for NaN."""
    if np.isnan(angle_deg):
        return ""
    return ANGLE_CLASSES[int(np.searchsorted(_ANGLE_LIMITS, angle_deg, side="right"))]


def repeated(names: Sequence[str]) -> list[str]:
    """Those that are there more than once: their pairs could not be told from each other."""
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]


@dataclass(frozen=True)
class PosedPairs:
    """Pairs of posed scenes.

    Attributes:
        scenes: where they are from.
        count: at most that many of a scene; 0: all candidates.
        selection: which are candidates.
        pair_list: instead: the pairs that this file names, see `selection.listed`.
        unrelated: that many pairs of images of two different scenes on top.
        seed: of the choice.

    Raises `PosedImagesError` where two scenes have the same name.
    """

    scenes: Sequence[PosedScene]
    count: int = 20
    selection: Selection = field(default_factory=Selection)
    pair_list: Path | None = None
    unrelated: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if twice := repeated([scene.name for scene in self.scenes]):
            raise PosedImagesError(f"several collections are called {', '.join(twice)}")

    def names(self) -> list[tuple[PosedImage, PosedImage, str, bool]]:
        """The images of each pair, their scene, and whether they show the same place."""
        if self.pair_list is not None:
            chosen = listed(self.scenes, self.pair_list)
        else:
            found = [candidates(scene, self.selection, self.seed) for scene in self.scenes]
            chosen = [pairs[: self.count] if self.count else pairs for pairs in found]
        related = [
            (scene.images[i], scene.images[j], scene.name, True)
            for scene, pairs in zip(self.scenes, chosen, strict=True)
            for i, j in pairs
        ]
        return related + self._unrelated()

    def _unrelated(self) -> list[tuple[PosedImage, PosedImage, str, bool]]:
        generator = np.random.default_rng(self.seed)
        found: list[tuple[PosedImage, PosedImage, str, bool]] = []
        if len(self.scenes) < 2:
            return found
        for _ in range(self.unrelated):
            places = generator.choice(len(self.scenes), 2, replace=False)
            first, second = (
                self.scenes[place].images[int(generator.integers(len(self.scenes[place])))]
                for place in places
            )
            found.append((first, second, self.scenes[places[0]].name, False))
        return found

    def __len__(self) -> int:
        return len(self.names())

    def __iter__(self) -> Iterator[ImagePair]:
        for first, second, scene, related in self.names():
            motion = second.pose.relative_to(first.pose)
            cosine = np.clip(motion.rotation[2, 2], -1.0, 1.0)
            yield ImagePair(
                name=f"{scene} {first.name} {second.name}",
                scene=scene,
                image0=read_picture(first.path),
                image1=read_picture(second.path),
                camera0=first.camera,
                camera1=second.camera,
                motion=motion if related else None,
                angle_deg=float(np.rad2deg(np.arccos(cosine))) if related else float("nan"),
                related=related,
            )


@dataclass(frozen=True)
class FootagePairs:
    """Frames of one camera without poses, each with the one `gap` frames later."""

    name: str
    frames: Footage
    gap: int = 5
    count: int = 50  # at most so many, evenly

    def _firsts(self) -> list[int]:
        possible = max(len(self.frames) - self.gap, 0)
        if not self.count or possible <= self.count:
            return list(range(possible))
        return [rank * possible // self.count for rank in range(self.count)]

    def __len__(self) -> int:
        return len(self._firsts())

    def __iter__(self) -> Iterator[ImagePair]:
        firsts = set(self._firsts())
        seconds = {first + self.gap: first for first in firsts}
        kept: dict[int, Frame] = {}
        for index, frame in enumerate(self.frames):
            if index in seconds:
                first = kept.pop(seconds[index])
                yield ImagePair(
                    name=f"{self.name} {seconds[index]} {index}",
                    scene=self.name,
                    image0=first.images[LEFT],
                    image1=frame.images[LEFT],
                    camera0=first.cameras[LEFT],
                    camera1=frame.cameras[LEFT],
                    motion=None,
                    angle_deg=float("nan"),
                )
            if index in firsts:
                kept[index] = frame
