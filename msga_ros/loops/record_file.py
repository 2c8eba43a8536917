"""A file of records, written at its end alone: each a mark, the length and the CRC-32 of what
follows.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

_HEAD = struct.Struct("<8sQI")  # mark, length, CRC-32
_LONGEST_MARK = 8  # bytes
_BLOCK = 1 << 20  # bytes that are looked through at a time


class StoreError(ValueError):
    """A map file that cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Record:
    """`place`: where in the file it begins; `end`: where the next one does."""

    mark: bytes
    payload: bytes
    checksum: int
    place: int
    end: int

    def is_of(self, mark: bytes, payload: bytes) -> bool:
        """Whether such a record would be the same bytes."""
        as_long = self.end - self.place == _HEAD.size + len(payload)
        return self.mark == mark and as_long and self.checksum == zlib.crc32(payload)

    def without_payload(self) -> Record:
        """All else of it."""
        return replace(self, payload=b"")


class RecordFile:
    """One process at a time. Raises `StoreError` where another one has it; `OSError`."""

    def __init__(self, path: Path, marks: Sequence[bytes]) -> None:
        """`marks`: of 8 bytes, the last of which is a version; the first record has `marks[0]`."""
        self._path = path
        self._marks = tuple(marks)
        self._file: BinaryIO = open(path, "a+b", buffering=0)  # noqa: SIM115
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise StoreError(f"{path}: in use by another process") from None
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    @property
    def size(self) -> int:
        """Bytes."""
        return self._file.seek(0, os.SEEK_END)

    def append(self, mark: bytes, payload: bytes) -> int:
        """Write a record to the disk; where it begins. Raises `OSError`, the file being as before
        then."""
        record = _HEAD.pack(mark, len(payload), zlib.crc32(payload)) + payload
        end = self.size
        try:
            view = memoryview(record)
            while view:
                view = view[self._file.write(view) :]
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(end)
            raise
        return end

    def truncate(self, end: int) -> None:
        """Cut off what lies beyond `end`."""
        self._file.truncate(end)

    def record(self, place: int) -> Record | None:
        """What begins at `place`; None where there is none that is whole."""
        head = self._bytes(place, _HEAD.size)
        if len(head) < _HEAD.size:
            return None
        mark, length, checksum = _HEAD.unpack(head)
        if mark not in self._marks or length > self.size - place - _HEAD.size:
            return None
        payload = self._bytes(place + _HEAD.size, length)
        if zlib.crc32(payload) != checksum:
            return None
        return Record(mark, payload, checksum, place, place + _HEAD.size + length)

    def next_mark(self, start: int) -> int | None:
        """Where the next mark stands from `start` on."""
        place = start
        while chunk := self._bytes(place, _BLOCK + _LONGEST_MARK - 1):
            found = [one for mark in self._marks if (one := chunk.find(mark)) >= 0]
            if found:
                return place + min(found)
            place += _BLOCK
        return None

    def check_kind(self, whole: int) -> None:
        """Raises `StoreError` where the file, of which `whole` bytes can be read, is none of ours.

        A first record that was cut short is."""
        expected = self._marks[0]
        head = self._bytes(0, len(expected))
        if whole or head == expected[: len(head)]:
            return
        if head[:-1] == expected[:-1]:
            raise StoreError(
                f"{self._path}: a map of version {head[-1:]!r}, and not {expected[-1:]!r} as here"
            )
        raise StoreError(f"{self._path}: not a map of keyframes")

    def _bytes(self, place: int, count: int) -> bytes:
        self._file.seek(place)
        parts = []
        while count > 0 and (part := self._file.read(count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
