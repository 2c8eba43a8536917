"""Folders in the layout of the TUM RGB-D benchmark: colour, registered depth and truth by time.

`rgb.txt` lists the colour images of one camera, lines `stamp file`; `depth.txt` the depth images,
16 bits in multiples of 1 / 5000 metres, 0 for none, registered to colour; `groundtruth.txt`, where
it is there, the poses of the colour camera. The three have clocks of their own: an image takes the
depth nearest in time, each depth once, and the pose interpolated to its stamp.

Source: Sturm et al., "A benchmark for the evaluation of RGB-D SLAM systems", IROS 2012.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msga_ros.datasets.posed.base import PosedImagesError, numbered_lines, numbers
from msga_ros.datasets.posed.trajectory import inverse
from msga_ros.datasets.posed.tum import published_camera, read_trajectory
from msga_ros.datasets.sequences.base import LEFT, Frame, SequenceError
from msga_ros.datasets.sequences.depth_picture import read_depth
from msga_ros.foreign_text import shown
from msga_ros.frontend.pictures import PictureError, read_picture
from msga_ros.geometry.camera import Camera

DEPTH_SCALE = 5000.0  # units a metre
_FARTHEST = 0.02  # s between a colour and a depth image of one frame, as in the benchmark's tools
_USUAL_RATE = 30.0  # Hz, of a single image


@dataclass(frozen=True)
class _Listed:
    """The files of one list, in order of time; `stamps` (N,) in s."""

    stamps: NDArray[np.float64]
    paths: tuple[Path, ...]


class TumSequence:
    """The frames of one folder; images are read when a frame is asked for.

    `camera` None: that of the benchmark, if the folder's name says which (`freiburg1`, 2, 3);
    `depth`: only frames that have a depth image, with it, `depth_scale` units a metre. A frame
    outside of the truth has no pose. Raises `SequenceError`.
    """

    def __init__(
        self,
        folder: str | Path,
        depth: bool = False,
        camera: Camera | None = None,
        depth_scale: float = DEPTH_SCALE,
    ) -> None:
        self.folder = Path(folder)
        self._unit = 1.0 / depth_scale
        try:
            chosen = camera or published_camera(self.folder)
            colour = _listed(self.folder / "rgb.txt")
            self._depths: tuple[Path, ...] = ()
            if depth:
                deep = _listed(self.folder / "depth.txt")
                rows, others = associate(colour.stamps, deep.stamps, _FARTHEST)
                colour = _Listed(colour.stamps[rows], tuple(colour.paths[row] for row in rows))
                self._depths = tuple(deep.paths[other] for other in others)
            truth = self.folder / "groundtruth.txt"
            self._truth = read_trajectory(truth) if truth.is_file() else None
        except PosedImagesError as error:
            raise SequenceError(str(error)) from None
        if not colour.paths:
            raise SequenceError(f"{self.folder}: no image{' with a depth image' if depth else ''}")
        self._colour = colour
        height, width = _read(colour.paths[0]).shape[:2]
        if (chosen.width, chosen.height) not in ((0, 0), (width, height)):
            raise SequenceError(
                f"{self.folder}: images of {width}x{height}, the camera is for "
                f"{chosen.width}x{chosen.height}"
            )
        self._camera = replace(chosen, width=width, height=height)

    @property
    def name(self) -> str:
        """That of the folder."""
        return self.folder.resolve().name

    @property
    def rate(self) -> float:
        """By the median interval of the colour images."""
        intervals = np.diff(self._colour.stamps)
        middle = float(np.median(intervals)) if len(intervals) else 0.0
        return 1.0 / middle if middle > 0 else _USUAL_RATE

    @property
    def cameras(self) -> tuple[str, ...]:
        """The one that there is."""
        return (LEFT,)

    def __len__(self) -> int:
        return len(self._colour.paths)

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Frame:
        stamp, path = float(self._colour.stamps[index]), self._colour.paths[index]
        image = _read(path)
        size = (image.shape[1], image.shape[0])
        if size != (self._camera.width, self._camera.height):
            expected = (self._camera.width, self._camera.height)
            raise SequenceError(f"{path}: is {size}, the first image is {expected}")
        motion = None if self._truth is None else self._truth.at(stamp)
        return Frame(
            stamp=stamp,
            images={LEFT: image},
            cameras={LEFT: self._camera},
            poses=None if motion is None else {LEFT: inverse(*motion)},
            depth=read_depth(self._depths[index], self._unit, size) if self._depths else None,
        )


def associate(
    stamps: ArrayLike, others: ArrayLike, farthest: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of indices of `stamps` (N,) and `others` (M,), both in s and ascending: the nearest in
    time first, each at most once, at most `farthest` s apart; in order of time."""
    first, second = np.asarray(stamps, np.float64), np.asarray(others, np.float64)
    begins = np.searchsorted(second, first - farthest)
    ends = np.searchsorted(second, first + farthest, side="right")
    pairs = [(row, at) for row in range(len(first)) for at in range(begins[row], ends[row])]
    pairs.sort(key=lambda pair: abs(first[pair[0]] - second[pair[1]]))
    taken: dict[int, int] = {}
    used: set[int] = set()
    for row, at in pairs:
        if row not in taken and at not in used:
            taken[row] = at
            used.add(at)
    rows = sorted(taken)
    return np.array(rows, np.int64), np.array([taken[row] for row in rows], np.int64)


def _listed(path: Path) -> _Listed:
    """Raises `PosedImagesError`: no such list, or a line that is not `stamp file`."""
    rows = []
    for where, line in numbered_lines(path):
        stamp, *rest = line.split(maxsplit=1)
        if not rest:
            raise PosedImagesError(f"{where}: a time and a file are expected, not {shown(line)!r}")
        rows.append((float(numbers([stamp], 1, where)[0]), path.parent / rest[0]))
    rows.sort(key=lambda row: row[0])
    return _Listed(np.array([row[0] for row in rows]), tuple(row[1] for row in rows))


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        return read_picture(path)
    except OSError as error:
        raise SequenceError(f"{path}: not a readable image: {error.strerror}") from None
    except PictureError as error:
        raise SequenceError(str(error)) from None
