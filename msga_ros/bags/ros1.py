"""ROS 1 bags: their messages as those of ROS 2, and damaged ones to their last good message.

Source of the format: wiki.ros.org/Bags/Format/2.0. A record is a header (fields `name=value`) and
data, each behind its length. A recorder that crashed leaves no index, and a last chunk whose length
is zero: its records follow all the same.
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from msga_ros.bags.errors import BagError
from msga_ros.bags.types import typestore

_MAGIC = b"#ROSBAG V2.0\n"
_MESSAGE, _CHUNK, _CONNECTION = 0x02, 0x05, 0x07
_LARGEST = 1 << 31  # bytes of a record; a larger length is none

# Connection (topic, type), time in the bag (ns), bytes.
Ros1Message = tuple[str, str, int, bytes]


def as_ros2(kind: str, data: bytes) -> bytes:
    """A serialised ROS 1 message of `kind` as CDR; empty where it is broken, or of another kind.

    The definitions of the kinds that are read here are the same but for the header's counter.
    """
    store = typestore()
    if kind not in store.fielddefs:
        return b""
    try:
        return bytes(store.ros1_to_cdr(data, kind))
    except Exception:  # whatever the bytes make of the decoder
        return b""


def ros2_kind(name: str) -> str:
    """`sensor_msgs/Image` as ROS 2 has it."""
    return name.replace("/", "/msg/", 1) if "/msg/" not in name else name


def ros2_topic(name: str) -> str:
    """A topic with its leading slash, which ROS 1 does not insist on."""
    return "/" + "/".join(part for part in name.split("/") if part)


def salvage_ros1(path: Path) -> Iterator[Ros1Message]:
    """The messages of a ROS 1 bag in the order of recording, up to the first damage."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise BagError(f"{path}: not a ROS 1 bag of version 2.0")
        connections: dict[int, tuple[str, str]] = {}
        try:
            for header, data in _records(file):
                records = iter([(header, data)])
                if header["op"] == bytes([_CHUNK]):
                    records = _cut(_uncompressed(header["compression"], data))
                for fields, body in records:
                    found = _message(fields, body, connections)
                    if found is not None:
                        yield found
        except (struct.error, KeyError, ValueError, IndexError):
            return  # damage in the middle: what comes after cannot be found


def _message(
    fields: dict[str, bytes], body: bytes, connections: dict[int, tuple[str, str]]
) -> Ros1Message | None:
    """The message of a record; None for others, of which connections are remembered."""
    code = fields["op"][0]
    if code == _CONNECTION:
        (number,) = struct.unpack("<I", fields["conn"])
        kind = ros2_kind(_fields(body)["type"].decode())
        connections[number] = (ros2_topic(fields["topic"].decode()), kind)
    if code != _MESSAGE:
        return None
    (number,) = struct.unpack("<I", fields["conn"])
    seconds, nanoseconds = struct.unpack("<II", fields["time"])
    return (*connections[number], seconds * 1_000_000_000 + nanoseconds, body)


def _records(file: BinaryIO) -> Iterator[tuple[dict[str, bytes], bytes]]:
    """Header and data of one record after another; the last one may break off if it is a chunk."""
    while len(length := file.read(4)) == 4:
        header = file.read(_checked(length))
        size = file.read(4)
        if len(size) < 4:
            return
        fields, data = _fields(header), file.read(_checked(size))
        if len(data) < _checked(size) and fields["op"][0] != _CHUNK:
            return
        yield fields, data


def _cut(chunk: bytes) -> Iterator[tuple[dict[str, bytes], bytes]]:
    """The records of a chunk, as many as are whole."""
    position = 0
    while position + 4 <= len(chunk):
        (length,) = struct.unpack_from("<I", chunk, position)
        end = position + 4 + length
        if end + 4 > len(chunk):
            return
        (size,) = struct.unpack_from("<I", chunk, end)
        if end + 4 + size > len(chunk):
            return
        yield _fields(chunk[position + 4 : end]), chunk[end + 4 : end + 4 + size]
        position = end + 4 + size


def _fields(header: bytes) -> dict[str, bytes]:
    found, position = {}, 0
    while position < len(header):
        (length,) = struct.unpack_from("<I", header, position)
        name, equals, value = header[position + 4 : position + 4 + length].partition(b"=")
        if not equals:
            raise ValueError("not a field of a header")
        found[name.decode()] = value
        position += 4 + length
    return found


def _checked(length: bytes) -> int:
    (value,) = struct.unpack("<I", length)
    if value > _LARGEST:
        raise ValueError("a record of an impossible length")
    return int(value)


def _uncompressed(compression: bytes, data: bytes) -> bytes:
    """The records of a chunk, as many as a chunk that breaks off still holds."""
    if compression == b"none":
        return data
    if compression == b"bz2":
        try:
            return bz2.BZ2Decompressor().decompress(data)
        except OSError:
            return b""
    if compression == b"lz4":
        import lz4.frame

        try:
            return bytes(lz4.frame.LZ4FrameDecompressor().decompress(data))
        except RuntimeError:
            return b""
    raise ValueError("another compression")
