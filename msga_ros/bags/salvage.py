"""Reads damaged storage files from their beginning to the last good message.

`rosbags` needs the summary at the end of an MCAP file and a whole SQLite file; a recorder that
crashed, or a copy that broke off, leaves neither. Sources: the MCAP specification (mcap.dev/spec)
and the schema of rosbag2's SQLite storage.
"""

from __future__ import annotations

import mmap
import sqlite3
import struct
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from msga_ros.bags.errors import BagError
from msga_ros.bags.ros1 import as_ros2, salvage_ros1
from msga_ros.bags.storage_files import storage_of

_MAGIC = b"\x89MCAP0\r\n"
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F


class Raw(NamedTuple):
    """One message as it lies in the file."""

    topic: str
    kind: str
    time_ns: int
    data: bytes


def salvage(path: Path) -> Iterator[Raw]:
    """The messages of one storage file in the order of recording, up to the first damage."""
    if path.suffix == ".mcap":
        yield from _mcap(path)
    elif path.suffix == ".db3":
        yield from _sqlite(path)
    elif storage_of(path) == "ros1":
        for topic, kind, time_ns, data in salvage_ros1(path):
            yield Raw(topic, kind, time_ns, as_ros2(kind, data))
    else:
        raise BagError(f"{path}: damaged, and not of a kind that can be salvaged")


class _Scan:
    """Records of an MCAP file one after another; knows the channels seen so far."""

    def __init__(self) -> None:
        self._schemas: dict[int, str] = {}
        self._channels: dict[int, tuple[str, str]] = {}

    def messages(self, data: memoryview) -> Iterator[Raw]:
        position = 0
        while position + 9 <= len(data):
            code, length = struct.unpack_from("<BQ", data, position)
            body = data[position + 9 : position + 9 + length]
            if code == _DATA_END:
                return
            if code == _CHUNK:
                yield from self.messages(memoryview(_uncompressed(body)))
            elif len(body) == length:
                if code == _SCHEMA:
                    (number,) = struct.unpack_from("<H", body)
                    self._schemas[number] = _string(body, 2)[0]
                elif code == _CHANNEL:
                    number, schema = struct.unpack_from("<HH", body)
                    self._channels[number] = (_string(body, 4)[0], self._schemas.get(schema, ""))
                elif code == _MESSAGE:
                    number, _, time_ns = struct.unpack_from("<HIQ", body)
                    topic, kind = self._channels[number]
                    yield Raw(topic, kind, time_ns, bytes(body[22:]))
            position += 9 + length


def _mcap(path: Path) -> Iterator[Raw]:
    if path.stat().st_size <= len(_MAGIC):
        return
    with path.open("rb") as file:
        # Not closed by hand: views of it may outlive this generator.
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if bytes(data[:8]) != _MAGIC:
        raise BagError(f"{path}: not an MCAP file")
    try:
        yield from _Scan().messages(data[8:])
    except (struct.error, KeyError, UnicodeDecodeError):
        return  # damage in the middle: what comes after cannot be found


def _string(body: memoryview, position: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<I", body, position)
    end = position + 4 + length
    return bytes(body[position + 4 : end]).decode("utf-8"), end


def _uncompressed(chunk: memoryview) -> bytes:
    """The records of a chunk, as many as a chunk that breaks off still holds."""
    compression, position = _string(chunk, 28)
    (length,) = struct.unpack_from("<Q", chunk, position)
    packed = bytes(chunk[position + 8 : position + 8 + length])
    if compression == "":
        return packed
    if compression == "zstd":
        return _unpack_zstd(packed)
    if compression == "lz4":
        import lz4.frame

        try:
            return bytes(lz4.frame.LZ4FrameDecompressor().decompress(packed))
        except RuntimeError:
            return b""
    raise BagError(f"unknown compression {compression!r} of an MCAP chunk")


def _unpack_zstd(packed: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    try:
        return bytes(zstd.ZstdDecompressor().decompress(packed))
    except zstd.ZstdError:
        return b""


def _sqlite(path: Path) -> Iterator[Raw]:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            # Otherwise SQLite refuses a file that is shorter than its header says, unread.
            database.execute("PRAGMA writable_schema=ON")
            topics = {
                number: (name, kind)
                for number, name, kind in database.execute("SELECT id, name, type FROM topics")
            }
            for number, time_ns, data in database.execute(
                "SELECT topic_id, timestamp, data FROM messages NOT INDEXED ORDER BY rowid"
            ):
                if number in topics:
                    yield Raw(*topics[number], int(time_ns), bytes(data))
    except sqlite3.Error:
        return  # the pages from here on are missing or damaged
