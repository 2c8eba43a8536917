"""`msga loops`, interrupted: the same command goes on, and makes what it would have made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="the library rosbags is not installed")

from bags.bag_maker import Drive, Item, write
from bags.test_loops_of_bags import chain, command, images, in_order, odometry, robot
from bags.test_rgbd_bag import items as rgbd_items
from bags.test_rgbd_bag import scene as scene

from msga_ros.cli import loops_resume
from msga_ros.datasets.sequences.synthetic import SyntheticSequence
from msga_ros.loops.mapping import LoopMapper
from msga_ros.loops.reports import Outcome, View

FILES = ("loops.csv", "graph.g2o", "path.tum")


class Watch:
    """Counts the views that mappers are given; the one after `allowed` ends the program."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self.allowed = 1000
        add = LoopMapper.add

        def watched(mapper: LoopMapper, view: View) -> Outcome:
            if len(self.names) == self.allowed:
                raise KeyboardInterrupt
            self.names.append(view.name)
            return add(mapper, view)

        monkeypatch.setattr(LoopMapper, "add", watched)
        monkeypatch.setattr(loops_resume, "_KEEP_EVERY", 2)

    def run(self, folder: Path, source: Path, allowed: int, *more: str) -> tuple[Any, list[str]]:
        """What the command said, and the views that it looked at."""
        folder.mkdir(exist_ok=True)
        self.names, self.allowed = [], allowed
        arguments = ["--map", str(folder / "map"), "--candidates", "2", *more]
        for option, name in zip(("-o", "--graph", "--trajectory"), FILES, strict=True):
            arguments += [option, str(folder / name)]
        return command(source, *arguments), self.names


def there_and_back(drive: Drive) -> list[Item]:
    return in_order([*images(drive), *odometry(robot(drive)), *chain()])


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


@pytest.mark.parametrize(("allowed", "torn"), [(1, False), (5, True)])
def test_with_a_recorded_odometry(
    tmp_path: Path, drive: Drive, watch: Watch, allowed: int, torn: bool
) -> None:
    """On the way back the map has loops, loops that wait, and depths by certain neighbours."""
    source = write(tmp_path / "in", there_and_back(drive))
    whole, names = watch.run(tmp_path / "whole", source, 1000, "--set", "loops.support=2")
    assert whole.exit_code == 0 and len(names) == 6, whole.output
    broken = tmp_path / "broken"
    said, _ = watch.run(broken, source, allowed, "--set", "loops.support=2")
    assert said.exit_code != 0 and "the same command goes on from here" in said.output
    assert not (broken / FILES[0]).exists()
    if torn:  # killed while it wrote
        map_file = broken / "map"
        map_file.write_bytes(map_file.read_bytes() + b"MSGAKEY1 half a record")
    said, again = watch.run(broken, source, 1000, "--set", "loops.support=2")
    done = allowed - allowed % 2
    assert said.exit_code == 0 and f"goes on after {done} views" in said.output, said.output
    assert again == names[done:]
    for name in ("map", *FILES):
        assert (broken / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert said.output.splitlines()[-1] == whole.output.splitlines()[-1]
    assert not (broken / "map.partial").exists()


@pytest.mark.parametrize("mode", ["stereo", "rgbd"])
def test_with_the_odometry_of_the_images(
    tmp_path: Path, drive: Drive, scene: SyntheticSequence, watch: Watch, mode: str
) -> None:
    items = drive.stereo(range(3)) if mode == "stereo" else rgbd_items(scene)
    source = write(tmp_path / "in", items)
    more = ("--mode", mode, "--set", "loops.min_gap=0.1")
    whole, names = watch.run(tmp_path / "whole", source, 1000, *more)
    assert whole.exit_code == 0 and len(names) >= 3, whole.output
    way = np.loadtxt(tmp_path / "whole" / FILES[2])[:, 1:4]
    assert len(way) >= 2 and np.linalg.norm(way[-1] - way[0]) > 0.3  # an odometry that moves
    broken = tmp_path / "broken"
    watch.run(broken, source, 2, *more)
    said, again = watch.run(broken, source, 1000, *more)
    assert said.exit_code == 0 and again == names[2:], said.output
    for name in ("map", *FILES):
        assert (broken / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_what_is_not_gone_on_with(tmp_path: Path, drive: Drive, watch: Watch) -> None:
    source = write(tmp_path / "in", there_and_back(drive))
    folder = tmp_path / "out"
    watch.run(folder, source, 3)
    # Another command: it begins anew, and what is in the map is searched.
    said, names = watch.run(folder, source, 3, "--set", "loops.candidates=3")
    assert "of another command" in " ".join(said.output.split()) and len(names) == 3
    partial = folder / "map.partial"
    kept = partial.read_bytes()
    # Somebody else has put a keyframe into the map: nothing of it is overwritten or lost.
    map_file = folder / "map"
    first = map_file.read_bytes()
    watch.run(folder, source, 2, "--frames", "2")
    longer = map_file.read_bytes()
    assert longer.startswith(first) and len(longer) > len(first)
    partial.write_bytes(kept)
    said, _ = watch.run(folder, source, 1000, "--set", "loops.candidates=3")
    assert said.exit_code == 2 and "comes out differently now" in " ".join(said.output.split())
    assert map_file.read_bytes() == longer
    partial.write_bytes(b"garbled")
    said, names = watch.run(folder, source, 1)
    assert "cannot be read" in " ".join(said.output.split()) and len(names) == 1
    partial.write_bytes(kept)
    map_file.unlink()
    said, names = watch.run(folder, source, 1, "--set", "loops.candidates=3")
    assert "it begins anew" in " ".join(said.output.split()) and len(names) == 1
