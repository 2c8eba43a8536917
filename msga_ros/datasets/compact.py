"""Compact form of a correspondence dump: the pairs end to end, in a few integer columns.

About half the size of the published layout: nothing is stored a pair but its count, and what
compresses badly is rounded. Coordinates are multiples of 2^-14 (at f = 1000 a sixteenth of a
pixel), ratios of 2^-10. What else is known of a match takes a byte each: `rotations` in 255 steps
of the circle, `log_scales` in steps of 1/16 (within 7.9), `distances` in steps of 1/254; one code
of each is NaN. All else is kept as it was, but for `ys`, which readers compute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.hdf5_checks import MOST_NUMBERS, HDF5ContentError, numbers_of
from msga_ros.datasets.hdf5_writing import new_hdf5

LAYOUT = "msga compact 2"  # of the attribute `layout` of such a file
_LAYOUTS = (LAYOUT, "msga compact 1")  # that can be read; the first one had no `EVIDENCE_GROUPS`
COORDINATE_STEP = 2.0**-14
RATIO_STEP = 2.0**-10

Numbers = NDArray[np.number]
Arrays = Mapping[str, Numbers]  # by group of the published layout, those of one pair

EVIDENCE_GROUPS = ("rotations", "log_scales", "distances")
PER_MATCH = ("xs", "ratios", "mutuals", *EVIDENCE_GROUPS)
_COLUMNS = ("x0", "y0", "x1", "y1")
_ROWS = 1 << 16  # of a compressed block
_MOST_OF_A_PAIR = 16  # numbers of a pair in a column that holds no matches: a 4x4 matrix


@dataclass(frozen=True)
class _Code:
    """Numbers as bytes: `(value - origin) / step` rounded, and one of the bytes for NaN.

    Bytes outside `least` .. `most` are the nearest of these, or where the numbers go round in a
    circle those a whole turn away.
    """

    step: float
    least: int
    most: int
    unknown: int
    kind: type[np.integer]
    origin: float = 0.0
    circular: bool = False

    def encoded(self, values: Numbers) -> Numbers:
        known = np.isfinite(values)
        code = np.round((np.where(known, values, 0.0) - self.origin) / self.step).astype(np.int64)
        if self.circular:
            code = self.least + (code - self.least) % (self.most - self.least + 1)
        return np.where(known, code.clip(self.least, self.most), self.unknown).astype(self.kind)

    def decoded(self, codes: NDArray[np.integer]) -> NDArray[np.float32]:
        values = codes * self.step + self.origin
        return np.where(codes == self.unknown, np.nan, values).astype(np.float32)


_CODES = {
    "rotations": _Code(2 * np.pi / 255, 0, 254, 255, np.uint8, origin=-np.pi, circular=True),
    "log_scales": _Code(1 / 16, -127, 127, -128, np.int8),
    "distances": _Code(1 / 254, 0, 254, 255, np.uint8),
}


class CompactColumns:
    """Reader of an opened file; arrays come out in the shapes of the published layout."""

    def __init__(self, file: h5py.File) -> None:
        # Opened once: a data set keeps its last blocks only while it is open.
        self._columns = {name: numbers_of(file, name, most=0) for name in file if name != "names"}
        counts = np.asarray(numbers_of(file, "counts")[()], np.int64).ravel()
        self._ends = np.cumsum(counts, dtype=np.int64)
        self._check(counts)

    def _check(self, counts: NDArray[np.int64]) -> None:
        """Raise `HDF5ContentError` unless all columns are as long as the counts say."""
        if counts.size and not (counts.min() >= 0 and counts.max() <= MOST_NUMBERS // 4):
            raise HDF5ContentError(f"counts claims pairs of up to {counts.max()} matches")
        total = int(self._ends[-1]) if counts.size else 0
        for name in _COLUMNS:
            if name not in self._columns:
                raise KeyError(name)
        for name, column in self._columns.items():
            of_matches = name in (*_COLUMNS, *PER_MATCH)
            expected = total if of_matches else len(counts)
            if not column.shape or column.shape[0] != expected:
                raise HDF5ContentError(f"{name} is of shape {column.shape}, not ({expected}, ...)")
            if column.size > expected * (1 if of_matches else _MOST_OF_A_PAIR):
                raise HDF5ContentError(f"{name} is of shape {column.shape}: too much of a pair")

    def __len__(self) -> int:
        return len(self._ends)

    def __contains__(self, group: str) -> bool:
        return group == "xs" or group in self._columns

    def array(self, group: str, index: int) -> Numbers:
        """What the published layout has under `group/index`."""
        if group not in PER_MATCH:
            return np.asarray(self._columns[group][index])
        end = int(self._ends[index])
        rows = slice(int(self._ends[index - 1]) if index else 0, end)
        if group == "xs":
            columns = [self._columns[name][rows] for name in _COLUMNS]
            return np.asarray(np.stack(columns, axis=-1)[None] * COORDINATE_STEP, np.float32)
        if group == "ratios":
            return np.asarray(self._columns[group][rows] * RATIO_STEP, np.float32)
        if group in _CODES:
            return _CODES[group].decoded(self._columns[group][rows])
        return np.asarray(self._columns[group][rows], np.float32)


def is_compact(file: h5py.File) -> bool:
    """Whether an opened HDF5 file is of this form."""
    layout = file.attrs.get("layout", "")
    return isinstance(layout, str) and layout in _LAYOUTS


def write_compact(path: Path, pairs: Iterable[Arrays], names: Sequence[str]) -> None:
    """Write pairs `(arrays in the published shapes, one group each)` to a new file, or none.

    All pairs must have the same groups, `xs`, `Rs` and `ts` among them; only those of
    `EVIDENCE_GROUPS` may be absent from some, and count as unknown there.

    Raises:
        ValueError: groups or shapes differ, coordinates are not finite or beyond 2^17, or a ratio
            is NaN; the message names the pair.
    """
    columns: dict[str, list[Numbers]] = {}
    counts: list[int] = []
    for arrays, pair in zip(pairs, names, strict=True):
        known = {group: _rounded(group, values, pair) for group, values in arrays.items()}
        for group in EVIDENCE_GROUPS:
            if group in known and group not in columns:
                columns[group] = [_unknown(group, count) for count in counts]
            elif group in columns and group not in known:
                known[group] = _unknown(group, len(known["xs"]))
        for group, values in known.items():
            entries = columns.setdefault(group, [])
            if entries and group not in PER_MATCH and values.shape != entries[0].shape:
                raise ValueError(
                    f"pair {pair}: {group} is of shape {values.shape}, that of the pairs before "
                    f"{entries[0].shape}"
                )
            entries.append(values)
        counts.append(len(known["xs"]))
    if len({len(values) for values in columns.values()}) > 1:
        raise ValueError("the pairs do not have the same groups")
    with new_hdf5(path) as new:
        file = new.file
        file.attrs["layout"] = LAYOUT
        matches = columns.pop("xs")
        file["counts"] = np.array([len(rows) for rows in matches], np.int32)
        for place, name in enumerate(_COLUMNS):
            _write_packed(file, name, np.concatenate([rows[:, place] for rows in matches]))
        for group, entries in columns.items():
            if group in PER_MATCH:
                _write_packed(file, group, np.concatenate(entries))
            else:
                file[group] = np.stack(entries)
            new.check()
        file.create_dataset("names", data=np.array(names, dtype=object), dtype=h5py.string_dtype())


def _unknown(group: str, count: int) -> Numbers:
    return _rounded(group, np.full(count, np.nan))


def _rounded(group: str, values: NDArray[np.number], pair: str = "") -> Numbers:
    if group == "xs":
        steps = np.round(values.reshape(-1, 4).astype(np.float64) / COORDINATE_STEP)
        if not (np.abs(steps) < 2**31).all():
            raise ValueError(f"pair {pair}: coordinates must be finite and below 2^17")
        return steps.astype(np.int32)
    if group == "ratios":
        if np.isnan(values).any():
            raise ValueError(f"pair {pair}: ratios hold NaN")
        return np.round(values.reshape(-1) / RATIO_STEP).clip(0, 2**16 - 1).astype(np.uint16)
    if group == "mutuals":
        return (values.reshape(-1) != 0).astype(np.uint8)
    if group in _CODES:
        return _CODES[group].encoded(values.reshape(-1))
    return values


def _write_packed(file: h5py.File, name: str, values: Numbers) -> None:
    options = {"shuffle": True, "compression": "gzip", "compression_opts": 9}
    file.create_dataset(name, data=values, chunks=(max(1, min(len(values), _ROWS)),), **options)
