"""A bag of real stereo images in, a bag of correspondences and poses out."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="the library rosbags is not installed")

from bags.bag_maker import START_NS, Drive, write
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from msga_ros.bags.outputs import OutputOptions
from msga_ros.bags.state import to_bytes

MESSAGES = Path(__file__).resolve().parents[2] / "msg"


def read(path: Path) -> dict[str, list[Any]]:
    """Messages by topic, read as a consumer would: with types registered from the .msg files."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name in ("Correspondences", "RelativePose"):
        text = (MESSAGES / f"{name}.msg").read_text()
        store.register(get_types_from_msg(text, f"msga_ros/msg/{name}"))
    found: dict[str, list[Any]] = {}
    with Reader(path) as reader:
        for connection, _, data in reader.messages():
            message = store.deserialize_cdr(data, connection.msgtype)
            found.setdefault(connection.topic, []).append(message)
    return found


def raw(path: Path) -> list[tuple[str, int, bytes]]:
    with Reader(path) as reader:
        return [(one.topic, time, bytes(data)) for one, time, data in reader.messages()]


def stamp(header: Any) -> int:
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def rotation(q: Any) -> np.ndarray:
    x, y, z, w = q.x, q.y, q.z, q.w
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * k + 2 * k @ k


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("compressed", [False, True])
def test_stereo_bag(
    tmp_path: Path, drive: Drive, process: Any, storage: str, compressed: bool
) -> None:
    source = write(tmp_path / "in", drive.stereo(range(2), compressed), storage)
    target, summary, warnings = process(source)
    assert warnings == []
    assert (summary.sets, summary.outcomes) == (2, 2)
    assert len(list(target.glob("*.mcap" if storage == "mcap" else "*.db3"))) == 1
    found = read(target)
    assert set(found) == {
        "/msga/correspondences", "/msga/relative_pose", "/msga/odometry", "/msga/temporal_pose",
    }  # fmt: skip
    for frame, (matches, pose) in enumerate(
        zip(found["/msga/correspondences"], found["/msga/relative_pose"], strict=True)
    ):
        assert matches.pairing == 0
        assert stamp(matches.header) == stamp(pose.header) == drive.stamp(frame)
        assert matches.reference_header.frame_id == "left_optical"
        assert matches.header.frame_id == pose.header.frame_id == "right_optical"
        height, width = drive.pixels(frame, "left").shape
        assert (matches.width, matches.height) == (width, height)
        rows = matches.matched
        assert rows > 100
        assert len(matches.points) == len(matches.reference_points) == 2 * rows
        assert len(matches.inlier) == len(matches.track_ids) == rows
        assert matches.inlier.sum() == matches.geometric_inliers == pose.inliers > 0
        np.testing.assert_allclose(matches.k, drive.camera(frame, "right").k.ravel())
        # The right camera stands to the right of the left one, one baseline away.
        assert pose.status != pose.STATUS_TOO_FEW_MATCHES  # so few features may leave it ambiguous
        assert pose.translation_scale_known
        offset = pose.transform.translation
        assert np.linalg.norm([offset.x, offset.y, offset.z]) == pytest.approx(drive.baseline)


def test_temporal_bag_and_trajectories(tmp_path: Path, drive: Drive, process: Any) -> None:
    source = write(tmp_path / "in", drive.mono(range(4)))
    better = {"mode": "temporal", "frontend.name": "sift", "frontend.max_keypoints": 1500}
    target, summary, _ = process(source, parameters=better)
    assert (summary.sets, summary.outcomes) == (4, 3)
    poses = read(target)["/msga/relative_pose"]
    assert [stamp(one.reference_header) for one in poses] == [drive.stamp(i) for i in range(3)]
    assert [stamp(one.header) for one in poses] == [drive.stamp(i) for i in range(1, 4)]
    assert not any(one.translation_scale_known for one in poses)

    tum = np.loadtxt(target / "trajectory_tum.txt")
    kitti = np.loadtxt(target / "trajectory_kitti.txt").reshape(-1, 3, 4)
    assert len(tum) == len(kitti) == 4
    np.testing.assert_allclose(
        tum[:, 0] - 1.7e9, [(drive.stamp(i) - START_NS) * 1e-9 for i in range(4)], atol=1e-6
    )
    np.testing.assert_allclose(kitti[0], np.eye(3, 4))
    np.testing.assert_allclose(tum[:, 1:4], kitti[:, :, 3], atol=1e-8)
    for row, matrix in zip(tum, kitti, strict=True):
        x, y, z, w = row[4:]
        turn = rotation(SimpleNamespace(x=x, y=y, z=z, w=w))
        np.testing.assert_allclose(turn, matrix[:, :3], atol=1e-6)
    assert summary.poses == 4


def test_stereo_trajectory_is_in_metres(tmp_path: Path, drive: Drive, process: Any) -> None:
    source = write(tmp_path / "in", drive.stereo(range(4)))
    better = {"frontend.name": "sift", "frontend.max_keypoints": 1500}
    target, summary, _ = process(source, parameters=better)
    assert summary.poses == 4
    kitti = np.loadtxt(target / "trajectory_kitti.txt").reshape(-1, 3, 4)
    tum = np.loadtxt(target / "trajectory_tum.txt")
    np.testing.assert_allclose(tum[:, 1:4], kitti[:, :, 3], atol=1e-8)
    turn, position = drive.true_motion(0, 3)
    length = np.linalg.norm(position)
    assert length > 1.0
    assert np.linalg.norm(kitti[3, :, 3] - position) < 0.15 * length
    assert np.degrees(np.linalg.norm(kitti[3, :, :3] - turn) / 2**0.5) < 2.0

    found = read(target)["/msga/odometry"]
    assert len(found) == 4
    for message, row in zip(found, tum, strict=True):
        assert message.child_frame_id == "left_optical"
        at = message.pose.pose.position
        np.testing.assert_allclose([at.x, at.y, at.z], row[1:4], atol=1e-6)
    assert [stamp(one.header) for one in found] == [drive.stamp(i) for i in range(4)]
    # It grows from next to nothing.
    spread = [np.asarray(one.pose.covariance).reshape(6, 6)[:3, :3].trace() for one in found]
    assert 0 < spread[0] < 1e-5 < spread[1] < spread[3]


def test_without_trajectory(tmp_path: Path, drive: Drive, process: Any) -> None:
    source = write(tmp_path / "in", drive.stereo(range(2)))
    target, summary, _ = process(source, trajectory=False)
    assert summary.files == () and summary.poses == 0
    assert set(read(target)) == {"/msga/correspondences", "/msga/relative_pose"}


def test_same_bag_same_result(tmp_path: Path, drive: Drive, process: Any) -> None:
    source = write(tmp_path / "in", drive.mono(range(3)))
    first, _, _ = process(source, "first", parameters={"mode": "temporal"})
    second, _, _ = process(source, "second", parameters={"mode": "temporal"})
    assert raw(first) == raw(second)
    assert (first / "trajectory_tum.txt").read_text() == (second / "trajectory_tum.txt").read_text()


@pytest.mark.parametrize(
    ("mode", "end"),
    [
        ("previous", "interrupt"),
        ("previous", "kill"),
        ("keyframe", "interrupt"),
        ("stereo", "interrupt"),
    ],
)
def test_interrupted_run_goes_on(
    tmp_path: Path, drive: Drive, process: Any, mode: str, end: str
) -> None:
    if mode == "stereo":
        parameters, items, stop = {}, drive.stereo(range(4)), 8  # 4 messages a set
    else:
        parameters = {"mode": "temporal", "temporal.reference": mode}
        items, stop = drive.mono(range(5)), 6  # 2 messages a set
    source = write(tmp_path / "in", items)
    whole, summary, _ = process(source, "whole", parameters=parameters)
    assert summary.resumed == 0
    with pytest.raises(KeyboardInterrupt):
        process(source, "broken", parameters=parameters, stop_after=stop)
    assert not (tmp_path / "broken").exists()
    work = tmp_path / "broken.partial"
    if end == "kill":  # no time to write the state of the odometry, and half an entry
        (work / "state.bin").unlink()
        journal = work / "journal.bin"
        journal.write_bytes(journal.read_bytes() + b"half an entry")
    broken, summary, warnings = process(source, "broken", parameters=parameters)
    done = stop // (4 if mode == "stereo" else 2)
    assert summary.resumed == (done if end == "interrupt" else 0)
    assert warnings == []
    assert raw(broken) == raw(whole)
    for name in ("trajectory_tum.txt", "trajectory_kitti.txt"):
        assert (broken / name).read_text() == (whole / name).read_text()
    assert not work.exists()


def test_killed_run_without_odometry_goes_on(tmp_path: Path, drive: Drive, process: Any) -> None:
    source = write(tmp_path / "in", drive.mono(range(5)))
    options: dict[str, Any] = {"parameters": {"mode": "temporal"}, "trajectory": False}
    whole, _, _ = process(source, "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        process(source, "broken", stop_after=6, **options)
    journal = tmp_path / "broken.partial" / "journal.bin"
    journal.write_bytes(journal.read_bytes()[:-10])  # the last entry is not whole
    broken, summary, _ = process(source, "broken", **options)
    assert summary.resumed == 2
    assert raw(broken) == raw(whole)


COUNTED: dict[str, Any] = {"epoch": 0, "session": 1, "reason": "", "pending": "", "headers": {}}


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04}\x94.",  # a pickle
        b"PK\x03\x04 garbled",
        to_bytes((0, None)),
        to_bytes([0, 1, 2]),
        to_bytes({**COUNTED, "stereo": True, "odometry": None, "cameras": None}),  # other mode
        to_bytes({**COUNTED, "stereo": False, "odometry": None}),  # no cameras
        to_bytes({**COUNTED, "stereo": False, "rig": None, "odometry": {}, "cameras": None}),
        to_bytes({**COUNTED, "stereo": False, "rig": None, "odometry": 5, "cameras": None}),
    ],
)
def test_strange_state_is_refused(
    tmp_path: Path, drive: Drive, process: Any, content: bytes
) -> None:
    """A state file may be anyone's: it is refused with a warning, and the bag is done anew."""
    source = write(tmp_path / "in", drive.mono(range(3)))
    parameters = {"mode": "temporal"}
    whole, _, _ = process(source, "whole", parameters=parameters)
    with pytest.raises(KeyboardInterrupt):
        process(source, parameters=parameters, stop_after=4)
    strange = struct.pack("<II", 2, zlib.crc32(content)) + content
    (tmp_path / "out.partial" / "state.bin").write_bytes(strange)
    found, summary, warnings = process(source, parameters=parameters)
    assert summary.resumed == 0
    assert any("starting from the beginning" in one for one in warnings)
    assert raw(found) == raw(whole)


@pytest.mark.parametrize(
    "changed",
    [
        {"parameters": {"mode": "temporal", "frontend.max_keypoints": 300}},
        {"outputs": OutputOptions("/robot")},
        {"topics": {"image": "/other/image"}},
        {"trajectory": True},
    ],
    ids=lambda one: next(iter(one)),
)
def test_another_configuration_starts_anew(
    tmp_path: Path, drive: Drive, process: Any, changed: dict[str, Any]
) -> None:
    """What was done on other terms is of no use."""
    other = [item for frame in range(3) for item in drive.view(frame, "right", "/other")]
    source = write(tmp_path / "in", [*drive.mono(range(3)), *other])
    options: dict[str, Any] = {"parameters": {"mode": "temporal"}, "trajectory": False}
    with pytest.raises(KeyboardInterrupt):
        process(source, stop_after=4, **options)
    _, summary, _ = process(source, **{**options, **changed})
    assert (summary.resumed, summary.sets) == (0, 3)


def test_loop_in_time_starts_anew(tmp_path: Path, drive: Drive, process: Any) -> None:
    again = [
        (topic, kind, time + 10_000_000_000, message)
        for topic, kind, time, message in drive.mono(range(3))
    ]
    source = write(tmp_path / "in", [*drive.mono(range(3)), *again])
    parameters = {"mode": "temporal", "sync.jump_back": 0.15}
    target, summary, warnings = process(source, parameters=parameters)
    assert summary.tally.jumps == 1
    assert any("time jumps back" in one for one in warnings)
    poses = read(target)["/msga/relative_pose"]
    pairs = [(stamp(one.reference_header), stamp(one.header)) for one in poses]
    once = [(drive.stamp(0), drive.stamp(1)), (drive.stamp(1), drive.stamp(2))]
    assert pairs == once * 2  # and never from the last frame to the first
    # The trajectory is that of the first session: what comes later has another origin.
    tum = np.loadtxt(target / "trajectory_tum.txt")
    kitti = np.loadtxt(target / "trajectory_kitti.txt").reshape(-1, 12)
    assert 1 < summary.poses == len(tum) == len(kitti) <= 3
    assert (np.diff(tum[:, 0]) > 0).all()
    ids = [set(one.track_ids[one.inlier].tolist()) for one in read(target)["/msga/correspondences"]]
    assert not ids[0] & ids[2] - {0}  # no track goes through the jump


@pytest.mark.parametrize(("size", "sets"), [(1, 1), (10, 3)])
def test_the_queue_is_as_long_as_the_parameter_says(
    tmp_path: Path, drive: Drive, process: Any, size: int, sets: int
) -> None:
    """A recorder that wrote all images first, and then all their camera_infos."""
    items = drive.mono(range(3))
    late = [(topic, kind, time + 10**10, one) for topic, kind, time, one in items[1::2]]
    source = write(tmp_path / "in", [*items[::2], *late])
    parameters = {"mode": "temporal", "sync.queue_size": size}
    _, summary, _ = process(source, parameters=parameters, trajectory=False)
    assert summary.sets == sets


@pytest.mark.parametrize(("jump_back", "jumps"), [(0.05, 1), (5.0, 0)])
def test_how_far_time_may_go_back_is_what_the_parameter_says(
    tmp_path: Path, drive: Drive, process: Any, jump_back: float, jumps: int
) -> None:
    again = [(topic, kind, time + 10**10, one) for topic, kind, time, one in drive.mono([1])]
    source = write(tmp_path / "in", [*drive.mono(range(3)), *again])  # the last set comes late
    parameters = {"mode": "temporal", "sync.jump_back": jump_back}
    _, summary, _ = process(source, parameters=parameters, trajectory=False)
    assert (summary.tally.jumps, summary.sets) == (jumps, 3 + jumps)


def test_unreadable_message_costs_its_set_alone(tmp_path: Path, drive: Drive, process: Any) -> None:
    items = drive.mono(range(4))
    topic, kind, time, _ = items[2]  # the image of frame 1
    items[2] = (topic, kind, time, b"\x00\x01\x00\x00nonsense")
    source = write(tmp_path / "in", items)
    target, summary, warnings = process(source, parameters={"mode": "temporal"})
    assert summary.tally.broken == 1
    assert any(topic in one and "cannot be read" in one for one in warnings)
    poses = read(target)["/msga/relative_pose"]
    assert [stamp(one.reference_header) for one in poses] == [drive.stamp(0), drive.stamp(2)]


def test_pictures(tmp_path: Path, drive: Drive, process: Any) -> None:
    import cv2

    source = write(tmp_path / "in", drive.stereo([0]))
    raw_bag, _, _ = process(source, "raw", outputs=OutputOptions("/robot", "raw"))
    (image,) = read(raw_bag)["/robot/matches_image"]
    assert image.encoding == "bgr8"
    pixels = np.asarray(image.data).reshape(image.height, image.width, 3)
    packed, _, _ = process(source, "jpeg", outputs=OutputOptions("/robot", "jpeg"))
    (compressed,) = read(packed)["/robot/matches_image/compressed"]
    unpacked = cv2.imdecode(np.asarray(compressed.data), cv2.IMREAD_COLOR)
    assert unpacked.shape == pixels.shape
    assert np.abs(unpacked.astype(int) - pixels).mean() < 10
    # Coloured lines on grey photographs.
    assert (np.ptp(pixels.astype(int), axis=2) > 60).sum() > 1000
