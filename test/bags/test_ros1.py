"""Bags of ROS 1: whole, split, compressed, and of a recorder that crashed."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bags.bag_maker import Drive, write, write_ros1
from bags.test_run import raw

from msga_ros.bags.errors import BagError
from msga_ros.bags.reading import Bag
from msga_ros.bags.types import typestore


def read(bag: Bag) -> list[tuple[str, int, Any]]:
    store = typestore()
    return [
        (one.topic, one.time_ns, store.deserialize_cdr(one.data, one.kind))
        for one in bag.messages(bag.types)
    ]


def assert_same(found: list[tuple[str, int, Any]], items: list[tuple[str, str, int, Any]]) -> None:
    found = sorted(found, key=lambda one: (one[1], one[0]))
    items = sorted(items, key=lambda one: (one[2], one[0]))
    assert [(topic, time) for topic, time, _ in found] == [(one[0], one[2]) for one in items]
    for (_, _, message), (_, kind, _, truth) in zip(found, items, strict=True):
        assert message.__msgtype__ == kind
        assert message.header == truth.header
        if kind.endswith("CameraInfo"):
            for name in ("k", "d", "r", "p"):
                np.testing.assert_array_equal(getattr(message, name), getattr(truth, name))
            assert message.distortion_model == truth.distortion_model
            assert (message.width, message.roi) == (truth.width, truth.roi)
        else:
            np.testing.assert_array_equal(message.data, truth.data)


@pytest.mark.parametrize("compression", ["", "bz2", "lz4"])
@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "png"])
def test_messages_are_those_of_ros2(
    tmp_path: Path, drive: Drive, compression: str, compressed: bool
) -> None:
    items = drive.stereo(range(2), compressed)
    bag = Bag(write_ros1(tmp_path / "a.bag", items, compression), pytest.fail)
    assert_same(read(bag), items)
    assert bag.counts == dict.fromkeys({one[0] for one in items}, 2)
    assert bag.storage == "ros1"


def test_a_ros1_bag_gives_what_the_same_bag_of_ros2_gives(
    tmp_path: Path, drive: Drive, process: Any
) -> None:
    items = drive.stereo(range(2))
    first, summary, warnings = process(write_ros1(tmp_path / "one.bag", items), "from_ros1")
    assert (summary.sets, warnings) == (2, [])
    assert next(first.glob("*.mcap")).is_file()
    second, _, _ = process(write(tmp_path / "two", items), "from_ros2")
    assert raw(first) == raw(second)


def test_topics_without_a_slash(tmp_path: Path, drive: Drive) -> None:
    items = [(topic.lstrip("/"), *rest) for topic, *rest in drive.mono(range(1))]
    bag = Bag(write_ros1(tmp_path / "a.bag", items))  # type: ignore[arg-type]
    assert set(bag.types) == {"/image", "/camera_info"}
    assert len(read(bag)) == 2


def test_parts_of_a_split_bag_and_bags_that_only_lie_together(tmp_path: Path, drive: Drive) -> None:
    items = drive.mono(range(11))
    for number in range(11):
        name = f"run_2024-05-01-10-{number:02}-00_{number}.bag"
        write_ros1(tmp_path / name, items[2 * number : 2 * number + 2])
    assert_same(read(Bag(tmp_path)), items)
    write_ros1(tmp_path / "MH_01_easy.bag", items[:2])
    with pytest.raises(BagError, match=r"several ROS 1 bags .*MH_01_easy"):
        Bag(tmp_path)


def unindexed(path: Path) -> Path:
    """What a recorder leaves that was killed: no index."""
    content = bytearray(path.read_bytes())
    at = content.index(b"index_pos=") + len(b"index_pos=")
    (end,) = struct.unpack_from("<Q", content, at)
    content[at : at + 8] = bytes(8)
    path.write_bytes(content[:end])
    return path.rename(path.with_suffix(".bag.active"))


@pytest.mark.parametrize(
    ("compression", "share"), [("", 1.0), ("bz2", 1.0), ("lz4", 1.0), ("", 0.6), ("lz4", 0.6)]
)  # a block of bz2 is larger than this bag
def test_a_recorder_that_crashed(
    tmp_path: Path, drive: Drive, compression: str, share: float
) -> None:
    items = drive.mono(range(6))
    path = unindexed(write_ros1(tmp_path / "a.bag", items, compression))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    warnings: list[str] = []
    bag = Bag(path, warnings.append)
    found = read(bag)
    assert len(warnings) == 1 and "last good message" in warnings[0]
    assert_same(found, items[: len(found)])
    if share == 1.0:
        assert len(found) == len(items)
    else:
        assert 4 <= len(found) < 10
    assert sum(bag.counts.values()) == len(found)


def test_a_last_chunk_without_its_length(tmp_path: Path, drive: Drive) -> None:
    """The recorder writes the length of a chunk when it is done with it."""
    items = drive.mono(range(2))
    path = unindexed(write_ros1(tmp_path / "a.bag", items))
    content = bytearray(path.read_bytes())
    position = content.index(b"\n") + 1
    for _ in range(2):  # behind the header and the data of the bag's own record
        position += 4 + struct.unpack_from("<I", content, position)[0]
    position += 4 + struct.unpack_from("<I", content, position)[0]
    content[position : position + 4] = bytes(4)
    path.write_bytes(content)
    assert_same(read(Bag(path)), items)


def test_no_ros1_bag(tmp_path: Path) -> None:
    path = tmp_path / "a.bag"
    path.write_bytes(b"#ROSBAG V1.2\nsomething else")
    with pytest.raises(BagError, match="not a ROS 1 bag of version 2"):
        Bag(path)
    path.write_bytes(b"#ROSBAG V2.0\n" + bytes(range(256)))
    with pytest.raises(BagError, match="no topics"):
        Bag(path)
