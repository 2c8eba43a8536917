"""An odometry's state to bytes and back: data alone, nothing that could run.

An .npz file: its first array is a JSON text that describes the objects, the others are the arrays
among them. `objects` of the text is a table in which each object refers to earlier ones only, so
that what is shared stays shared and nothing goes round in a circle. A class is a name to be looked
up in `CLASSES`: nothing is imported, and no constructor is called, because a file says so.
"""

from __future__ import annotations

import enum
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera
from msga_ros.odometry.chain import Step
from msga_ros.odometry.mono_frame import MonoFrame
from msga_ros.odometry.observations import Rig, RigBelief
from msga_ros.odometry.poses import UncertainPose
from msga_ros.odometry.rgbd import DepthFrame
from msga_ros.odometry.stereo_frame import StereoFrame
from msga_ros.odometry.updates import OdometryStatus

_FORMAT = 4
_PLAIN = (type(None), bool, int, float, str)
_NUMBERS = "biufc"  # kinds of dtype


class StateError(ValueError):
    """Something that has no place in a state, or bytes that are none; the message says what."""


def _named(classes: Iterable[type]) -> dict[str, type]:
    return {f"{one.__module__}.{one.__qualname__}": one for one in classes}


CLASSES: Mapping[str, type] = _named(
    [
        Camera,
        DepthFrame,
        Features,
        MonoFrame,
        Rig,
        RigBelief,
        Step,
        StereoFrame,
        UncertainPose,
    ]
)
ENUMS: Mapping[str, type] = _named((OdometryStatus,))
_NAMES = {kind: name for name, kind in (*CLASSES.items(), *ENUMS.items())}


def to_bytes(tree: object) -> bytes:
    """Everything in `tree`, the `state_dict()` of an odometry for instance.

    None, bool, int, float, str, list, tuple, dict, set, arrays and scalars of NumPy that hold
    numbers, and objects of `CLASSES` and `ENUMS`. Keys and members of sets are plain values or
    tuples of them. Raises `StateError` for anything else.
    """
    writer = _Writer()
    try:
        root = writer.value(tree)
        text = json.dumps({"format": _FORMAT, "objects": writer.objects, "root": root})
    except RecursionError as error:
        raise StateError("too deep for a state") from error
    buffer = io.BytesIO()
    np.savez(buffer, np.frombuffer(text.encode(), np.uint8), *writer.arrays)
    return buffer.getvalue()


def from_bytes(data: bytes) -> Any:
    """What `to_bytes` made into `data`. Raises `StateError` for anything else."""
    try:
        text, *arrays = _arrays(data)
        described = json.loads(text.tobytes())
        if described["format"] != _FORMAT:
            raise StateError("a state of another format")
        reader = _Reader(arrays)
        for entry in described["objects"]:
            reader.read(entry)
        return reader.value(described["root"])
    except StateError:
        raise
    except Exception as error:  # garbled bytes can make each of the readers fail in many ways
        raise StateError(f"not a state: {type(error).__name__}: {error}") from error


def _arrays(data: bytes) -> list[NDArray[np.generic]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        # Of what says that it is larger than the file that holds it, nothing is unpacked.
        if any(one.compress_type != zipfile.ZIP_STORED for one in members):
            raise StateError("a state is not compressed")
        if sum(one.file_size for one in members) > len(data):
            raise StateError("the arrays of the state are larger than itself")
    with np.load(io.BytesIO(data), allow_pickle=False) as loaded:
        arrays = [loaded[f"arr_{i}"] for i in range(len(loaded.files))]
    for one in arrays:
        if type(one) is not np.ndarray or one.dtype.kind not in _NUMBERS:
            raise StateError("an array of the state does not hold numbers")
    return arrays


def _is_key(value: object) -> bool:
    """Whether a dict or set may hold it: hashing it is cheap, and the same in every process."""
    if type(value) is tuple:
        return all(type(one) is not tuple and _is_key(one) for one in value)
    return isinstance(value, (*_PLAIN, np.generic, enum.Enum))


def _check_fields(kind: type, given: list[str]) -> None:
    if sorted(given) != sorted(one.name for one in fields(kind)):
        raise StateError(f"these are not the fields of {kind.__qualname__}: {given}")


class _Writer:
    """Makes the table of objects, those that others refer to first."""

    def __init__(self) -> None:
        self.objects: list[list[object]] = []
        self.arrays: list[NDArray[np.generic]] = []
        self._known: dict[int, int | None] = {}  # by id: the index; None while it is being made
        self._alive: list[object] = []  # ids stay theirs

    def value(self, one: object) -> object:
        """A plain value as it is; the index of anything else, in a list."""
        if type(one) in _PLAIN:
            return one
        if id(one) not in self._known:
            self._known[id(one)] = None
            self._alive.append(one)
            self.objects.append(self._entry(one))
            self._known[id(one)] = len(self.objects) - 1
        index = self._known[id(one)]
        if index is None:
            raise StateError(f"a {type(one).__qualname__} that holds itself")
        return [index]

    def _entry(self, one: Any) -> list[Any]:
        kind = type(one)
        if kind is list or kind is tuple:
            return [kind.__name__, *map(self.value, one)]
        if kind is set:
            return ["set", *(self.value(self._key(member)) for member in one)]
        if kind is dict:
            return ["dict", *([self.value(self._key(k)), self.value(v)] for k, v in one.items())]
        if kind is np.ndarray:
            return ["array", self._array(one), bool(one.flags.writeable)]
        if isinstance(one, np.generic):
            return ["scalar", self._array(np.asarray(one))]
        if kind not in _NAMES:
            raise StateError(f"{kind.__module__}.{kind.__qualname__} has no place in a state")
        if isinstance(one, enum.Enum):
            return ["enum", _NAMES[kind], one.name]
        held = {**vars(one)}
        _check_fields(kind, list(held))
        if isinstance(one, Features):
            held["kept"] = None  # no other front end is asked about a view of before
            if getattr(one.payload, "repeats_descriptors", False):
                held["payload"] = None  # matchers do without
        return ["object", _NAMES[kind], *([name, self.value(v)] for name, v in held.items())]

    def _array(self, array: NDArray[np.generic]) -> int:
        if array.dtype.kind not in _NUMBERS:
            raise StateError(f"an array of {array.dtype} has no place in a state")
        self.arrays.append(array)
        return len(self.arrays) - 1

    @staticmethod
    def _key(key: object) -> object:
        if not _is_key(key):
            raise StateError(f"a {type(key).__qualname__} cannot be a key in a state")
        return key


class _Reader:
    """Makes the objects of the table again, one after the other."""

    def __init__(self, arrays: list[NDArray[np.generic]]) -> None:
        self._arrays = arrays
        self._objects: list[Any] = []
        self._kinds: dict[str, Callable[..., Any]] = {
            "list": lambda *members: [self.value(one) for one in members],
            "tuple": lambda *members: tuple(self.value(one) for one in members),
            "set": lambda *members: {self._key(one) for one in members},
            "dict": lambda *items: {self._key(key): self.value(one) for key, one in items},
            "array": self._array,
            "scalar": lambda index: self._array(index, True)[()],
            "enum": lambda kind, name: self._look_up(ENUMS, kind)[name],
            "object": self._object,
        }

    def read(self, entry: list[object]) -> None:
        """Make the next object."""
        kind, *content = entry
        self._objects.append(self._look_up(self._kinds, kind)(*content))

    def value(self, one: Any) -> Any:
        """What `_Writer.value` made into `one`."""
        if type(one) in _PLAIN:
            return one
        if type(one) is not list or len(one) != 1 or type(one[0]) is not int:
            raise StateError("neither a value nor a reference")
        return self._at(self._objects, one[0])

    def _key(self, one: Any) -> Any:
        key = self.value(one)
        if not _is_key(key):
            raise StateError(f"a {type(key).__qualname__} cannot be a key in a state")
        return key

    def _array(self, index: int, writeable: bool) -> NDArray[np.generic]:
        array: NDArray[np.generic] = self._at(self._arrays, index)
        array.flags.writeable = array.flags.writeable and writeable
        return array

    def _object(self, name: str, *items: Any) -> Any:
        kind = self._look_up(CLASSES, name)
        held = [(str(attribute), self.value(one)) for attribute, one in items]
        _check_fields(kind, [attribute for attribute, _ in held])
        made = object.__new__(kind)
        for attribute, one in held:
            object.__setattr__(made, attribute, one)  # frozen ones as well
        return made

    @staticmethod
    def _look_up(known: Mapping[str, object], name: Any) -> Any:
        if type(name) is not str or name not in known:
            raise StateError(f"{name} has no place in a state")
        return known[name]

    @staticmethod
    def _at(known: list[Any], index: int) -> Any:
        if not 0 <= index < len(known):
            raise StateError("a reference to what is not there (yet)")
        return known[index]
