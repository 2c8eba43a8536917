"""Loops in the map file: what was accepted is found again, whatever befell the file."""

from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from loops.test_store import keyframe

from msga_ros.loops.edge_record import EdgeError, EdgeRecord
from msga_ros.loops.reports import LoopEdge, ScaleSource
from msga_ros.loops.store import KeyframeStore
from msga_ros.odometry.poses import UncertainPose
from msga_ros.two_view.result import Status


def edge(reference: int, current: int) -> LoopEdge:
    rng = np.random.default_rng(100 * reference + current)
    pose = UncertainPose(np.eye(3), rng.normal(size=3), rng.normal(size=(6, 6)))
    return LoopEdge(
        reference, current, 1.5, 2.5, pose, 77, ScaleSource.ODOMETRY, Status.OK, 0.25, 3
    )


def pairs(store: KeyframeStore) -> list[tuple[int, int]]:
    return [(one.reference, one.current) for one in store.edges]


def filled(path: Path) -> list[int]:
    """Four keyframes, then loops; where each record ends."""
    ends = []
    with KeyframeStore(path) as store:
        for number in range(4):
            store.add(keyframe(number))
            ends.append(path.stat().st_size)
        for one in (edge(0, 2), edge(1, 3)):
            store.accept(one)
            ends.append(path.stat().st_size)
        store.take_back(edge(0, 2))
        ends.append(path.stat().st_size)
    return ends


def test_a_loop_is_the_same_after_the_disk(tmp_path: Path) -> None:
    made = edge(0, 1)
    with KeyframeStore(tmp_path / "map") as store:
        store.add(keyframe(0))
        store.add(keyframe(1))
        store.accept(made)
        assert store.edges == (made,)
    with KeyframeStore(tmp_path / "map") as store:
        (found,) = store.edges
    for name in ("reference", "current", "inliers", "scale", "status", "similarity", "support"):
        assert getattr(found, name) == getattr(made, name)
    assert (found.reference_stamp, found.current_stamp) == (1.5, 2.5)
    np.testing.assert_array_equal(found.pose.position, made.pose.position)
    np.testing.assert_array_equal(found.pose.covariance, made.pose.covariance)
    for wrong in (b"", b"{}", EdgeRecord(made, True).to_bytes()[:-1]):
        with pytest.raises(EdgeError):
            EdgeRecord.from_bytes(wrong)


def test_a_file_cut_anywhere_keeps_the_loops_before(tmp_path: Path) -> None:
    path = tmp_path / "map"
    ends = filled(path)
    whole = path.read_bytes()
    expected: list[list[tuple[int, int]]] = [[], [(0, 2)], [(0, 2), (1, 3)], [(1, 3)]]
    spans = itertools.pairwise([*ends[3:], len(whole) + 1])
    for loops, (begin, end) in zip(expected, spans, strict=True):
        for cut in (begin, end - 1):
            path.write_bytes(whole[:cut])
            with KeyframeStore(path) as store:
                assert len(store) == 4 and pairs(store) == loops


def test_a_lost_keyframe_takes_its_loops_with_it_and_no_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "map"
    begin = filled(path)[0]
    spoiled = bytearray(path.read_bytes())
    spoiled[begin + 40] ^= 0xFF  # keyframe 1; what was keyframe 3 is number 2 now
    path.write_bytes(spoiled)
    with KeyframeStore(path) as store:
        assert len(store) == 3 and pairs(store) == []
        store.accept(edge(1, 2))
    assert "a loop of a keyframe that is lost" in caplog.text
    with KeyframeStore(path) as store:
        assert pairs(store) == [(1, 2)]
        assert store[2].name == "frame 3"


def test_a_full_disk_and_a_loop_that_there_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "map"
    filled(path)
    with KeyframeStore(path) as store:
        size = path.stat().st_size

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        for change in (lambda: store.accept(edge(0, 3)), lambda: store.take_back(edge(1, 3))):
            with pytest.raises(OSError, match="No space"):
                change()
        monkeypatch.undo()
        assert pairs(store) == [(1, 3)] and path.stat().st_size == size
        with pytest.raises(KeyError):
            store.take_back(edge(0, 3))
