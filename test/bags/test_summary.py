"""What the summary of a run says: what was read, what was dropped and why, and what it is worth."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bags.bag_maker import Drive, make_header, write
from bags.test_command import run
from bags.test_run import read, rotation, stamp

from msga_ros.bags.motion import StampedPose
from msga_ros.bags.summary import Account, Summary, Tally, TopicSummary, summarise
from msga_ros.bags.topics import Topics

TEMPORAL = {"parameters": {"mode": "temporal"}, "trajectory": False}
# Where an image has to have a camera_info of its own.
EQUAL = {**TEMPORAL, "parameters": {"mode": "temporal", "sync.camera_info": "equal"}}
EMPTY = "0.000000000): the driver leaves header.stamp empty"


def of_topics(summary: Summary) -> dict[str, TopicSummary]:
    return {one.topic: one for one in summary.topics}


def with_stamps(items: list[Any], nanoseconds: int, only: str = "") -> list[Any]:
    """Messages as of a driver that writes the same stamp into all of them (of topics `only`)."""
    for topic, _, _, message in items:
        if only in topic:
            message.header = make_header(nanoseconds, message.header.frame_id)
    return items


def test_every_message_is_accounted_for(tmp_path: Path, drive: Drive, process: Any) -> None:
    items = drive.mono(range(5))
    del items[3]  # the camera_info of frame 1
    topic, kind, time, _ = items[3]  # the image of frame 2
    items[3] = (topic, kind, time, b"\x00\x01\x00\x00nonsense")
    items[5][3].encoding = "mono7"  # the image of frame 3
    _, summary, _ = process(write(tmp_path / "in", items), **EQUAL)
    found = of_topics(summary)
    reasons = {"without a partner": 1, "unreadable": 1, "encoding": 1}
    assert found["/image"] == TopicSummary("/image", 5, 2, reasons)
    assert found["/camera_info"] == TopicSummary("/camera_info", 4, 3, {"without a partner": 1})
    assert (summary.sets, summary.outcomes, summary.usable) == (3, 1, True)


def test_stamps_that_came_before(tmp_path: Path, drive: Drive, process: Any) -> None:
    items = drive.mono(range(3))
    again = [(topic, kind, time + 10**6, message) for topic, kind, time, message in items[-2:]]
    _, summary, _ = process(write(tmp_path / "in", [*items, *again]), **TEMPORAL)
    assert [one.dropped for one in summary.topics] == [{"duplicate": 1}, {"without a partner": 1}]
    assert summary.reasons == ()


@pytest.mark.parametrize("only", ["", "camera_info", "image"])
def test_empty_stamps(tmp_path: Path, drive: Drive, process: Any, only: str) -> None:
    """Of all messages, or of one topic, whose stamps then agree with nothing."""
    source = write(tmp_path / "in", with_stamps(drive.mono(range(4)), 0, only))
    _, summary, _ = process(source, **(EQUAL if only else TEMPORAL))
    assert not summary.usable
    (line,) = [one for one in summary.reasons if "advance" in one]
    assert line.endswith(f"the stamps do not advance ({EMPTY}")
    assert ("/camera_info" in line, "/image" in line) == (only != "image", only != "camera_info")
    assert not any("sync.slop" in one for one in summary.reasons)
    if not only:
        images, infos = summary.topics
        assert (images.dropped, infos.dropped) == ({"duplicate": 3}, {"without a partner": 3})


def test_images_without_any_calibration(tmp_path: Path, drive: Drive, process: Any) -> None:
    """They are dropped, and charged to the images; one camera_info comes too late for most."""
    items = [item for item in drive.mono(range(5)) if item[0] == "/image"]
    late = drive.mono(range(5))[-1:]
    parameters = {"mode": "temporal", "sync.queue_size": 2}
    source = write(tmp_path / "in", [*items, *late])
    _, summary, _ = process(source, parameters=parameters, trajectory=False)
    found = of_topics(summary)
    assert found["/image"] == TopicSummary("/image", 5, 2, {"no camera info": 3})
    assert found["/camera_info"] == TopicSummary("/camera_info", 1, 1, {})


def test_stamps_that_stand_elsewhere(tmp_path: Path, drive: Drive, process: Any) -> None:
    source = write(tmp_path / "in", with_stamps(drive.stereo(range(3)), 12_500_000_000))
    _, summary, _ = process(source)
    assert any("not advance (12.500000000): the driver repeats" in one for one in summary.reasons)
    assert summary.outcomes == 1 and not summary.usable  # one set of three


def test_a_single_set_that_is_all_of_the_bag(tmp_path: Path, drive: Drive, process: Any) -> None:
    _, summary, _ = process(write(tmp_path / "in", drive.stereo([0])))
    assert summary.usable and summary.reasons == ()


def test_why_there_is_no_trajectory(tmp_path: Path, drive: Drive, process: Any) -> None:
    """P of zeros, and raw images: poses without a length, and no way."""
    items = drive.stereo(range(2))
    for _, kind, _, message in items:
        if kind.endswith("CameraInfo"):
            message.p[:] = 0
    source = write(tmp_path / "in", items)
    _, summary, _ = process(source, parameters={"rectified": False})
    assert summary.usable and summary.poses == 0
    assert any("no trajectory" in one and "baseline" in one for one in summary.reasons)


def test_stamps_that_do_not_agree(tmp_path: Path, drive: Drive, process: Any) -> None:
    items = drive.mono(range(4))
    for _, _, _, message in items[1::2]:
        message.header = make_header(stamp(message.header) + 1_000_000, "left_optical")
    _, summary, _ = process(write(tmp_path / "in", items), **EQUAL)
    assert not summary.usable and summary.sets == 0
    assert "stamps do not agree: see sync.slop" in summary.reasons[-1]
    stamps = drive.stamp(3), drive.stamp(3) + 1_000_000
    for line, topic, newest in zip(
        summary.reasons[1:3], ("/image", "/camera_info"), stamps, strict=True
    ):
        text = f"{newest // 10**9}.{newest % 10**9:09d}"
        assert line == f"{topic}: 4 received, newest stamp {text}"


def test_a_calibration_of_zeros(tmp_path: Path, drive: Drive, process: Any) -> None:
    items = drive.mono(range(3))
    for _, _, _, message in items[1::2]:
        message.p[:] = 0
    _, summary, _ = process(write(tmp_path / "in", items), **TEMPORAL)
    assert not summary.usable
    assert of_topics(summary)["/camera_info"].dropped == {"camera info": 3}
    assert any("/camera_info: 3 of 3 sets" in one for one in summary.reasons)


def test_one_set_tells_no_motion_over_time(tmp_path: Path, drive: Drive, process: Any) -> None:
    _, summary, _ = process(write(tmp_path / "in", drive.mono(range(1))), **TEMPORAL)
    assert not summary.usable and "needs two" in summary.reasons[-1]


def test_a_way_that_is_guessed(tmp_path: Path, drive: Drive, process: Any) -> None:
    """Frames without texture in the middle: two motions that nobody saw."""
    items = drive.stereo(range(5))
    for _, kind, _, message in items[8:16]:
        if kind.endswith("Image"):
            message.data[:] = 0
    better = {"frontend.name": "sift", "frontend.max_keypoints": 1500}
    _, summary, _ = process(write(tmp_path / "in", items), parameters=better)
    assert summary.usable
    assert (summary.poses, summary.guessed) == (5, 2)
    assert 0.2 < summary.guessed_length / summary.length < 0.8


def test_a_way_that_is_guessed_from_its_first_step_is_no_result(
    tmp_path: Path, drive: Drive, process: Any
) -> None:
    items = drive.stereo(range(3))
    for _, kind, _, message in items[4:]:
        if kind.endswith("Image"):
            message.data[:] = 0
    _, summary, _ = process(write(tmp_path / "in", items))
    assert not summary.usable and summary.guessed == 2
    assert any("the whole trajectory is guessed" in one for one in summary.reasons)


def test_the_motion_is_an_edge_of_a_pose_graph(tmp_path: Path, drive: Drive, process: Any) -> None:
    better = {"frontend.name": "sift", "frontend.max_keypoints": 1500}
    target, _, _ = process(write(tmp_path / "in", drive.stereo(range(4))), parameters=better)
    found = read(target)["/msga/temporal_pose"]
    assert len(found) == 3
    for number, message in enumerate(found, 1):
        assert message.translation_scale_known and message.status == 0
        assert message.header.frame_id == message.reference_header.frame_id == "left_optical"
        assert stamp(message.header) == drive.stamp(number)
        start = [drive.stamp(i) for i in range(4)].index(stamp(message.reference_header))
        turn, position = drive.true_motion(start, number)
        at = message.transform.translation
        moved = np.array([at.x, at.y, at.z])
        assert np.linalg.norm(moved - position) < 0.2 * np.linalg.norm(position)
        assert np.linalg.norm(rotation(message.transform.rotation) - turn) < 0.03
    from msga_ros.plugs.g2o import pose_graph_lines

    assert [line.split()[0] for line in pose_graph_lines(found)].count("EDGE_SE3:QUAT") == 3


def test_the_exit_status_says_that_nothing_came_out(tmp_path: Path, drive: Drive) -> None:
    source = write(tmp_path / "in", with_stamps(drive.stereo(range(3)), 0, "right"))
    result = run(source, tmp_path / "out")
    assert result.exit_code == 3
    text = " ".join(result.output.split())
    assert "nothing usable came out" in text
    assert f"/right/image, /right/camera_info: the stamps do not advance ({EMPTY}" in text
    assert (tmp_path / "out" / "metadata.yaml").is_file()


def test_what_is_printed(tmp_path: Path, drive: Drive) -> None:
    items = drive.stereo(range(2))
    source = write(tmp_path / "in", items[:-1])
    result = run(source, tmp_path / "out", "--set", "sync.camera_info=equal")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert ["/left/image", "2", "1", "1", "without", "a", "partner"] in lines
    assert ["/right/camera_info", "1", "1", "-"] in lines


def test_the_share_of_the_way_that_is_guessed() -> None:
    """Steps of 1, 2, 4 and 8 m; the motions to the second and the last frame are guesses."""
    account = Account()
    motions = ["STARTED", "LOST", "OK", "OK", "RESCALED"]
    for number, (motion, place) in enumerate(zip(motions, [0, 1, 3, 7, 15], strict=True)):
        pose = StampedPose(number, np.eye(3), np.array([0.0, 0.0, place]))
        header = {"status": "OK", "bad": None, "pose": pose.as_json(1), "motion": motion}
        account.add(header)
        account.add({**header, "status": None, "pose": pose.as_json(2)})  # of a later session
    tally = Tally(read=10, sets=5, received=Counter({"/image": 5, "/camera_info": 5}))
    topics = Topics({"image": "/image", "camera_info": "/camera_info"})
    summary = summarise(account, tally, topics, 0, ())
    assert (summary.poses, summary.guessed, summary.outcomes) == (5, 2, 5)
    assert (summary.length, summary.guessed_length) == (15.0, 9.0)
    assert summary.usable and summary.reasons == ()
