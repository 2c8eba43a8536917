"""The state of an odometry: what goes in comes out, and nothing else does."""

from __future__ import annotations

import io
import json
import math
import pathlib
import struct
import zipfile
from typing import Any

import numpy as np
import pytest

from msga_ros.bags.state import _FORMAT, CLASSES, StateError, from_bytes, to_bytes
from msga_ros.geometry.camera import Camera
from msga_ros.odometry.mono import MonoOdometry
from msga_ros.odometry.observations import Rig, RigBelief
from msga_ros.odometry.poses import UncertainPose
from msga_ros.odometry.updates import OdometryStatus


def back(tree: Any) -> Any:
    return from_bytes(to_bytes(tree))


def packed(objects: Any, root: Any, *arrays: Any, form: int = _FORMAT) -> bytes:
    """A state made by hand."""
    text = json.dumps({"format": form, "objects": objects, "root": root})
    buffer = io.BytesIO()
    np.savez(buffer, np.frombuffer(text.encode(), np.uint8), *arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "tree",
    [
        None,
        True,
        1,
        1 << 80,
        0.1 + 0.2,
        -0.0,
        math.inf,
        "\u00e4\U0001f600\0",
        [],
        [1, [2.0, (None, ())]],
        {1: "int", "1": "str", (1, "a"): {}, None: [{}]},
        {(1, 2)},
        OdometryStatus.LOST,
        {OdometryStatus.OK: [OdometryStatus.LOST]},
    ],
)
def test_plain_things_come_back(tree: Any) -> None:
    found = back(tree)
    assert found == tree and type(found) is type(tree)
    assert repr(found) == repr(tree)


def test_sets_come_back() -> None:
    assert back({3, "a", (1, 2)}) == {3, "a", (1, 2)}


def test_not_a_number_comes_back() -> None:
    assert math.isnan(back(math.nan))


@pytest.mark.parametrize("kind", ["bool", "u1", "i8", "u8", "f4", "f8", ">f4", "c16"])
@pytest.mark.parametrize("shape", [(), (0, 2), (3,), (2, 3)])
def test_arrays_come_back(kind: str, shape: tuple[int, ...]) -> None:
    array = np.arange(math.prod(shape)).reshape(shape).astype(kind)
    for one in (array, np.asfortranarray(array)):
        found = back(one)
        assert found.dtype == one.dtype and found.shape == one.shape
        assert found.flags.f_contiguous == one.flags.f_contiguous and found.flags.writeable
        np.testing.assert_array_equal(found, one)


def test_scalars_of_numpy_keep_their_type() -> None:
    for one in (np.float32(0.1), np.float64(0.1), np.int64(-3), np.bool_(True)):
        found = back(one)
        assert type(found) is type(one) and found == one


def test_what_is_shared_stays_shared() -> None:
    array, members = np.arange(3), [1]
    a, b, (c, d) = back((array, members, (array, members)))
    assert c is a and d is b
    a[0] = 7
    assert c[0] == 7


def test_objects_come_back() -> None:
    camera = Camera.pinhole(400.0, 401.0, 320.0, 240.0, 640, 480)
    pose = UncertainPose(np.eye(3), np.array([1.0, 2.0, 3.0]), np.eye(6))
    belief = RigBelief.calibrated(0.1)
    found = back([camera, pose, belief])
    assert [type(one) for one in found] == [Camera, UncertainPose, RigBelief]
    np.testing.assert_array_equal(found[0].k, camera.k)
    assert not found[0].k.flags.writeable  # as in a camera that was constructed
    np.testing.assert_array_equal(found[1].position, pose.position)
    np.testing.assert_array_equal(found[2].information, belief.information)


class _Number(int):
    pass


@pytest.mark.parametrize(
    "thing",
    [
        object(),
        len,
        Camera,
        pathlib.Path("x"),
        b"bytes",
        frozenset({1}),
        _Number(3),
        np.array([None]),
        np.array(["text"]),
        np.zeros(2, dtype=[("a", "f4")]),
        np.ma.masked_array([1.0]),
        {((1, 2), 3): 4},
        {len: 1},
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_other_things_are_not_written(thing: Any) -> None:
    with pytest.raises(StateError, match=r"has no place in a state|cannot be a key"):
        to_bytes([thing])


def test_no_circles_and_no_depths() -> None:
    circle: list[Any] = []
    circle.append([circle])
    with pytest.raises(StateError, match="holds itself"):
        to_bytes(circle)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(StateError, match="too deep"):
        to_bytes(deep)


def test_unexpected_attributes_are_not_written() -> None:
    pose = UncertainPose.origin()
    object.__setattr__(pose, "note", 1)
    with pytest.raises(StateError, match="not the fields of UncertainPose"):
        to_bytes(pose)


RIG = f"{Rig.__module__}.{Rig.__name__}"


@pytest.mark.parametrize(
    ("objects", "root"),
    [
        ([], [0]),
        ([], [-1]),
        ([], [True]),
        ([], {"a": 1}),
        ([], [[0]]),
        ([["list", [0]]], [0]),  # itself
        ([["list", [1]], ["list"]], [0]),
        ([["frozenset"]], [0]),
        ([[]], [0]),
        ([3], [0]),
        ([["array", 0, True]], [0]),  # there is no array
        ([["array", -1, True]], [0]),
        ([["list"], ["set", [0]]], [1]),
        ([["list"], ["dict", [[0], 1]]], [1]),
        ([["dict", [1]]], [0]),
        ([["object", RIG, ["rotation", 1]]], [0]),  # no translation
        ([["object", RIG, ["rotation", 1], ["translation", 1], ["translation", 2]]], [0]),
        ([["object", RIG, ["__class__", 1]]], [0]),
        ([["dict"], ["object", RIG, ["__dict__", [0]]]], [1]),
        ([["object", RIG, ["rotation", 1], ["turned", 1]]], [0]),  # in the place of a method
        ([["object", [RIG]]], [0]),
        ([["object", "msga_ros.odometry.stereo.StereoOdometry"]], [0]),  # no data
        ([["enum", RIG, "OK"]], [0]),
        ([["enum", "msga_ros.odometry.updates.OdometryStatus", "mro"]], [0]),
        ([["object", "msga_ros.odometry.updates.OdometryStatus"]], [0]),
    ],
)
def test_hostile_structures_are_refused(objects: Any, root: Any) -> None:
    with pytest.raises(StateError):
        from_bytes(packed(objects, root))


def test_a_key_that_would_take_for_ever_to_hash_is_refused() -> None:
    objects: list[Any] = [["tuple", 1]]
    objects += [["tuple", [i], [i]] for i in range(200)]
    with pytest.raises(StateError, match="cannot be a key"):
        from_bytes(packed([*objects, ["set", [200]]], [201]))


def test_another_format_is_refused() -> None:
    assert from_bytes(packed([], 5)) == 5
    with pytest.raises(StateError, match="another format"):
        from_bytes(packed([], 5, form=1))


@pytest.mark.parametrize("array", [np.array(["a"]), np.zeros(1, "V4"), np.array([None])])
def test_strange_arrays_are_refused(array: Any) -> None:
    with pytest.raises(StateError):
        from_bytes(packed([], 1, array))


def test_a_zip_that_unpacks_to_more_is_refused() -> None:
    plain = packed([], 1, np.zeros(100_000))
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(plain)) as source,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(StateError, match="not compressed"):
        from_bytes(buffer.getvalue())


def test_what_says_that_it_is_larger_than_its_file_is_not_unpacked() -> None:
    """The directory of the archive announces two gigabytes: refused before they are asked for."""
    plain = packed([], 1, np.zeros(10))
    at = plain.rindex(b"PK\x01\x02") + 20
    garbled = plain[:at] + struct.pack("<II", 1 << 31, 1 << 31) + plain[at + 8 :]
    with pytest.raises(StateError, match="larger than itself"):
        from_bytes(garbled)


def test_garbled_bytes_are_refused_or_still_a_state() -> None:
    odometry = MonoOdometry(len)  # type: ignore[arg-type]
    state = to_bytes(odometry.state_dict())
    for end in range(0, len(state), 37):
        with pytest.raises(StateError):
            from_bytes(state[:end])
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        garbled = bytearray(state)
        garbled[rng.integers(len(state))] ^= 1 << rng.integers(8)
        try:
            from_bytes(bytes(garbled))
        except StateError:
            refused += 1
    assert refused > 100


def test_the_classes_are_those_of_the_odometry() -> None:
    for name, one in CLASSES.items():
        assert name == f"{one.__module__}.{one.__qualname__}"
        assert name.startswith(("msga_ros.odometry.", "msga_ros.geometry.", "msga_ros.frontend."))
