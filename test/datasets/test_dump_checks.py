"""Dumps that claim too much, lead out of the file or do not fit: one line, and nothing is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from synthetic_dump import synthetic_pair, write_dump
from typer.testing import CliRunner

from msga_ros.cli import app
from msga_ros.datasets.compact import write_compact
from msga_ros.datasets.dumps import DumpError, DumpFile

TERABYTES = 2**40


def replaced(name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return change


def claimed(name: str, shape: tuple[int, ...], kind: str = "f4") -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, shape, kind, chunks=(1,) * len(shape))

    return change


def as_group(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_group(name)

    return change


MALFORMED = {
    "terabytes of matches": (claimed("xs/1", (1, TERABYTES, 4)), "xs/1 .*claims"),
    "terabytes of ratios": (claimed("ratios/1", (TERABYTES,)), "ratios/1 .*claims"),
    "misshapen rotation": (replaced("Rs/1", np.eye(2)), r"Rs/1 is of shape \(2, 2\)"),
    "rotation of zeros": (replaced("Rs/1", np.zeros((3, 3))), "Rs/1 is no rotation"),
    "reflection": (replaced("Rs/1", -np.eye(3)), "Rs/1 is no rotation"),
    "translation of zeros": (replaced("ts/1", np.zeros((3, 1))), "ts/1 .*no direction"),
    "long translation": (replaced("ts/1", np.ones(4)), "ts/1 is of shape"),
    "short ratios": (replaced("ratios/1", np.ones(7)), r"ratios/1 is of shape \(7,\)"),
    "short residuals": (replaced("ys/1", np.ones(7)), r"ys/1 is of shape \(7,\)"),
    "odd matches": (replaced("xs/1", np.ones((1, 7, 3))), "xs/1 is of shape"),
    "text": (replaced("ratios/1", "no number"), "ratios/1 .*does not hold numbers"),
    "a group as a data set": (
        as_group("Rs/1"),
        "Rs/1 is a group",
    ),
    "a data set as a group": (replaced("Rs", np.ones(3)), "Rs is a data set"),
    "matches as a data set": (replaced("xs", np.ones(3)), "xs is a data set"),
    "external group": (replaced("Rs", h5py.ExternalLink("other.h5", "/Rs")), "Rs is a link"),
    "external data set": (replaced("Rs/1", h5py.ExternalLink("other.h5", "/R")), "is a link"),
    "soft link to itself": (replaced("Rs", h5py.SoftLink("/Rs")), "Rs is a link"),
    "focal lengths": (replaced("f1s/1", np.ones(5)), "f1s/1 is of shape"),
    "short names": (replaced("names", np.array(["a"], dtype=h5py.string_dtype())), "names is of"),
    "terabytes of names": (claimed("names", (TERABYTES,), "S8"), "names .*claims"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_dump_is_one_line(kind: str, tmp_path: Path) -> None:
    path = write_dump(tmp_path / "dump.h5", [synthetic_pair(0), synthetic_pair(1)])
    change, reason = MALFORMED[kind]
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(DumpError, match=rf"dump\.h5: .*{reason}"), DumpFile(path) as dump:
        list(dump)
    outcome = CliRunner().invoke(app, ["compact", str(path), "-o", str(tmp_path / "c.h5")])
    if kind not in ("short residuals", "focal lengths"):  # which are not copied
        assert outcome.exit_code == 2, outcome.output
        (line,) = outcome.output.strip().splitlines()[-1:]
        assert line.startswith("msga: ") and "dump.h5" in line
        assert not (tmp_path / "c.h5").exists()


def test_data_outside_the_file_are_not_read(tmp_path: Path) -> None:
    path = write_dump(tmp_path / "dump.h5", [synthetic_pair(0)])
    (tmp_path / "raw").write_bytes(np.eye(3).tobytes())
    with h5py.File(path, "a") as file:
        del file["Rs/0"]
        outside = [(str(tmp_path / "raw"), 0, 72)]
        file.create_dataset("Rs/0", (3, 3), "f8", external=outside)
    with pytest.raises(DumpError, match="another file"), DumpFile(path) as dump:
        list(dump)


COMPACT = {
    "terabytes": (claimed("x0", (TERABYTES,), "i4"), "x0 is of shape"),
    "a billion matches": (
        lambda file: file["counts"].write_direct(np.array([2**31 - 1, 5], np.int32)),
        "counts",
    ),
    "negative counts": (
        lambda file: file["counts"].write_direct(np.array([-5, 9], np.int32)),
        "counts",
    ),
    "short ratios": (replaced("ratios", np.ones(7, np.uint16)), r"ratios is of shape \(7,\)"),
    "one rotation": (replaced("Rs", np.eye(3)[None]), r"Rs is of shape \(1, 3, 3\)"),
    "wide rotations": (claimed("Rs", (2, TERABYTES)), "too much of a pair"),
    "external": (replaced("x0", h5py.ExternalLink("other.h5", "/x0")), "x0 is a link"),
    "no column": (lambda file: file.__delitem__("x1"), "x1"),
    "a group": (as_group("x1"), "x1 is"),
}


@pytest.mark.parametrize("kind", COMPACT)
def test_a_malformed_compact_dump_is_one_line(kind: str, tmp_path: Path) -> None:
    plain = write_dump(tmp_path / "plain.h5", [synthetic_pair(0), synthetic_pair(1)])
    path = tmp_path / "compact.h5"
    with DumpFile(plain) as dump:
        write_compact(path, [dump.arrays(index) for index in range(2)], ["a", "b"])
    with DumpFile(path) as dump:
        assert len(list(dump)) == 2
    change, reason = COMPACT[kind]
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(DumpError, match=rf"compact\.h5: .*{reason}"), DumpFile(path) as dump:
        list(dump)
