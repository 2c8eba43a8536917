"""Messages of a bag in order, whatever its storage and whether or not it is whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from msga_ros.bags.errors import BagError, require_rosbags
from msga_ros.bags.salvage import Raw, salvage

_STORAGES = {".mcap": "mcap", ".db3": "sqlite3"}


class Bag:
    """A rosbag2 folder or one of its storage files (.mcap, .db3).

    `warn` gets one line where the bag is damaged; it is then read to its last good message.
    """

    def __init__(self, path: Path, warn: Callable[[str], None] = lambda _: None) -> None:
        """Raises `BagError` where there is no bag at all."""
        require_rosbags()
        self.path = path
        self._warn = warn
        self.files = _storage_files(path)
        self.counts: dict[str, int] = {}
        self.types: dict[str, str] = {}
        self._whole = self._look_inside()
        if not self.types:
            raise BagError(f"{path}: no topics in this bag")

    @property
    def storage(self) -> str:
        """`mcap` or `sqlite3`."""
        return _STORAGES.get(self.files[0].with_suffix("").suffix, "") or _STORAGES.get(
            self.files[0].suffix, "mcap"
        )

    def messages(self, topics: Collection[str]) -> Iterator[Raw]:
        """The messages of `topics` in order of time; of a damaged bag, in order of recording."""
        if not self._whole:
            for path in self.files:
                yield from (one for one in salvage(path) if one.topic in topics)
            return
        from rosbags.rosbag2 import Reader

        with Reader(self.path) as reader:
            wanted = [one for one in reader.connections if one.topic in topics]
            source = reader.messages(wanted) if wanted else iter(())
            while True:
                try:
                    connection, time_ns, data = next(source)
                except StopIteration:
                    return
                except Exception as error:  # of zstd, lz4, sqlite or rosbags itself
                    self._warn(f"{self.path}: damaged, the rest is left out ({_line(error)})")
                    return
                yield Raw(connection.topic, connection.msgtype, time_ns, bytes(data))

    def _look_inside(self) -> bool:
        """Fill `types` and `counts`; whether the bag is whole."""
        from rosbags.rosbag2 import Reader

        try:
            with Reader(self.path) as reader:
                for one in reader.connections:
                    self._count(one.topic, one.msgtype, one.msgcount)
            return True
        except Exception as error:  # of yaml, sqlite or rosbags itself: all mean the same
            self._warn(f"{self.path}: damaged, read to its last good message ({_line(error)})")
        self.types, self.counts = {}, {}
        for path in self.files:
            for raw in salvage(path):
                self._count(raw.topic, raw.kind, 1)
        return False

    def _count(self, topic: str, kind: str, number: int) -> None:
        self.types[topic] = kind
        self.counts[topic] = self.counts.get(topic, 0) + number


def _storage_files(path: Path) -> list[Path]:
    if not path.exists():
        raise BagError(f"{path}: there is no such bag")
    if path.is_file():
        if path.suffix not in _STORAGES:
            raise BagError(f"{path}: not a rosbag2 folder, nor one of its files (.mcap, .db3)")
        return [path]
    names = [*path.glob("*.mcap"), *path.glob("*.db3"), *path.glob("*.zstd")]
    if not names:
        raise BagError(f"{path}: no rosbag2 in this folder (no .mcap or .db3 file)")
    return sorted(names, key=_number)


def _number(path: Path) -> tuple[int, str]:
    """Split bags are numbered: name_0.mcap, name_1.mcap, ..., name_10.mcap."""
    tail = path.name.partition(".")[0].rpartition("_")[2]
    return (int(tail) if tail.isdigit() else 0, path.name)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
