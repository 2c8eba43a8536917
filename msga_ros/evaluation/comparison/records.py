"""What a method made of a pair, kept as JSON lines: a comparison goes on after a stop."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from msga_ros.evaluation.records import RecordError, finite, whole_lines
from msga_ros.whole_files import append_whole

_NUMBERS = ("rotation_error", "translation_error", "angle_deg", "memory_mb", "true_share")

Key = tuple[str, str, str]


@dataclass(frozen=True)
class ComparisonRecord:
    """One method on one pair; errors in degrees: infinite without a pose, NaN where no truth is.

    `ok`: the method stands by its pose. `related`: the images show the same place. `rotation` (nine
    numbers) and `translation` (three): the pose, empty without one. `memory_mb`: peak on top of the
    loaded process; NaN: not measured on this pair. `true_share`: of the matches before the
    solver those that agree with the true motion; NaN: no truth.
    """

    pair: str
    scene: str
    method: str
    digest: str
    angle_deg: float
    related: bool
    known: bool  # the true motion is known
    ok: bool
    rotation_error: float
    translation_error: float
    matches: int
    inliers: int
    cpu_ms: float
    wall_ms: float
    extract_cpu_ms: float
    stages: dict[str, float] = field(default_factory=dict)
    rotation: list[float] = field(default_factory=list)
    translation: list[float] = field(default_factory=list)
    memory_mb: float = math.nan
    cpu_stages: dict[str, float] = field(default_factory=dict)
    true_share: float = math.nan

    @property
    def error(self) -> float:
        """The larger of both errors, degrees."""
        return max(self.rotation_error, self.translation_error)

    @property
    def milliseconds(self) -> float:
        """CPU time of the pair: what `report_plots.accuracy_over_time` draws."""
        return self.cpu_ms

    @property
    def key(self) -> Key:
        """What no two records share."""
        return (self.pair, self.method, self.digest)


class ComparisonFile:
    """Records in a file of JSON lines; a last line that was cut off is done again."""

    def __init__(self, path: Path) -> None:
        """Read what is there; `RecordError` where it is something else."""
        self._path = path
        self._records: dict[Key, ComparisonRecord] = {}
        if not path.exists():
            return
        for number, line in enumerate(whole_lines(path), start=1):
            try:
                record = _from_json(json.loads(line))
            except (ValueError, TypeError) as error:
                raise RecordError(f"{path}, line {number}: not a record ({error})") from None
            self._records[record.key] = record

    def find(self, key: Key) -> ComparisonRecord | None:
        """The record kept under `ComparisonRecord.key`."""
        return self._records.get(key)

    def add(self, record: ComparisonRecord) -> None:
        """Keep a record, at once on disk."""
        self._records[record.key] = record
        append_whole(self._path, json.dumps(as_json(record)) + "\n")


def as_json(record: ComparisonRecord) -> dict[str, object]:
    """The record with None in the place of infinity and NaN."""
    return {name: finite(value) for name, value in dataclasses.asdict(record).items()}


def _from_json(values: object) -> ComparisonRecord:
    if not isinstance(values, dict):
        raise TypeError("an object is expected")
    missing = math.inf if values.get("known") and values.get("related") else math.nan
    for name in _NUMBERS:
        if values.get(name, 0.0) is None:
            values[name] = missing if name.endswith("_error") else math.nan
    return ComparisonRecord(**values)
