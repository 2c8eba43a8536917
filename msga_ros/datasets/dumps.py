"""Reader of correspondence dumps in the published HDF5 layout.

The layout is that of the YFCC100M and SUN3D dumps of OANet (Zhang et al., ICCV 2019) and those that
followed: groups `xs ys Rs ts ratios mutuals cx1s cy1s cx2s cy2s f1s f2s`, each with one data set a
pair, named "0", "1", ... Where `ys` is absent it is computed from `Rs` and `ts`. Groups of our own,
`rotations log_scales distances`, hold what else is known of each match (`Matches.evidence`). Files
of the form of `msga_ros.datasets.compact` are read as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.compact import (
    EVIDENCE_GROUPS,
    PER_MATCH,
    CompactColumns,
    Numbers,
    is_compact,
)
from msga_ros.datasets.hdf5_checks import (
    READ_ERRORS,
    data_set_of,
    group_of,
    names_of,
    numbers_of,
)
from msga_ros.foreign_text import shown
from msga_ros.frontend.base import evidence_columns, normalised_evidence
from msga_ros.geometry.pose import essential_matrix
from msga_ros.geometry.rotations import checked_rotation

_POSES = ("Rs", "ts")
_CAMERAS = ("cx1s", "cy1s", "cx2s", "cy2s", "f1s", "f2s")
INLIER_THRESHOLD = 1e-4  # of a true match: squared symmetric epipolar distance, normalised
_TINY = 1e-15  # keeps the distance of a match that lies on an epipole finite


class DumpError(ValueError):
    """The file is not a dump in the published layout; the message says what is missing."""


@dataclass(frozen=True)
class Pair:
    """Putative matches of one image pair and the true motion between its cameras.

    Attributes:
        name: scene and images where the dump says so, else the index.
        correspondences: `(N, 4)` float32, `(x, y, x', y')` in normalised coordinates.
        residual: `(N,)` float32, squared symmetric epipolar distance to the true matrix.
        rotation, translation: `(3, 3)` and unit `(3,)` float64, `x' = R x + t`.
        ratios: `(N,)` float32, best over second-best descriptor distance.
        mutuals: `(N,)` bool, each other's nearest neighbour.
        focal0, focal1: `(2,)` float64, pixels; NaN where the dump does not say.
        rotations, log_scales, distances: `(N,)` float32 as in `Matches` (sizes in pixels), NaN
            where unknown; None: all of them unknown.
    """

    name: str
    correspondences: NDArray[np.float32]
    residual: NDArray[np.float32]
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    ratios: NDArray[np.float32]
    mutuals: NDArray[np.bool_]
    focal0: NDArray[np.float64]
    focal1: NDArray[np.float64]
    rotations: NDArray[np.float32] | None = None
    log_scales: NDArray[np.float32] | None = None
    distances: NDArray[np.float32] | None = None

    @property
    def evidence(self) -> NDArray[np.float32]:
        """`(N, 5)`, columns `EVIDENCE`, sizes in focal lengths: as the network takes them."""
        optional = (self.rotations, self.log_scales, self.distances)
        evidence = evidence_columns(len(self.ratios), self.ratios, self.mutuals, *optional)
        return normalised_evidence(evidence, self.focal0.mean(), self.focal1.mean())

    @property
    def scene(self) -> str:
        """The part of the name before the first separator: the place the pair is from."""
        return scene_of(self.name)


def scene_of(name: str) -> str:
    """The place that a pair of this name is from."""
    return name.split("/")[0].split(":")[0].split(" ")[0]


class _Groups:
    """The published layout: a group for each kind of array, in it one data set a pair."""

    def __init__(self, file: h5py.File) -> None:
        known = ("xs", "ys", "ratios", "mutuals", *EVIDENCE_GROUPS, *_POSES, *_CAMERAS)
        self._groups = {name: group_of(file, name) for name in known if name in file}

    def __len__(self) -> int:
        return len(self._groups["xs"])

    def __contains__(self, group: str) -> bool:
        return group in self._groups

    def array(self, group: str, index: int) -> Numbers:
        return np.asarray(numbers_of(self._groups[group], str(index))[()])


class DumpFile:
    """One dump, opened for reading; `dump[i]` is a `Pair`. Use as a context manager."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            text = shown(error)
            raise DumpError(f"{self.path}: not a readable HDF5 file ({text})") from error
        try:
            store = CompactColumns if is_compact(self._file) else _Groups
            self._store: CompactColumns | _Groups = store(self._file)
        except READ_ERRORS as error:
            self._file.close()
            raise DumpError(f"{self.path}: not a whole dump ({shown(error)})") from error
        missing = [name for name in ("xs", *_POSES) if name not in self._store]
        if missing:
            self._file.close()
            raise DumpError(f"{self.path}: groups missing: {', '.join(missing)}")
        self._length = len(self._store)
        try:
            self._names = names_of(self._file, self._length)
        except READ_ERRORS as error:
            self._file.close()
            raise DumpError(f"{self.path}: {shown(error)}") from error

    def __enter__(self) -> DumpFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the dump is of no use after it."""
        self._file.close()

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Pair]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Pair:
        if not 0 <= index < self._length:
            raise IndexError(index)
        correspondences = self._matches(index)
        count = len(correspondences)
        rotation, translation = self._pose(index)
        residual: NDArray[np.float32]
        if "ys" in self._store:
            residual = self._sized("ys", index, count).astype(np.float32)
        else:
            residual = true_residual(correspondences, rotation, translation)
        return Pair(
            name=self.name(index),
            correspondences=correspondences,
            residual=residual,
            rotation=rotation,
            translation=translation,
            ratios=self._optional("ratios", index, np.ones(count)).astype(np.float32),
            mutuals=self._optional("mutuals", index, np.ones(count)).astype(bool),
            focal0=self._focal("f1s", index),
            focal1=self._focal("f2s", index),
            rotations=self._known("rotations", index, count),
            log_scales=self._known("log_scales", index, count),
            distances=self._known("distances", index, count),
        )

    def arrays(self, index: int) -> dict[str, Numbers]:
        """All of a pair but `ys`, in the shapes of the published layout."""
        count = len(self._matches(index))
        self._pose(index)
        for group in PER_MATCH[1:]:
            if group in self._store:
                self._sized(group, index, count)
        groups = ("xs", "ratios", "mutuals", *EVIDENCE_GROUPS, *_POSES, *_CAMERAS)
        return {group: self._array(group, index) for group in groups if group in self._store}

    def _array(self, group: str, index: int) -> Numbers:
        try:
            return self._store.array(group, index)
        except READ_ERRORS as error:
            text = shown(error)
            raise DumpError(f"{self.path}: {group}/{index} cannot be read ({text})") from error

    def _sized(self, group: str, index: int, count: int) -> Numbers:
        """The `count` numbers of an entry, in one row."""
        values = self._array(group, index)
        if values.size != count:
            raise DumpError(
                f"{self.path}: {group}/{index} is of shape {values.shape}, "
                f"but {count} numbers are expected"
            )
        return values.reshape(-1)

    def _matches(self, index: int) -> NDArray[np.float32]:
        values = self._array("xs", index)
        if values.size % 4:
            raise DumpError(f"{self.path}: xs/{index} is of shape {values.shape}, not (1, N, 4)")
        return values.reshape(-1, 4).astype(np.float32)

    def _pose(self, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rotation and unit translation."""
        matrix = self._sized("Rs", index, 9)
        try:
            checked_rotation(matrix)
        except ValueError as error:
            raise DumpError(f"{self.path}: Rs/{index} {error}") from None
        translation = self._sized("ts", index, 3).astype(np.float64)
        length = float(np.linalg.norm(translation))
        if not (np.isfinite(length) and length > 0):
            raise DumpError(f"{self.path}: ts/{index} is {translation.tolist()}: no direction")
        return matrix.reshape(3, 3).astype(np.float64), translation / length

    def _optional(self, group: str, index: int, default: NDArray[np.float64]) -> Numbers:
        if group not in self._store:
            return default
        return self._sized(group, index, len(default))

    def _known(self, group: str, index: int, count: int) -> NDArray[np.float32] | None:
        if group not in self._store:
            return None
        return self._sized(group, index, count).astype(np.float32)

    def _focal(self, group: str, index: int) -> NDArray[np.float64]:
        if group not in self._store:
            return np.full(2, np.nan)
        values = self._array(group, index).reshape(-1).astype(np.float64)
        if values.size not in (1, 2):
            text = f"is of shape {values.shape}, not one or two focal lengths"
            raise DumpError(f"{self.path}: {group}/{index} {text}")
        return np.repeat(values, 2)[:2] if values.size == 1 else values

    def name(self, index: int) -> str:
        """Name of a pair, without reading it: scene and images, or the index."""
        if self._names is None:
            return str(index)
        try:
            if isinstance(self._names, h5py.Group):
                value = data_set_of(self._names, str(index), most=1)[()]
            else:
                value = self._names[index]
            value = value.reshape(-1)[0] if isinstance(value, np.ndarray) else value
            return value.decode() if isinstance(value, bytes) else str(value)
        except READ_ERRORS as error:
            text = f"the name of pair {index} cannot be read ({shown(error)})"
            raise DumpError(f"{self.path}: {text}") from error


def true_residual(
    correspondences: NDArray[np.float32],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
) -> NDArray[np.float32]:
    """`(N,)` squared symmetric epipolar distance of `(N, 4)` matches to the true motion.

    As `msga_ros.geometry.epipolar` has it, in NumPy: reading and making dumps needs no torch.
    """
    rows = correspondences.astype(np.float64)
    one = np.ones((len(rows), 1))
    first, second = np.hstack((rows[:, :2], one)), np.hstack((rows[:, 2:], one))
    essential = essential_matrix(rotation, translation)
    line_in_second, line_in_first = first @ essential.T, second @ essential
    error = (second * line_in_second).sum(axis=1)
    normals = [(line[:, :2] ** 2).sum(axis=1) + _TINY for line in (line_in_first, line_in_second)]
    distance = error**2 * (1.0 / normals[0] + 1.0 / normals[1])
    return np.asarray(distance, np.float32)
