"""Keyframes that are kept: all that were accepted are found again, whatever befell the file."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera
from msga_ros.loops.keyframe import Keyframe, KeyframeError
from msga_ros.loops.store import KeyframeStore, StoreError


def keyframe(number: int, length: int = 8, binary: bool = False, known: bool = True) -> Keyframe:
    rng = np.random.default_rng(number)
    count = 5 + number
    kind = np.uint8 if binary else np.float32
    features = Features(
        rng.uniform(0, 100, (count, 2)).astype(np.float32),
        np.ones(count, np.float32),
        rng.integers(0, 255, (count, 16)).astype(kind),
        (640, 480),
        rng.uniform(0, 3, count).astype(np.float32) if known else None,
        np.full(count, np.nan, np.float32) if known else None,
    )
    lens = np.array([0.1, 0, 0, 0])
    camera = Camera(np.diag([500.0 + number, 500.0, 1.0]), "plumb_bob", lens, 640, 480)
    descriptor = rng.normal(size=length).astype(np.float32)
    return Keyframe(f"frame {number}", 0.1 * number, camera, features, descriptor)


def check(found: Keyframe, expected: Keyframe) -> None:
    assert (found.name, found.stamp) == (expected.name, expected.stamp)
    assert found.camera == expected.camera
    for name in ("keypoints", "scores", "descriptors", "angles", "sizes"):
        first, second = getattr(found.features, name), getattr(expected.features, name)
        if second is None:
            assert first is None
        else:
            assert first.dtype == second.dtype
            np.testing.assert_array_equal(first, second)
    assert found.features.image_size == expected.features.image_size
    np.testing.assert_array_equal(found.descriptor, expected.descriptor)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_a_keyframe_is_the_same_after_the_disk(binary: bool, known: bool) -> None:
    made = keyframe(3, binary=binary, known=known)
    check(Keyframe.from_bytes(made.to_bytes()), made)
    for wrong in (b"", b"nonsense", made.to_bytes()[:-1]):
        with pytest.raises(KeyframeError):
            Keyframe.from_bytes(wrong)


def test_memory_is_bounded_and_the_disk_has_the_rest(tmp_path: Path) -> None:
    with KeyframeStore(tmp_path / "map", in_memory=3) as store:
        assert [store.add(keyframe(number)) for number in range(100)] == list(range(100))
        assert len(store._cache) == 3
        for number in (0, 50, 99, 0):
            check(store[number], keyframe(number))
            assert len(store._cache) == 3
        np.testing.assert_allclose(store.stamps, 0.1 * np.arange(100))
        assert store.descriptors.shape == (100, 8)
        for number in (10, 63, 64, 70):
            np.testing.assert_array_equal(store.descriptors[number], keyframe(number).descriptor)
        with pytest.raises(IndexError):
            store[100]


def test_what_was_used_last_stays_in_memory(tmp_path: Path) -> None:
    with KeyframeStore(tmp_path / "map", in_memory=2) as store:
        store.add(keyframe(0))
        store.add(keyframe(1))
        assert store[0] is store[0]
        store.add(keyframe(2))
        assert set(store._cache) == {0, 2}


def test_a_restart_finds_all_and_goes_on(tmp_path: Path) -> None:
    for session in range(3):
        with KeyframeStore(tmp_path / "map", in_memory=2) as store:
            assert len(store) == 2 * session
            for number in range(2 * session, 2 * session + 2):
                store.add(keyframe(number))
            for number in range(len(store)):
                check(store[number], keyframe(number))
            assert len(store.descriptors) == len(store)


def three(path: Path) -> list[int]:
    """A map of three keyframes; where each record ends."""
    ends = []
    with KeyframeStore(path) as store:
        for number in range(3):
            store.add(keyframe(number))
            ends.append(path.stat().st_size)
    return ends


def test_a_file_cut_anywhere_keeps_what_was_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "map"
    ends = three(path)
    whole = path.read_bytes()
    first, second, third = ends
    for cut in (1, 7, 8, 19, 20, 21, first - 1, first, first + 3, second + 30, third - 1, third):
        path.write_bytes(whole[:cut])
        caplog.clear()
        with KeyframeStore(path) as store:
            expected = sum(end <= cut for end in ends)
            assert len(store) == expected, cut
            assert ("cut off" in caplog.text) == (cut not in ends)
            assert path.stat().st_size == max([0, *(end for end in ends if end <= cut)])
            store.add(keyframe(9))  # and it can be gone on with
        with KeyframeStore(path) as store:
            assert len(store) == expected + 1
            check(store[expected], keyframe(9))


def test_a_damaged_record_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "map"
    begin, end, _ = three(path)
    whole = path.read_bytes()
    # Its mark, its length, its content: a name, a number, the last byte.
    for place in (begin + 2, begin + 9, begin + 21, (begin + 3 * end) // 4, end - 1):
        spoiled = bytearray(whole)
        spoiled[place] ^= 0xFF
        path.write_bytes(spoiled)
        caplog.clear()
        with KeyframeStore(path, in_memory=1) as store:
            assert len(store) == 2
            check(store[0], keyframe(0))
            check(store[1], keyframe(2))
        assert "damaged" in caplog.text
        assert path.read_bytes() == bytes(spoiled)  # nothing is thrown away


def test_what_is_no_map_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not to be lost")
    with pytest.raises(StoreError, match=r"notes\.txt: not a map"):
        KeyframeStore(path)
    assert path.read_text() == "not to be lost"


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with KeyframeStore(tmp_path / "map"), pytest.raises(StoreError, match="in use"):
        KeyframeStore(tmp_path / "map")


def test_another_vocabulary_is_refused(tmp_path: Path) -> None:
    with KeyframeStore(tmp_path / "map") as store:
        store.add(keyframe(0))
        with pytest.raises(StoreError, match="8 entries, not of 4"):
            store.add(keyframe(1, length=4))
        assert len(store) == 1


def test_a_vocabulary_of_the_same_length_is_another_one(tmp_path: Path) -> None:
    with KeyframeStore(tmp_path / "map") as store:
        store.add(replace(keyframe(0), vocabulary="animals"))
    with KeyframeStore(tmp_path / "map") as store:
        store.check_kind("sift", 8, "animals")
        with pytest.raises(StoreError, match="by the vocabulary animals, not by plants"):
            store.check_kind("sift", 8, "plants")
        with pytest.raises(StoreError, match="by the vocabulary animals, not by plants"):
            store.add(replace(keyframe(1), vocabulary="plants"))
        assert len(store) == 1


def test_a_map_of_before_vocabularies_were_named_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "map"
    with KeyframeStore(path) as store:
        store.add(keyframe(0))
    with KeyframeStore(path) as store:
        assert store[0].vocabulary == ""
        store.check_kind("sift", 8, "animals")
        store.add(replace(keyframe(1), vocabulary="animals"))
        with pytest.raises(StoreError, match="by the vocabulary animals"):
            store.check_kind("sift", 8, "plants")


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "map"
    with KeyframeStore(path) as store:
        store.add(keyframe(0))
        size = path.stat().st_size

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            store.add(keyframe(1))
        monkeypatch.undo()
        assert (len(store), path.stat().st_size) == (1, size)
        assert store.add(keyframe(2)) == 1
    with KeyframeStore(path) as store:
        check(store[1], keyframe(2))
