"""What a run has done so far, on disk, so that an interrupted one goes on from there.

One entry for each processed set of messages: a JSON header and the serialised messages, behind
their length and checksum. An entry that is not whole (the power went) counts as not written, and so
does everything after it.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FRAME = struct.Struct("<III")  # length of the header, length of the data, checksum of both

_STATE = struct.Struct("<II")  # entries before the state, its checksum


@dataclass(frozen=True)
class Message:
    """A serialised message to be written into the bag."""

    topic: str
    time_ns: int
    data: bytes


@dataclass(frozen=True)
class Entry:
    """`header`: the state after a set, and what is known of its motion; JSON alone."""

    header: dict[str, Any]
    messages: tuple[Message, ...] = ()


class Journal:
    """The entries of one run in `folder`; `fingerprint` says what the run works on, and how."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        """Goes on with what lies in `folder` if its fingerprint is the same, else begins."""
        self.folder = folder
        self._path = folder / "journal.bin"
        stamp = folder / "fingerprint"
        known = stamp.read_text() if stamp.is_file() else ""
        folder.mkdir(parents=True, exist_ok=True)
        if known != fingerprint:
            self._path.unlink(missing_ok=True)
            (folder / "state.bin").unlink(missing_ok=True)
            stamp.write_text(fingerprint)
        self.count = 0
        self.last: dict[str, Any] | None = None
        end = 0
        for entry, after in self._scan():
            self.count, self.last, end = self.count + 1, entry.header, after
        self._file = self._path.open("ab")
        self._file.truncate(end)

    def append(self, entry: Entry) -> None:
        """Add one entry; it is written and flushed when this returns."""
        lengths = [[one.topic, one.time_ns, len(one.data)] for one in entry.messages]
        header = json.dumps({**entry.header, "messages": lengths}).encode()
        data = b"".join(one.data for one in entry.messages)
        frame = _FRAME.pack(len(header), len(data), zlib.crc32(data, zlib.crc32(header)))
        self._file.write(frame + header + data)
        self._file.flush()
        self.count += 1
        self.last = entry.header

    def cut(self, count: int) -> None:
        """Forget all entries but the first `count`."""
        if count >= self.count:
            return
        end, self.count, self.last = 0, 0, None
        for entry, after in self._scan():
            if self.count == count:
                break
            self.count, self.last, end = self.count + 1, entry.header, after
        self._file.truncate(end)

    def keep_state(self, count: int, state: bytes) -> None:
        """Keep `state` as that after `count` entries, in the place of an earlier one."""
        made = self.folder / "state.new"
        header = _STATE.pack(count, zlib.crc32(state))
        made.write_bytes(header + state)
        os.replace(made, self.folder / "state.bin")

    def kept_state(self) -> tuple[int, bytes]:
        """How many entries the kept state comes after, and the state; 0 and nothing without one."""
        path = self.folder / "state.bin"
        content = path.read_bytes() if path.is_file() else b""
        if len(content) < _STATE.size:
            return 0, b""
        count, checksum = _STATE.unpack_from(content)
        state = content[_STATE.size :]
        if zlib.crc32(state) != checksum or count > self.count:
            return 0, b""
        return count, state

    def close(self) -> None:
        """Have everything on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def entries(self) -> Iterator[Entry]:
        """All entries, oldest first."""
        for entry, _ in self._scan():
            yield entry

    def _scan(self) -> Iterator[tuple[Entry, int]]:
        """Entries, and where each ends in the file."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            while True:
                frame = file.read(_FRAME.size)
                if len(frame) < _FRAME.size:
                    return
                header_length, data_length, checksum = _FRAME.unpack(frame)
                header, data = file.read(header_length), file.read(data_length)
                if len(header) < header_length or len(data) < data_length:
                    return
                if zlib.crc32(data, zlib.crc32(header)) != checksum:
                    return
                values = json.loads(header)
                yield Entry(values, _cut(values.pop("messages"), data)), file.tell()


def _cut(lengths: Sequence[tuple[str, int, int]], data: bytes) -> tuple[Message, ...]:
    messages, start = [], 0
    for topic, time_ns, length in lengths:
        messages.append(Message(topic, time_ns, data[start : start + length]))
        start += length
    return tuple(messages)
