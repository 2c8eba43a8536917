"""The files that a bag consists of, in order, and without their compression."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from msga_ros.bags.errors import BagError

_STORAGES = {".mcap": "mcap", ".db3": "sqlite3", ".bag": "ros1"}
_BLOCK = 1 << 20
# What `rosbag record --split` puts behind a name: the time where it was asked for, and a number.
_PART_OF_ROS1 = re.compile(r"(_\d{4}(-\d\d){5})?_\d+$")


def storage_of(path: Path) -> str:
    """`mcap`, `sqlite3` or `ros1`; "" for a file that belongs to no bag.

    A recorder adds `.active` while it writes, and `.zstd` where it compresses whole files.
    """
    suffixes = path.suffixes
    if suffixes and suffixes[-1] in (".zstd", ".active"):
        suffixes.pop()
    return _STORAGES.get(suffixes[-1], "") if suffixes else ""


def is_bag(path: Path) -> bool:
    """Whether `path` looks like a bag: a folder with one, or one of its files."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or bool(_inside(path))
    return bool(storage_of(path))


def storage_files(path: Path) -> list[Path]:
    """The files of a bag in the order of recording. Raises `BagError` where there are none."""
    if not path.exists():
        raise BagError(f"{path}: there is no such bag")
    if path.is_file():
        if not storage_of(path):
            raise BagError(
                f"{path}: not a rosbag2 folder, nor one of its files (.mcap, .db3), nor a ROS 1 bag"
            )
        return [path]
    names = _inside(path)
    if not names:
        raise BagError(f"{path}: no rosbag2 in this folder (no .mcap or .db3 file), no ROS 1 bag")
    ros1 = [one for one in names if storage_of(one) == "ros1"]
    if ros1 and len({_PART_OF_ROS1.sub("", one.name.partition(".")[0]) for one in ros1}) > 1:
        found = ", ".join(sorted(one.name for one in ros1))
        raise BagError(f"{path}: several ROS 1 bags ({found}); name one of them")
    return sorted(names, key=_number)


def unpacked(path: Path, folder: Path) -> Path:
    """`path` itself, or what a `.zstd` file holds as a file in `folder`, to its last good block."""
    if path.suffix != ".zstd":
        return path
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    made, decompressor = folder / path.stem, zstd.ZstdDecompressor()
    with path.open("rb") as packed, made.open("wb") as plain:
        while (block := packed.read(_BLOCK)) and not decompressor.eof:
            try:
                plain.write(decompressor.decompress(block))
            except zstd.ZstdError:
                break
    return made


def _inside(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if one.is_file() and storage_of(one)]


def _number(path: Path) -> tuple[int, str]:
    """Split bags are numbered: name_0.mcap, name_1.mcap, ..., name_10.mcap."""
    tail = path.name.partition(".")[0].rpartition("_")[2]
    return (int(tail) if tail.isdigit() else 0, path.name)
