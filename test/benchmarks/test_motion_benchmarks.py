"""What the benchmarks of motion make of footage before they measure: depth, and frames left out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from msga_ros.geometry.camera import Camera

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"

Importing = Callable[[str], ModuleType]


@pytest.fixture
def importing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Importing]:
    """Imports a benchmark as a module."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield import_module
    for name in ("register_depth", "odometry_starts", "orb_vocabulary"):
        sys.modules.pop(name, None)


def test_depth_is_where_the_colour_camera_sees_it_and_the_nearest_hides(
    importing: Importing,
) -> None:
    """A wall at 4 m with a box 2 m away before it, seen by a camera 5 cm to the right."""
    registered = importing("register_depth").registered_depth
    sensor = Camera.pinhole(500.0, 500.0, 320.0, 240.0)
    colour = Camera.pinhole(600.0, 600.0, 310.0, 230.0)
    depth = np.full((480, 640), 4000, np.uint16)
    depth[200:280, 300:340] = 2000
    depth[:, 600:] = 65535
    depth[0] = 0
    found = registered(depth, sensor, colour, np.array([-0.05, 0.0, 0.0]))

    def column(u: float, metres: float) -> float:
        seen = 600.0 * ((u - 320.0) / 500.0 * metres - 0.05) / metres + 310.0
        return min(max(seen, 0.0), 639.0)

    row = found[230]  # through the middle of the box
    box = np.flatnonzero(row == 2000)
    assert box[0] == pytest.approx(column(300, 2.0), abs=1.0)
    assert box[-1] == pytest.approx(column(339, 2.0), abs=2.0)
    wall = np.flatnonzero(row == 4000)
    assert wall[0] == pytest.approx(column(0, 4.0), abs=1.0)
    assert wall[-1] == pytest.approx(column(599, 4.0), abs=2.0)
    assert set(np.unique(found)) == {0, 2000, 4000}
    assert (found[60:100, :600] == 4000).all()  # larger there, and without holes


def test_runs_play_frames_in_order_without_those_that_are_left_out(importing: Importing) -> None:
    ways = importing("odometry_starts")._ways
    options = argparse.Namespace(starts=(0, 30), seeds=(0, 1), dropped=0.2, backwards=True)
    found = ways(200, options)
    assert [seed for _, seed in found] == [0, 0, 1, 1] * 2
    for (way, _), (back, _) in zip(found[::2], found[1::2], strict=True):
        assert way == sorted(set(way)) and back == way[::-1]
    assert found[4][0] == [at for at in found[0][0] if at >= 30]
    assert found[0][0] != found[2][0] and 130 < len(found[0][0]) < 190
    options = argparse.Namespace(starts=(0,), seeds=(5,), dropped=0.0, backwards=False)
    assert ways(4, options) == [([0, 1, 2, 3], 5)]


def test_a_vocabulary_is_a_tree_with_words_at_its_leaves(
    importing: Importing, tmp_path: Path
) -> None:
    module = importing("orb_vocabulary")
    random = np.random.default_rng(0)
    centres = random.integers(0, 256, (30, 32), dtype=np.uint8)
    seen = np.repeat(centres, 20, axis=0)
    seen[:, 0] ^= 1 << random.integers(0, 8, len(seen)).astype(np.uint8)  # a bit each is noise
    words = module._Words(seen, np.arange(len(seen)) // 60, random)
    words.split(np.arange(len(seen)), parent=0, level=1)
    rows = [line.split() for line in words.lines]
    assert {len(row) for row in rows} == {1 + 1 + 32 + 1}
    parents = [int(row[0]) for row in rows]
    leaf = np.array([row[1] == "1" for row in rows])
    assert all(parent < number for number, parent in enumerate(parents, 1))
    assert {number for number, one in enumerate(leaf, 1) if not one} == set(parents) - {0}
    assert max(map(parents.count, parents)) <= 10
    weights = np.array([float(row[-1]) for row in rows])
    assert (weights[~leaf] == 0).all() and (weights[leaf] > 0).all()
