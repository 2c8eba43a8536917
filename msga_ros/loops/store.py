"""Keyframes on disk, the last used ones in memory, and loops; a restart finds all accepted ones.

One file, written at its end alone (`msga_ros.loops.record_file`), of keyframes and loops between
two of them. A record that was cut short by a crash or a full disk is recognised and cut off; one
that is damaged in the middle is passed over, and so are the loops of a keyframe that is lost with
it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.camera_pose import Pose
from msga_ros.loops.edge_record import EdgeError, EdgeRecord
from msga_ros.loops.keyframe import Keyframe, KeyframeError
from msga_ros.loops.record_file import Record, RecordFile, StoreError
from msga_ros.loops.reports import LoopEdge

_MARK = b"MSGAKEY1"
_EDGE_MARK = b"MSGAEDG1"
_log = logging.getLogger(__name__)

__all__ = ["KeyframeStore", "StoreError"]


class KeyframeStore:
    """Keyframes by their number, in the order in which they were added. One process at a time.

    Memory: the features of `in_memory` keyframes, and of each keyframe its global descriptor, stamp
    and place in the file. Raises `StoreError`: the file is none of ours, or in use; `OSError`.

    `end`: where in the file an interrupted run is taken up again. What lies beyond is not read but
    expected: the run makes the same records again, which are compared and not written twice.
    """

    def __init__(self, path: Path, in_memory: int = 200, end: int | None = None) -> None:
        self._path = path
        self._in_memory = max(in_memory, 1)
        self._cache: OrderedDict[int, Keyframe] = OrderedDict()
        self._places: list[int] = []  # of the records in the file
        self._numbers: dict[int, int] = {}  # by the place
        self._stamps: list[float] = []
        self._odometry: list[tuple[Pose | None, int]] = []
        self._edges: list[LoopEdge] = []
        self._descriptors = np.empty((0, 0), np.float32)
        self._frontend = ""  # whose features they have
        self._vocabulary = ""  # and whose global descriptors
        self._damage: list[str] = []
        self._expected: deque[Record] = deque()
        self._file = RecordFile(path, (_MARK, _EDGE_MARK))
        try:
            self._read_all(end)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> KeyframeStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; all that was added lies in it."""
        self._file.close()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def descriptors(self) -> NDArray[np.float32]:
        """(N, E) of all keyframes."""
        return self._descriptors[: len(self)]

    @property
    def stamps(self) -> NDArray[np.float64]:
        """(N,) seconds."""
        return np.array(self._stamps, np.float64)

    @property
    def odometry(self) -> list[tuple[Pose | None, int]]:
        """Of each keyframe `odometry` and `segment`."""
        return self._odometry

    @property
    def edges(self) -> tuple[LoopEdge, ...]:
        """The loops that hold, in the order in which they were accepted."""
        return tuple(self._edges)

    @property
    def damage(self) -> tuple[str, ...]:
        """What of the file could not be read, a sentence each."""
        return tuple(self._damage)

    @property
    def end(self) -> int:
        """Where the next record goes."""
        return self._expected[0].place if self._expected else self._file.size

    def accept(self, edge: LoopEdge) -> None:
        """Keep a loop between two keyframes of the store. Raises `OSError`, as `add`."""
        self._append(_EDGE_MARK, self._record_of(edge, holds=True))
        self._edges.append(edge)

    def take_back(self, edge: LoopEdge) -> None:
        """It holds no more. Raises `OSError`, as `add`, and `KeyError` where it does not hold."""
        kept = [one for one in self._edges if not _is_same(one, edge)]
        if len(kept) == len(self._edges):
            raise KeyError(f"no loop from keyframe {edge.reference} to {edge.current}")
        self._append(_EDGE_MARK, self._record_of(edge, holds=False))
        self._edges = kept

    def _record_of(self, edge: LoopEdge, holds: bool) -> bytes:
        places = dict(enumerate(self._places))
        named = EdgeRecord(edge, holds).renumbered(places)
        if named is None:
            raise KeyError(
                f"a loop from keyframe {edge.reference} to {edge.current} of {len(self)}"
            )
        return named.to_bytes()

    def add(self, keyframe: Keyframe) -> int:
        """Keep `keyframe`; its number, once it lies on the disk.

        Raises `OSError` (a full disk): it is not kept then, and all others are as before.
        `StoreError`: a global descriptor of another length.
        """
        self._check(keyframe)
        end = self._append(_MARK, keyframe.to_bytes())
        self._enter(keyframe, end)
        return len(self) - 1

    def _append(self, mark: bytes, payload: bytes) -> int:
        """Where the record begins, new or as it was expected. Raises `OSError`, `StoreError`."""
        if not self._expected:
            return self._file.append(mark, payload)
        expected = self._expected[0]
        if not expected.is_of(mark, payload):
            raise StoreError(
                f"{self._path}: what an interrupted run has written comes out differently now; "
                "give another file, or begin anew"
            )
        self._expected.popleft()
        return expected.place

    def __getitem__(self, number: int) -> Keyframe:
        """A keyframe by its number, from memory or the disk. Raises `IndexError`, `OSError`."""
        place = self._places[number]
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        record = self._file.record(place)
        found = None if record is None else _content(record)
        if not isinstance(found, Keyframe):
            raise StoreError(f"{self._path}: keyframe {number} was changed on the disk")
        self._remember(number, found)
        return found

    def _read_all(self, end: int | None) -> None:
        place, whole = 0, 0  # `whole`: the end of the last record that can be read
        while place < self._file.size:
            record = self._file.record(place)
            content = None if record is None else _content(record)
            if record is None or content is None:
                after = self._file.next_mark(place + 1)
                if after is None:
                    break
                self._damaged(f"bytes {place} to {after} are damaged")
                place = after
                continue
            if end is not None and place >= end:
                self._expected.append(record.without_payload())
            elif isinstance(content, Keyframe):
                self._check(content)
                self._enter(content, place)
            else:
                self._enter_edge(content)
            place = whole = record.end
        if whole < self._file.size:
            self._file.check_kind(whole)
            self._damaged(f"{self._file.size - whole} bytes of a record cut short are cut off")
            self._file.truncate(whole)
        if end is not None and end > whole:
            raise StoreError(f"{self._path}: shorter than an interrupted run has left it")

    def _damaged(self, text: str) -> None:
        self._damage.append(text)
        _log.warning("%s: %s", self._path, text)

    def _check(self, keyframe: Keyframe) -> None:
        self.check_kind(keyframe.frontend, keyframe.descriptor.size, keyframe.vocabulary)

    def check_kind(self, frontend: str, length: int, vocabulary: str) -> None:
        """Whether keyframes with features of `frontend` and global descriptors of `length` entries,
        by `vocabulary`, go together with those that there are. Raises `StoreError`."""
        if len(self) and frontend != self._frontend:
            raise StoreError(
                f"{self._path}: keyframes with features of {self._frontend}, not of {frontend}: "
                "give its front end as frontend.name, or another file"
            )
        if len(self) and length != self._descriptors.shape[1]:
            raise StoreError(
                f"{self._path}: global descriptors of {self._descriptors.shape[1]} entries, "
                f"not of {length}: another vocabulary?"
            )
        if vocabulary and self._vocabulary not in ("", vocabulary):
            raise StoreError(
                f"{self._path}: global descriptors by the vocabulary {self._vocabulary}, not by "
                f"{vocabulary} as here, cannot be compared: make the map anew from the images, or "
                "use it with the version of the package that has made it"
            )

    def _enter(self, keyframe: Keyframe, place: int) -> None:
        number = len(self)
        if number == len(self._descriptors):
            grown = np.empty((max(2 * number, 64), keyframe.descriptor.size), np.float32)
            grown[:number] = self._descriptors[:number] if number else 0
            self._descriptors = grown
        self._descriptors[number] = keyframe.descriptor
        self._frontend = keyframe.frontend
        self._vocabulary = keyframe.vocabulary or self._vocabulary
        self._places.append(place)
        self._numbers[place] = number
        self._stamps.append(keyframe.stamp)
        self._odometry.append((keyframe.odometry, keyframe.segment))
        self._remember(number, keyframe)

    def _enter_edge(self, record: EdgeRecord) -> None:
        named = record.renumbered(self._numbers)
        if named is None:
            self._damaged("a loop of a keyframe that is lost is passed over")
            return
        self._edges = [one for one in self._edges if not _is_same(one, named.edge)]
        if named.holds:
            self._edges.append(named.edge)

    def _remember(self, number: int, keyframe: Keyframe) -> None:
        self._cache[number] = keyframe
        while len(self._cache) > self._in_memory:
            self._cache.popitem(last=False)


def _is_same(first: LoopEdge, second: LoopEdge) -> bool:
    return (first.reference, first.current) == (second.reference, second.current)


def _content(record: Record) -> Keyframe | EdgeRecord | None:
    """None where the bytes are neither."""
    kind = Keyframe if record.mark == _MARK else EdgeRecord
    try:
        return kind.from_bytes(record.payload)
    except (KeyframeError, EdgeError):
        return None
