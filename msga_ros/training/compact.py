"""Compact form of a correspondence dump: the pairs end to end, in a few integer columns.

About half the size of the published layout: nothing is stored a pair but its count, and what
compresses badly is rounded. Coordinates are multiples of 2^-14 (at f = 1000 a sixteenth of a
pixel), ratios of 2^-10; all else is kept as it was, but for `ys`, which readers compute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

LAYOUT = "msga compact 1"  # of the attribute `layout` of such a file
COORDINATE_STEP = 2.0**-14
RATIO_STEP = 2.0**-10

Arrays = Mapping[str, NDArray[Any]]  # by group of the published layout, those of one pair

_PER_MATCH = ("xs", "ratios", "mutuals")
_COLUMNS = ("x0", "y0", "x1", "y1")
_ROWS = 1 << 16  # of a compressed block


class CompactColumns:
    """Reader of an opened file; arrays come out in the shapes of the published layout."""

    def __init__(self, file: h5py.File) -> None:
        # Opened once: a data set keeps its last blocks only while it is open.
        self._columns = {name: file[name] for name in file}
        self._ends = np.cumsum(self._columns["counts"][()], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends)

    def __contains__(self, group: str) -> bool:
        return group == "xs" or group in self._columns

    def array(self, group: str, index: int) -> NDArray[Any]:
        """What the published layout has under `group/index`."""
        if group not in _PER_MATCH:
            return np.asarray(self._columns[group][index])
        end = int(self._ends[index])
        rows = slice(int(self._ends[index - 1]) if index else 0, end)
        if group == "xs":
            columns = [self._columns[name][rows] for name in _COLUMNS]
            return np.asarray(np.stack(columns, axis=-1)[None] * COORDINATE_STEP, np.float32)
        if group == "ratios":
            return np.asarray(self._columns[group][rows] * RATIO_STEP, np.float32)
        return np.asarray(self._columns[group][rows], np.float32)


def is_compact(file: h5py.File) -> bool:
    """Whether an opened HDF5 file is of this form."""
    return bool(file.attrs.get("layout", "") == LAYOUT)


def write_compact(path: Path, pairs: Iterable[Arrays], names: Sequence[str]) -> None:
    """Write pairs `(arrays in the published shapes, one group each)` to a new file.

    All pairs must have the same groups, `xs`, `Rs` and `ts` among them.

    Raises:
        ValueError: groups or shapes differ, or coordinates are not finite or beyond 2^17.
    """
    columns: dict[str, list[NDArray[Any]]] = {}
    for arrays in pairs:
        for group, values in arrays.items():
            columns.setdefault(group, []).append(_rounded(group, values))
    if len({len(values) for values in columns.values()}) > 1:
        raise ValueError("the pairs do not have the same groups")
    with h5py.File(path, "w") as file:
        file.attrs["layout"] = LAYOUT
        matches = columns.pop("xs")
        file["counts"] = np.array([len(rows) for rows in matches], np.int32)
        for place, name in enumerate(_COLUMNS):
            _write_packed(file, name, np.concatenate([rows[:, place] for rows in matches]))
        for group, entries in columns.items():
            if group in _PER_MATCH:
                _write_packed(file, group, np.concatenate(entries))
            else:
                file[group] = np.stack(entries)
        file.create_dataset("names", data=np.array(names, dtype=object), dtype=h5py.string_dtype())


def _rounded(group: str, values: NDArray[Any]) -> NDArray[Any]:
    if group == "xs":
        steps = np.round(values.reshape(-1, 4).astype(np.float64) / COORDINATE_STEP)
        if not (np.abs(steps) < 2**31).all():
            raise ValueError("coordinates must be finite and below 2^17")
        return steps.astype(np.int32)
    if group == "ratios":
        return np.round(values.reshape(-1) / RATIO_STEP).clip(0, 2**16 - 1).astype(np.uint16)
    if group == "mutuals":
        return (values.reshape(-1) != 0).astype(np.uint8)
    return values


def _write_packed(file: h5py.File, name: str, values: NDArray[Any]) -> None:
    options = {"shuffle": True, "compression": "gzip", "compression_opts": 6}
    file.create_dataset(name, data=values, chunks=(max(1, min(len(values), _ROWS)),), **options)
