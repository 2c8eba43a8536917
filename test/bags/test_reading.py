"""Bags that are not whole: everything up to the last good message is there."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rosbags", reason="the library rosbags is not installed")

from bags.bag_maker import STORE, Drive, write
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from msga_ros.bags.errors import BagError
from msga_ros.bags.reading import Bag
from msga_ros.bags.topics import choose_topics
from msga_ros.bags.types import CAMERA_INFO, IMAGE

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIX = {"mcap": "mcap", "sqlite3": "db3"}


def cut(bag: Path, share: float, storage: str) -> Path:
    """Break the storage file off."""
    (file,) = bag.glob(f"*.{SUFFIX[storage]}")
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    return file


def all_messages(path: Path) -> list[tuple[str, int, bytes]]:
    with Reader(path) as reader:
        return [(one.topic, time, bytes(data)) for one, time, data in reader.messages()]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("metadata", [True, False])
def test_truncated_bag_is_read_to_its_last_good_message(
    tmp_path: Path, drive: Drive, storage: str, metadata: bool
) -> None:
    path = write(tmp_path / "bag", drive.mono(range(8)), storage)
    whole = all_messages(path)
    cut(path, 0.6, storage)
    if not metadata:
        (path / "metadata.yaml").unlink()
    warnings: list[str] = []
    bag = Bag(path, warnings.append)
    found = [(one.topic, one.time_ns, one.data) for one in bag.messages(bag.types)]
    assert len(warnings) == 1 and "last good message" in warnings[0]
    assert found == whole[: len(found)]
    assert 0.4 * len(whole) <= len(found) < 0.7 * len(whole)
    assert sum(bag.counts.values()) == len(found)


def test_parts_of_a_split_bag_without_metadata_come_in_the_order_of_their_numbers(
    tmp_path: Path, drive: Drive
) -> None:
    """Part 10 after part 9, and not after part 1."""
    folder = tmp_path / "drive"
    folder.mkdir()
    for number in range(11):
        (part,) = write(tmp_path / f"part{number}", drive.mono([number])).glob("*.mcap")
        part.rename(folder / f"drive_{number}.mcap")
    bag = Bag(folder)
    stamps = [one.time_ns for one in bag.messages(bag.types)]
    assert len(stamps) == 22
    assert stamps == sorted(stamps)


def test_bag_of_a_recorder_that_crashed_has_all_that_was_written(
    tmp_path: Path, drive: Drive
) -> None:
    """No summary, no metadata, but every message whole."""
    path = tmp_path / "bag"
    writer = Writer(path, version=8, storage_plugin=StoragePlugin.MCAP)
    items = drive.mono(range(2))
    writer.open()

    for topic, kind, time, message in items:
        connection = next((c for c in writer.connections if c.topic == topic), None)
        connection = connection or writer.add_connection(topic, kind, typestore=STORE)
        writer.write(connection, time, STORE.serialize_cdr(message, kind))
    writer.storage.close_chunk()  # type: ignore[union-attr]
    writer.abort()
    bag = Bag(path)
    assert [one.time_ns for one in bag.messages(bag.types)] == [item[2] for item in items]


@pytest.mark.parametrize("compression", ["zstd"])
def test_broken_off_compressed_chunk(tmp_path: Path, drive: Drive, compression: str) -> None:
    from rosbags.rosbag2 import CompressionFormat, CompressionMode

    path = tmp_path / "bag"
    writer = Writer(path, version=8, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    items = drive.mono(range(6))
    with writer:
        for topic, kind, time, message in items:
            connection = next((c for c in writer.connections if c.topic == topic), None)
            connection = connection or writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connection, time, STORE.serialize_cdr(message, kind))
    whole = all_messages(path)
    assert len(whole) == len(items)
    cut(path, 0.55, "mcap")
    bag = Bag(path)
    found = [(one.topic, one.time_ns, one.data) for one in bag.messages(bag.types)]
    assert found == whole[: len(found)]
    assert len(found) >= 4


def zipped(file: Path, share: float = 1.0) -> Path:
    """As rosbag2 with compression of files leaves it, or broken off; without its metadata."""
    packed = file.with_name(file.name + ".zstd")
    content = zstd.compress(file.read_bytes())
    packed.write_bytes(content[: int(share * len(content))])
    file.unlink()
    (file.parent / "metadata.yaml").unlink()
    return packed


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("given", ["folder", "file"])
def test_compressed_file_without_metadata(
    tmp_path: Path, drive: Drive, storage: str, given: str
) -> None:
    path = write(tmp_path / "bag", drive.mono(range(4)), storage)
    whole = all_messages(path)
    (file,) = path.glob(f"*.{SUFFIX[storage]}")
    packed = zipped(file)
    bag = Bag(path if given == "folder" else packed)
    assert [(one.topic, one.time_ns, one.data) for one in bag.messages(bag.types)] == whole
    assert sum(bag.counts.values()) == len(whole)
    assert bag.storage == storage


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_compressed_file_that_breaks_off(tmp_path: Path, drive: Drive, storage: str) -> None:
    path = write(tmp_path / "bag", drive.mono(range(8)), storage)
    whole = all_messages(path)
    (file,) = path.glob(f"*.{SUFFIX[storage]}")
    zipped(file, 0.6)
    warnings: list[str] = []
    bag = Bag(path, warnings.append)
    found = [(one.topic, one.time_ns, one.data) for one in bag.messages(bag.types)]
    assert found == whole[: len(found)] and 4 <= len(found) < len(whole)
    assert len(warnings) == 1 and ".zstd: damaged" in warnings[0]


@pytest.mark.parametrize("whole", [True, False])
def test_messages_compressed_one_by_one_without_metadata(
    tmp_path: Path, drive: Drive, whole: bool
) -> None:
    path = tmp_path / "bag"
    items = drive.mono(range(3))
    packed = [(topic, kind, time, zstd.compress(STORE.serialize_cdr(message, kind)))
              for topic, kind, time, message in items]  # fmt: skip
    write(path, packed)
    (path / "metadata.yaml").unlink()
    if not whole:
        cut(path, 0.95, "mcap")
    bag = Bag(path)
    found = [(one.time_ns, one.data) for one in bag.messages(bag.types)]
    truth = [(time, bytes(STORE.serialize_cdr(message, kind))) for _, kind, time, message in items]
    assert found == truth[: len(found)] and len(found) >= 4


def test_what_a_database_holds_besides(tmp_path: Path, drive: Drive) -> None:
    """A recorder that crashed leaves its last messages in the write-ahead log."""
    items = drive.mono(range(3))
    (file,) = write(tmp_path / "bag", items, "sqlite3").glob("*.db3")
    (tmp_path / "bag" / "metadata.yaml").unlink()
    database = sqlite3.connect(file)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA wal_autocheckpoint=0")
    database.execute("INSERT INTO messages(topic_id, timestamp, data) VALUES (1, 5, x'00010000')")
    database.commit()
    crashed = tmp_path / "crashed"
    shutil.copytree(tmp_path / "bag", crashed)
    database.close()
    bag = Bag(crashed)
    assert sum(bag.counts.values()) == len(items) + 1
    assert 5 in [one.time_ns for one in bag.messages(bag.types)]


EDITED = {
    "qos": lambda topic: topic.update(
        offered_qos_profiles=[
            {
                "history": "keep_all", "depth": 0, "reliability": "best_effort",
                "durability": "transient_local", "deadline": {"sec": 0, "nsec": 0},
                "lifespan": {"sec": 0, "nsec": 0}, "liveliness": "automatic",
                "liveliness_lease_duration": {"sec": 0, "nsec": 0},
                "avoid_ros_namespace_conventions": False,
            }
        ]
    ),
    "qos as nobody writes it": lambda topic: topic.update(offered_qos_profiles=[{"history": 7}]),
    "hash": lambda topic: topic.update(type_description_hash="RIHS01_" + "0" * 64),
    "type": lambda topic: topic.update(type="std_msgs/msg/String"),
    "name": lambda topic: topic.update(name=topic["name"] + "_renamed"),
}  # fmt: skip


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("edit", EDITED)
def test_metadata_edited_by_hand_hides_no_message(
    tmp_path: Path, drive: Drive, storage: str, edit: str
) -> None:
    """What the storage holds is what is read, whatever metadata.yaml says of its topics."""
    path = write(tmp_path / "bag", drive.mono(range(3)), storage)
    whole = all_messages(path)
    text = yaml.safe_load((path / "metadata.yaml").read_text())
    for one in text["rosbag2_bagfile_information"]["topics_with_message_count"]:
        EDITED[edit](one["topic_metadata"])
        one["message_count"] = 1
    (path / "metadata.yaml").write_text(yaml.safe_dump(text))
    bag = Bag(path)
    assert bag.types == {"/image": IMAGE, "/camera_info": CAMERA_INFO}
    assert bag.counts == {"/image": 3, "/camera_info": 3}
    assert [(one.topic, one.time_ns, one.data) for one in bag.messages(bag.types)] == whole


def test_truncated_bag_is_processed(tmp_path: Path, drive: Drive, process: Any) -> None:
    path = write(tmp_path / "bag", drive.mono(range(8)))
    cut(path, 0.6, "mcap")
    target, summary, warnings = process(path, parameters={"mode": "temporal"})
    assert 4 <= summary.sets <= 5
    assert summary.outcomes == summary.sets - 1
    assert len(warnings) == 1
    assert len(all_messages(target)) == 2 * summary.outcomes


def test_no_bag(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="no such bag"):
        Bag(tmp_path / "nothing")
    with pytest.raises(BagError, match="no rosbag2 in this folder"):
        Bag(tmp_path)
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(BagError, match="not a rosbag2"):
        Bag(tmp_path / "a.txt")
    (tmp_path / "a.mcap").write_bytes(b"not an MCAP file at all, and long enough for one")
    with pytest.raises(BagError, match="not an MCAP"):
        Bag(tmp_path / "a.mcap")
    (tmp_path / "empty.mcap").write_bytes(b"")
    with pytest.raises(BagError, match="no topics"):
        Bag(tmp_path / "empty.mcap")


TYPES = {
    "/left/image": "sensor_msgs/msg/Image",
    "/left/camera_info": "sensor_msgs/msg/CameraInfo",
    "/right/image/compressed": "sensor_msgs/msg/CompressedImage",
    "/right/camera_info": "sensor_msgs/msg/CameraInfo",
    "/imu": "sensor_msgs/msg/Imu",
}


def test_topics_are_found() -> None:
    chosen = choose_topics("stereo", {}, TYPES).by_input
    assert chosen == {
        "left/image": "/left/image",
        "left/camera_info": "/left/camera_info",
        "right/image": "/right/image/compressed",
        "right/camera_info": "/right/camera_info",
    }
    chosen = choose_topics("temporal", {"image": "left/image"}, TYPES).by_input
    assert chosen == {"image": "/left/image", "camera_info": "/left/camera_info"}
    one_info = {"left/camera_info": "/right/camera_info"}
    assert choose_topics("stereo", one_info, TYPES).by_topic["/right/camera_info"] == [
        "left/camera_info",
        "right/camera_info",
    ]


def test_what_the_bag_offers_is_said() -> None:
    with pytest.raises(
        BagError, match=r"on /image; .*the bag has .*/left/image \(Image\)"
    ) as error:
        choose_topics("temporal", {}, TYPES)
    assert "imu" not in str(error.value)
    with pytest.raises(BagError, match="no camera_info"):
        choose_topics("temporal", {"image": "/left/image", "camera_info": "/imu"}, TYPES)
    with pytest.raises(BagError, match="no input 'left/image' in mode temporal"):
        choose_topics("temporal", {"left/image": "/left/image"}, TYPES)
