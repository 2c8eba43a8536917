"""Messages of a bag in order, whatever its storage and whether or not it is whole."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msga_ros.bags.errors import BagError, require_rosbags
from msga_ros.bags.ros1 import as_ros2, ros2_topic
from msga_ros.bags.salvage import Raw, salvage
from msga_ros.bags.storage_files import storage_files, storage_of, unpacked

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class Bag:
    """A rosbag2 folder, one of its storage files (.mcap, .db3; with .zstd), or a ROS 1 bag.

    `warn` gets one line where the bag is damaged; it is then read to its last good message. `types`
    and `counts` are by topic. What `metadata.yaml` says of topics does not count: it may have been
    edited, and the storage knows. Messages of ROS 1 come as those of ROS 2.
    """

    def __init__(self, path: Path, warn: Callable[[str], None] = lambda _: None) -> None:
        """Raises `BagError` where there is no bag at all."""
        require_rosbags()
        self.path = path
        self._warn = warn
        self.files = storage_files(path)
        self.counts: dict[str, int] = {}
        self.types: dict[str, str] = {}
        self._unpacked: TemporaryDirectory[str] | None = None  # gone with this object
        self._whole: list[Path] = []  # what rosbags reads; the others are salvaged
        self._parts = self._look_inside()
        if not self.types:
            raise BagError(f"{path}: no topics in this bag")

    @property
    def storage(self) -> str:
        """`mcap`, `sqlite3` or `ros1`."""
        return storage_of(self.files[0])

    def messages(self, topics: Collection[str]) -> Iterator[Raw]:
        """The messages of `topics` in order of time; of a damaged bag, in order of recording."""
        for part in self._parts:
            found = self._read(part, topics) if part in self._whole else salvage(part)
            for one in found:
                if one.topic in topics:
                    yield one._replace(data=_plain(one.data))

    def _read(self, path: Path, topics: Collection[str]) -> Iterator[Raw]:
        with _reader(path) as reader:
            wanted = [one for one in _connections(reader) if ros2_topic(one.topic) in topics]
            source = reader.messages(wanted) if wanted else iter(())
            while True:
                try:
                    connection, time_ns, data = next(source)
                except StopIteration:
                    return
                except Exception as error:  # of zstd, lz4, sqlite or rosbags itself
                    self._warn(f"{self.path}: damaged, the rest is left out ({_line(error)})")
                    return
                topic, kind = ros2_topic(connection.topic), connection.msgtype
                ros1 = storage_of(path) == "ros1"
                yield Raw(topic, kind, time_ns, as_ros2(kind, data) if ros1 else bytes(data))

    def _look_inside(self) -> list[Path]:
        """Fill `types` and `counts`; the bag as a whole, or its files one by one."""
        reason = "no metadata.yaml"
        if not self.path.is_dir() or (self.path / "metadata.yaml").is_file():
            reason = self._counted(self.path)
            if not reason:
                return [self.path]
        if any(one.suffix == ".zstd" for one in self.files):
            self._unpacked = TemporaryDirectory(prefix="msga_bag_")
        parts = [self._unpack(one) for one in self.files]
        for name, part in zip(self.files, parts, strict=True):
            problem = self._counted(part)
            if problem:
                self._warn(f"{name}: damaged, read to its last good message ({problem})")
                self._count(salvage(part))
        if self.path.is_dir() and len(self._whole) == len(parts) and self.storage != "ros1":
            self._warn(f"{self.path}: read file by file ({reason})")
        return parts

    def _unpack(self, path: Path) -> Path:
        return path if self._unpacked is None else unpacked(path, Path(self._unpacked.name))

    def _counted(self, path: Path) -> str:
        """Count what rosbags finds in `path`; why it cannot be read so, or ""."""
        if Path(f"{path}-wal").is_file():  # rosbags would not look into it
            return "its recorder has not closed it"
        try:
            with _reader(path) as reader:
                for one in _connections(reader):
                    topic = ros2_topic(one.topic)
                    self.types[topic] = one.msgtype
                    self.counts[topic] = self.counts.get(topic, 0) + one.msgcount
        except Exception as error:  # of yaml, sqlite or rosbags itself: all mean the same
            return _line(error)
        self._whole.append(path)
        return ""

    def _count(self, messages: Iterator[Raw]) -> None:
        for (topic, kind), number in Counter((one.topic, one.kind) for one in messages).items():
            self.types[topic] = kind
            self.counts[topic] = self.counts.get(topic, 0) + number


def _reader(path: Path) -> AbstractContextManager[Any]:
    """That of `rosbags` for a folder or a file."""
    if storage_of(path) == "ros1" and path.is_file():
        from rosbags.rosbag1 import Reader as Ros1Reader

        return Ros1Reader(path)
    from rosbags.rosbag2 import Reader

    return Reader(path)


def _connections(reader: Any) -> Sequence[Any]:
    """The connections as the storage has them.

    `rosbags` takes those of a folder from `metadata.yaml` and gives no message of a topic whose QoS
    or hash is another one there than in the storage.
    """
    storages = getattr(getattr(reader, "storage", None), "storages", None)
    if storages is None:
        return list(reader.connections)
    return [one for storage in storages for one in storage.connections]


def _plain(data: bytes) -> bytes:
    """A message that was compressed by itself, if no metadata.yaml says so; CDR begins with 0."""
    if data[:4] != _ZSTD_MAGIC:
        return data
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    try:
        return bytes(zstd.decompress(data))
    except zstd.ZstdError:
        return b""


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
