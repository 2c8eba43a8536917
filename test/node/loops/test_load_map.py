"""`~/load_map`: the node goes on with another map, and whatever cannot be one is answered."""
# ruff: noqa: E402

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

for needed in ("rclpy", "msga_ros.msg", "tf2_msgs"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from msga_ros.msg import RequestStatus
from msga_ros.srv import LoadMap, SaveMap
from node.loops.bench import LoopBench
from node.loops.test_bad_days import asked, go, values

from msga_ros.loops.store import KeyframeStore

pytestmark = pytest.mark.ros

MakeBench = Callable[..., LoopBench]


def load(one: LoopBench, path: Path | str, **more: bool) -> LoadMap.Response:
    return one.answer("load_map", LoadMap.Request(path=str(path), **more))


def test_the_node_goes_on_with_the_map_of_another_day(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    one, other = make_bench(), tmp_path / "house.map"
    one.mount()
    for number in range(3):
        go(one, number, number, number)
    assert one.answer("save_map", SaveMap.Request(path=str(other))).success
    go(one, 3, 3, 7)  # which the copy has not
    refused = load(one, other)
    assert (refused.status.code, refused.status.kind) == (RequestStatus.BAD_INPUT, "unsaved")
    assert "4 keyframes and 0 loops" in refused.message and one.counts.keyframes == 4
    answer = load(one, other, discard=True)
    assert answer.success and (answer.keyframes, answer.loops) == (3, 0), answer.message
    assert values(one.status("loops"))["map_file"] == str(other)
    assert one.answer("locate", asked(1)).edge.reference == 1
    assert not one.answer("locate", asked(7)).found
    go(one, 4, 4, 8)  # is added to it
    go(one, 14, 5, 1)  # and a loop into it is found
    one.spin_until(lambda: one.heard["edges"])
    assert one.heard["edges"][-1].reference == 1 and one.counts.keyframes == 5
    one.node.trigger_deactivate()
    one.node.trigger_cleanup()
    with KeyframeStore(other) as store:
        assert len(store) == 5 and len(store.edges) == 1


def test_a_map_with_a_file_of_its_own_may_be_left(make_bench: MakeBench, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    one = make_bench(**{"map.file": str(first)})
    one.mount()
    go(one, 0, 0, 1)
    assert one.answer("save_map", SaveMap.Request(path=str(second))).success
    go(one, 1, 1, 2)
    assert load(one, second).keyframes == 1
    assert load(one, first).keyframes == 2  # nothing of it was lost
    said = load(one, first)
    assert not said.success and "is the map that is in use" in said.message


def test_what_is_no_map_leaves_the_old_one(make_bench: MakeBench, tmp_path: Path) -> None:
    one = make_bench()
    one.mount()
    go(one, 0, 0, 1)
    good = tmp_path / "good"
    assert one.answer("save_map", SaveMap.Request(path=str(good))).success
    data = good.read_bytes()
    with KeyframeStore(good) as store:
        keyframe = store[0]
    names = ("letter", "version", "head", "held", "orb", "words")
    files = {name: tmp_path / name for name in names}
    files["letter"].write_bytes(b"a letter to grandmother")
    files["version"].write_bytes(data[:7] + b"2" + data[8:])
    files["head"].write_bytes(data[:1000])
    with KeyframeStore(files["orb"]) as store:
        store.add(dataclasses.replace(keyframe, frontend="orb"))
    with KeyframeStore(files["words"]) as store:
        store.add(dataclasses.replace(keyframe, vocabulary="another"))
    held = KeyframeStore(files["held"])
    for path, kind, sentence in (
        ("", "path", "path must be absolute"),
        ("house.map", "path", "path must be absolute"),
        (tmp_path / "no" / "map", "path", "there is no folder"),
        (tmp_path / "none", "path", "no such file"),
        (tmp_path, "path", "a folder"),
        (files["letter"], "map_file", "not a map of keyframes"),
        (files["version"], "map_file", "a map of version b'2'"),
        (files["head"], "map_file", "no keyframe in it; 1000 bytes of a record cut short"),
        (files["held"], "map_file", "in use by another process"),
        (files["orb"], "map_file", "features of orb, not of sift"),
        (files["words"], "map_file", "by the vocabulary another, not by"),
    ):
        answer = load(one, path)
        assert not answer.success and sentence in answer.message, (path, answer)
        assert (answer.status.code, answer.status.kind) == (RequestStatus.BAD_INPUT, kind)
    held.close()
    assert files["letter"].read_bytes() == b"a letter to grandmother"
    assert one.counts.keyframes == 1 and one.answer("locate", asked(1)).found


def test_a_map_cut_in_half_is_said(make_bench: MakeBench, tmp_path: Path) -> None:
    one, other = make_bench(), tmp_path / "half"
    one.mount()
    for number in range(4):
        go(one, number, number, number)
    assert one.answer("save_map", SaveMap.Request(path=str(other))).success
    with other.open("r+b") as file:
        file.truncate(other.stat().st_size // 2 + 100)
    answer = load(one, other)
    assert answer.success and answer.keyframes == 2
    assert "of a record cut short are cut off" in answer.message
