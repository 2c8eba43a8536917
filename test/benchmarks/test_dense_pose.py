"""Support of the detector-free matcher's matches, ways from them to a pose, and shares of them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor
from two_view_scene import random_scene

from msga_ros.evaluation.comparison.pairs import ImagePair
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose
from msga_ros.network.dense.anchors import cell_centres
from msga_ros.network.dense.assignment import CoarseMatches
from msga_ros.network.dense.net import DenseMatches

COLUMNS, ROWS = 8, 6


@pytest.fixture
def benchmark(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("dense_pose")


def matches(cells: Tensor, points1: Tensor, confidence: float = 0.9) -> DenseMatches:
    every = torch.full((len(cells),), confidence)
    coarse = CoarseMatches(cells, cells, every, every, every)
    return DenseMatches(cell_centres(cells, COLUMNS), points1, every, coarse)


def all_cells() -> tuple[Tensor, Tensor]:
    cells = torch.arange(COLUMNS * ROWS)
    return cells, cell_centres(cells, COLUMNS)


@pytest.mark.parametrize(("scale", "is_supported"), [(1.0, True), (1.3, True), (1.7, False)])
def test_matches_that_go_the_same_way_support_each_other(
    benchmark: ModuleType, scale: float, is_supported: bool
) -> None:
    cells, points = all_cells()
    found = benchmark.supported(matches(cells, scale * points + 30), COLUMNS)
    assert found.tolist() == [is_supported] * len(cells)


def test_unsure_neighbours_support_nothing(benchmark: ModuleType) -> None:
    cells, points = all_cells()
    assert not benchmark.supported(matches(cells, points, confidence=0.2), COLUMNS).any()


def test_a_match_that_goes_elsewhere_has_no_support(benchmark: ModuleType) -> None:
    cells, points = all_cells()
    points[20] += torch.tensor((40.0, 0.0))
    found = benchmark.supported(matches(cells, points), COLUMNS)
    assert np.flatnonzero(~found).tolist() == [20]


def test_neighbours_are_near_in_the_first_image(benchmark: ModuleType) -> None:
    # Three in a row, two beside each other, and one by itself: two more are needed.
    cells = torch.tensor([0, 1, 2, 5 * COLUMNS, 5 * COLUMNS + 1, 7])
    points = cell_centres(cells, COLUMNS)
    found = benchmark.supported(matches(cells, points), COLUMNS)
    assert found.tolist() == [True, True, True, False, False, False]


def test_a_way_is_judged_by_the_true_motion(benchmark: ModuleType) -> None:
    scene = random_scene(0, count=200, outliers=0.25)
    image, rows = np.zeros((4, 4), np.uint8), scene.correspondences
    camera = Camera(np.diag((500.0, 500.0, 1.0)))
    motion = Pose(scene.rotation, scene.translation)
    pair = ImagePair("a", "a", image, image, camera, camera, motion, 5.0)
    result = benchmark.judged(benchmark.Way(rows), pair, 500.0, 3)
    assert len(result.errors) == 3
    assert max(result.errors) < 0.5
    assert result.matches == 200
    assert 150 <= result.true < 160
    questioned = np.arange(200) < 100  # 50 of them false
    for left_out, others in ((True, 150), (False, 150)):
        way = benchmark.Way(rows, questioned=questioned, left_out=left_out)
        part = benchmark.judged(way, pair, 500.0, 1)
        assert part.matches == pytest.approx(others, abs=3)
        assert part.true == pytest.approx(result.true - (50 if left_out else 0), abs=3)
    few = benchmark.judged(benchmark.Way(rows[:4]), pair, 500.0, 1)
    assert few.errors == [180.0]


def test_a_row_says_how_much_is_gained(benchmark: ModuleType) -> None:
    first = [benchmark.Result([180.0, 5.0], 10, 5) for _ in range(4)]
    better = [benchmark.Result([0.0, 2.5], 20, 5) for _ in range(4)]
    cells = [cell.strip() for cell in benchmark.row("b", better, first).split("|")[1:-1]]
    assert cells[:3] == ["b", "20", "0.25"]
    assert cells[4] == "56.2 to 100.0"  # `pose_auc` joins the points of the curve
    assert cells[5] == "+75.0 (+75.0 to +75.0)"
    assert benchmark.row("a", first, first).endswith("|  |")


def test_the_share_of_the_first_thousand(benchmark_module: Callable[[str], ModuleType]) -> None:
    share = benchmark_module("dense_variants").share
    near = np.zeros(2000, bool)
    near[500:1500] = True
    assert share(near) == 0.5
    assert share(np.sort(near)[::-1]) == 1.0
    assert share(near[:600]) == pytest.approx(1 / 6)
    assert share(near[:0]) == 0.0
