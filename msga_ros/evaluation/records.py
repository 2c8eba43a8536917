"""Records of an evaluation: what one estimator made of one pair, kept as JSON lines."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

from msga_ros.whole_files import append_whole

_ERRORS = ("rotation_error", "translation_error")
_MEMORIES = ("memory", "device_memory")

RecordKey = tuple[str, int, str, str, str]


class RecordError(ValueError):
    """A file that holds something else than records; the message says where."""


@dataclass(frozen=True)
class PairRecord:
    """What one estimator made of one pair; errors in degrees, infinite without a pose."""

    dump: str
    index: int  # of the pair in its dump
    pair: str
    scene: str
    estimator: str
    weights: str  # empty: the estimator has none
    settings: str  # digest of the configuration and the files that the record was made with
    matches: int
    inlier_ratio: float  # share of true matches among all
    success: bool
    rotation_error: float
    translation_error: float
    precision: float
    recall: float
    f: float
    milliseconds: float
    iterations: int
    memory: float = math.nan  # peak on top of the loaded process, MiB; NaN: not measured
    device_memory: float = math.nan  # peak on the CUDA device, MiB; 0 where there is none

    @property
    def error(self) -> float:
        """The larger of both errors, degrees."""
        return max(self.rotation_error, self.translation_error)

    @property
    def key(self) -> RecordKey:
        """What no two records of a file share."""
        return (self.dump, self.index, self.estimator, self.weights, self.settings)


class RecordFile:
    """Records in a file of JSON lines, so that an evaluation resumes and is measured again.

    The settings are part of a record's key: a record made with other weights, another configuration
    or another dump of the same name is never taken for the one asked for. A change of the code is
    not noticed: delete the file then.
    """

    def __init__(self, path: str | Path) -> None:
        """Read what is there; `RecordError` where it is no record."""
        self._path = Path(path)
        self._records: dict[RecordKey, PairRecord] = {}
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return
        for number, line in enumerate(whole_lines(self._path), start=1):
            try:
                record = _from_json(json.loads(line))
            except (ValueError, TypeError) as error:
                raise RecordError(f"{self._path}, line {number}: not a record ({error})") from None
            self._records[record.key] = record

    def __len__(self) -> int:
        return len(self._records)

    def find(self, key: RecordKey) -> PairRecord | None:
        """The record kept under `PairRecord.key`."""
        return self._records.get(key)

    def add(self, record: PairRecord) -> None:
        """Keep a record, at once on disk."""
        self._records[record.key] = record
        values = {name: finite(value) for name, value in dataclasses.asdict(record).items()}
        append_whole(self._path, json.dumps(values) + "\n")


def whole_lines(path: Path) -> list[str]:
    """The lines of a file of records; one that is cut off, as by a kill, is removed from it.

    Raises `RecordError` where the file is another, which is left as it is.
    """
    data = path.read_bytes()
    if data and not data.startswith(b"{"):
        raise RecordError(f"{path}, line 1: not a record")
    whole = data[: data.rfind(b"\n") + 1]
    try:
        lines = whole.decode().splitlines()
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: not a file of records, no text ({error.reason})") from None
    if whole != data:
        os.truncate(path, len(whole))
    return lines


def finite(value: object) -> object:
    """`value`, or None for a number that JSON cannot hold (infinity, NaN)."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _from_json(values: object) -> PairRecord:
    if not isinstance(values, dict):
        raise TypeError("an object is expected")
    for names, value in ((_ERRORS, math.inf), (_MEMORIES, math.nan)):
        values.update((name, value) for name in names if values.get(name, 0.0) is None)
    return PairRecord(**values)
