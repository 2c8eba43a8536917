"""A disk that is full: one line that names the file, nothing half, no crash, nobody left behind."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from limited_disk import ROOT, left_behind, run_limited
from posed_layouts import rendered_views, write_scene
from synthetic_dump import synthetic_pair, write_dump

from msga_ros.datasets.hdf5_writing import new_hdf5
from msga_ros.evaluation.records import RecordFile
from msga_ros.whole_files import append_whole, whole_file, write_whole


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("scenes") / "yard", rendered_views())


def dump_command(scene: Path, output: Path, workers: int) -> list[str | Path]:
    options = ["--set", "frontend.max_keypoints=200", "--min-matches", "1", "--min-parallax", "0"]
    arguments = ["dump", scene, "-o", output, "--workers", str(workers), "--pairs", "0"]
    return ["-m", "msga_ros.cli", *arguments, *options]


def gone(group: int) -> bool:
    """Whether all of the group end; they have half a minute for it."""
    end = time.monotonic() + 30
    while left_behind(group) and time.monotonic() < end:
        time.sleep(0.05)
    return not left_behind(group)


@pytest.mark.parametrize(("most", "workers"), [(4000, 2), (40_000, 1)])
def test_a_dump_on_a_full_disk(scene: Path, tmp_path: Path, most: int, workers: int) -> None:
    """With the smaller limit no part can be written, with the larger one only the whole cannot."""
    output = tmp_path / "dump.h5"
    ended = run_limited(dump_command(scene, output, workers), most)
    assert ended.returncode == 2, ended.stderr
    (line,) = ended.stderr.strip().splitlines()
    assert re.fullmatch(r"msga: \S*dump\.h5\S*: File too large", line)
    assert gone(int(ended.args))
    assert not output.exists() and not list(tmp_path.rglob("*.tmp"))
    parts = list((tmp_path / "dump.h5.parts").glob("part-*.h5"))
    for part in parts:
        with h5py.File(part) as file:
            assert len(file["names"])
    assert bool(parts) == (most == 40_000)


def test_workers_end_with_a_command_that_is_killed(scene: Path, tmp_path: Path) -> None:
    output = tmp_path / "dump.h5"
    command = [sys.executable, *map(str, dump_command(scene, output, 2))]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    parts = tmp_path / "dump.h5.parts"
    while process.poll() is None and not list(parts.glob("part-*.h5")):
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert gone(process.pid)


def test_other_commands_name_their_file(scene: Path, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "dump.h5", [synthetic_pair(seed) for seed in range(3)])
    compact = ["compact", dump, "-o", tmp_path / "compact.h5"]
    judged = ["eval", dump, "-e", "ratio+poselib", "--records", tmp_path / "records.jsonl"]
    compared = ["compare", scene, "-m", "opencv-orb", "--pairs", "2"]
    for arguments, name in (
        (compact, "compact.h5"),
        (judged, "records.jsonl"),
        ([*compared, "--records", tmp_path / "compared.jsonl"], "compared.jsonl"),
        ([*compared, "--report", tmp_path / "page.html"], "page.html"),
    ):
        ended = run_limited(["-m", "msga_ros.cli", *arguments], 600)
        assert ended.returncode == 2, ended.stderr
        assert ended.stderr.strip().splitlines()[-1].endswith(f"{name}: File too large")
        assert "Traceback" not in ended.stderr
    assert not list(tmp_path.glob("compact.h5*")) and not list(tmp_path.glob("page.html*"))
    assert not (tmp_path / "compared.jsonl").read_text()  # the first record is too long already
    kept = RecordFile(tmp_path / "records.jsonl")  # what was complete can be read
    assert 0 < len(kept) < 3


@pytest.mark.parametrize("most", [3000, 100_000])
def test_hdf5_on_a_full_disk_is_an_error_and_nothing_else(tmp_path: Path, most: int) -> None:
    """In a process of its own: the library is unloaded at its end."""
    path = tmp_path / "file.h5"
    code = f"""
import numpy as np
from pathlib import Path
from msga_ros.datasets.hdf5_writing import new_hdf5
try:
    with new_hdf5(Path({str(path)!r}), ("v110", "v110")) as new:
        for index in range(100):
            new.file[f"group{{index % 7}}/{{index}}"] = np.random.default_rng(0).random(1000)
            if {most} != 3000:
                new.check()
except OSError as error:
    print(error.errno, error.filename)
"""
    ended = run_limited(["-c", code], most)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == f"{errno.EFBIG} {path}"
    assert not list(tmp_path.iterdir())


def test_an_hdf5_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with new_hdf5(path) as new:
        new.file["x"] = np.arange(5)
        assert not path.exists()
    with h5py.File(path) as file:
        assert file["x"][()].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError), new_hdf5(path) as new:
        new.file["missing"]
    with h5py.File(path) as file:
        assert "x" in file
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_whole_or_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.txt"
    write_whole(path, "before é")
    assert path.read_text(encoding="utf-8") == "before é"

    def fill() -> None:
        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left") as caught:
        fill()
    assert caught.value.filename == str(path)
    assert path.read_text(encoding="utf-8") == "before é"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError, match="absent"):
        write_whole(tmp_path / "absent" / "file", b"")
    append_whole(path, "!\n")
    assert path.read_text(encoding="utf-8") == "before é!\n"


def test_a_record_that_was_half_written_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text('{"dump": "half')
    assert len(RecordFile(path)) == 0
    assert path.read_text() == ""
