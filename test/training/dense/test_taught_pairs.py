"""Pairs of which a teacher has told matches: what is kept, and what a batch makes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training.dense.test_supervision import SIZE, photographs

from msga_ros.datasets.photographs.pack import (
    Photograph,
    PhotographError,
    Photographs,
    TaughtPair,
    add_taught,
    read_photographs,
    write_photographs,
)
from msga_ros.datasets.photographs.teacher import Teacher, TeachingConfig, agreeing
from msga_ros.frontend.base import Features, Matches
from msga_ros.network.dense.config import COARSE
from msga_ros.training.dense.batches import DenseBatchConfig, DenseBatchSource
from msga_ros.training.dense.truth import cell_truth
from msga_ros.training.dense.views import VISIBLE, DenseBatch

CAMERA = np.array([[150.0, 0, 79.5], [0, 150.0, 59.5], [0, 0, 1]])


def posed(count: int = 4) -> list[Photograph]:
    """Of one place, from a camera that moves to the right."""
    return [
        Photograph(grey, CAMERA, np.eye(3), np.array([-0.2 * number, 0, 0]), "place")
        for number, grey in enumerate(photographs(count))
    ]


def seen_matches(first: Photograph, second: Photograph, count: int = 60) -> np.ndarray:
    """True ones, of points in front of both cameras."""
    rng = np.random.default_rng(5)
    points = rng.uniform((-0.8, -0.6, 2.0), (0.8, 0.6, 4.0), (count, 3))
    pixels = []
    for view in (first, second):
        rays = (points @ view.rotation.T + view.translation) @ view.camera.T
        pixels.append(rays[:, :2] / rays[:, 2:])
    return np.hstack(pixels).clip(0, 119).astype(np.float32)


def test_matches_off_the_line_or_behind_the_camera_do_not_agree() -> None:
    first, second = posed(2)
    true = seen_matches(first, second)
    true = true[(true > 1).all(1) & (true < 118).all(1)]
    assert agreeing(true, first, second, 0.5).all()
    off = true + np.array([0, 0, 0, 4], np.float32)
    assert not agreeing(off, first, second, 1.5).any()
    assert agreeing(off, first, second, 5.0).all()
    # What moves the other way on its line would be behind both cameras.
    behind = true[:, [2, 1, 0, 3]]
    assert not agreeing(behind, first, second, 1.5).any()


def test_a_file_keeps_what_a_teacher_told(tmp_path: Path) -> None:
    path = tmp_path / "taught.h5"
    images = posed()
    write_photographs(path, images, [(0, 1)])
    assert read_photographs(path).taught == ()
    matches = seen_matches(images[0], images[2])
    add_taught(path, TaughtPair(0, 2, matches))
    add_taught(path, TaughtPair(1, 2, matches[:3]))
    first, second = read_photographs(path).taught
    assert (first.first, first.second, second.first, second.second) == (0, 2, 1, 2)
    np.testing.assert_allclose(first.matches, matches, atol=1 / 64)
    assert len(second.matches) == 3
    with pytest.raises(PhotographError, match="outside"):
        add_taught(path, TaughtPair(0, 1, matches - 200))
    add_taught(path, TaughtPair(0, 9, matches))
    with pytest.raises(PhotographError, match="images that there are not"):
        read_photographs(path)


class _Known:
    """An extractor and a matcher that says of all pairs what it was told."""

    name = "known"

    def __init__(self, matches: np.ndarray) -> None:
        self.matches = matches
        self.extracted = 0

    def extract(self, image: np.ndarray) -> Features:
        self.extracted += 1
        points = np.zeros((1, 2), np.float32)
        return Features(points, np.ones(1, np.float32), np.zeros((1, 2), np.float32), (160, 120))

    def match(self, features0: Features, features1: Features) -> Matches:
        none = np.zeros(len(self.matches), np.int64)
        return Matches(self.matches[:, :2], self.matches[:, 2:], none, none)


def test_a_pair_that_the_pose_denies_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "photographs.h5"
    images = posed()
    write_photographs(path, images, [(0, 1), (0, 3), (1, 3)])
    read = read_photographs(path)
    true = seen_matches(images[0], images[3])
    true = true[(true > 1).all(1) & (true < 118).all(1)]
    wrong = true + np.array([0, 0, 0, 9], np.float32)
    known = _Known(np.vstack((true, wrong[:5])))
    teacher = Teacher(read, known, known, TeachingConfig(images=3, least=8))
    # Images 0, 2 and 3 (the middle one rounds up) are taken: of the pairs that are named one.
    pairs = teacher.pairs(np.random.default_rng(0))
    assert pairs == [(0, 3)]
    (taught,) = teacher.taught([(0, 3)])
    assert taught is not None
    np.testing.assert_allclose(taught.matches, true, atol=1e-4)
    known.matches = np.vstack((true, wrong))
    assert list(teacher.taught([(0, 3)])) == [None]
    assert known.extracted == 2  # once an image


def test_pairs_that_are_turned_most_come_first_on_the_whole() -> None:
    views = []
    for image, degrees in zip(posed(3), (0.0, 2.0, 40.0), strict=True):
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        rotation = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
        views.append(replace(image, rotation=rotation, place="one"))
    read = Photographs(tuple(views), np.array([(0, 1), (0, 2), (1, 2)]))
    nobody = _Known(np.empty((0, 4), np.float32))
    teacher = Teacher(read, nobody, nobody, TeachingConfig(images=3))
    orders = [teacher.pairs(np.random.default_rng(seed)) for seed in range(200)]
    assert all(sorted(order) == [(0, 1), (0, 2), (1, 2)] for order in orders)
    first = [order[0] for order in orders]
    assert 0 < first.count((0, 1)) < 20  # of 200: as often as 3 degrees of 81
    assert min(first.count((0, 2)), first.count((1, 2))) > 60


def test_taught_cells_correspond_to_where_their_matches_lie(tmp_path: Path) -> None:
    """Matches that are moved by a constant: so are the centres of their cells, in each cut view."""
    path = tmp_path / "shifted.h5"
    images = [replace(one, translation=np.array([0.1 * i, 0, 0])) for i, one in enumerate(posed(2))]
    write_photographs(path, images, [(0, 1)])
    y, x = np.mgrid[4:116:9, 20:150:9].reshape(2, -1).astype(np.float32)
    add_taught(path, TaughtPair(0, 1, np.stack((x, y, x - 12, y), 1)))
    config = DenseBatchConfig(
        photographs=(str(path),),
        pairs=8,
        width=SIZE[0],
        height=SIZE[1],
        shares=(0, 0, 0, 1),
        photometric=False,
    )
    batch = DenseBatchSource(config, seed=2).batch(0)
    shifts = []
    for target, state in ((batch.target0, batch.state0), (batch.target1, batch.state1)):
        truth = cell_truth(target, state)
        known = truth.state == VISIBLE
        assert 0.05 < known.float().mean() < 0.9
        assert (state == VISIBLE).sum() == 4 * known.sum()
        cells = torch.arange(known.shape[1])
        columns = SIZE[0] // COARSE
        centres = torch.stack((cells % columns, cells // columns), 1) * COARSE + 3.5
        moved = truth.places - centres
        # The cells of a pair all move alike, but for views that enlarge differently.
        spread = [moved[i][known[i]].std(0) for i in range(len(known)) if known[i].sum() > 2]
        assert torch.stack(spread).max() < 20
        shifts.append(torch.stack([moved[i][known[i]].mean(0) for i in range(len(known))]))
    # There and back again.
    assert (shifts[0] + shifts[1]).abs().max() < 8
    # Epipolar lines say the same: rows of the photographs.
    assert _from_their_lines(batch).max() < 4  # cells are 8 wide, views differ in scale


def test_what_is_taught_turns_with_the_view(tmp_path: Path) -> None:
    """Matches that do not move at all: neither do the cells, but for how the view is turned."""
    path = tmp_path / "turned.h5"
    images = [replace(one, translation=np.array([0.1 * i, 0, 0])) for i, one in enumerate(posed(2))]
    write_photographs(path, images, [(0, 1)])
    y, x = np.mgrid[4:116:5, 4:156:5].reshape(2, -1).astype(np.float32)
    add_taught(path, TaughtPair(0, 1, np.stack((x, y, x, y), 1)))
    config = DenseBatchConfig(
        photographs=(str(path),),
        pairs=12,
        width=SIZE[0],
        height=SIZE[1],
        shares=(0, 0, 0, 1),
        roll_deg=60,
        photometric=False,
    )
    batch = DenseBatchSource(config, seed=2).batch(0)
    truths = (
        cell_truth(batch.target0, batch.state0),
        cell_truth(batch.target1, batch.state1),
    )
    all_places = torch.cat([truth.places for truth in truths])
    all_states = torch.cat([truth.state for truth in truths])
    cells = torch.arange(all_states.shape[1])
    columns = SIZE[0] // COARSE
    centres = torch.stack((cells % columns, cells // columns), 1) * COARSE + 3.5
    angles = []
    for places, state in zip(all_places, all_states, strict=True):
        known = state == VISIBLE
        if known.sum() < 20:
            continue
        one, two = (points[known] - points[known].mean(0) for points in (centres, places))
        # One similarity maps all cells of a pair, as both views are cuts of one plane.
        u, sizes, vh = torch.linalg.svd(one.T @ two)
        turn = (u @ vh).T
        scale = sizes.sum() / one.square().sum()
        assert (two - scale * one @ turn.T).norm(dim=1).max() < 3
        angles.append(torch.atan2(turn[1, 0], turn[0, 0]).rad2deg().abs())
    turned = torch.stack(angles)
    assert (turned < 2).any() and (turned > 20).any() and turned.max() < 61
    assert _from_their_lines(batch).max() < 4


def _from_their_lines(batch: DenseBatch) -> torch.Tensor:
    """Pixels that the partners of known cells are from their epipolar lines."""
    truth = cell_truth(batch.target0, batch.state0)
    cells = torch.arange(truth.state.shape[1])
    columns = SIZE[0] // COARSE
    centres = torch.stack((cells % columns, cells // columns), 1) * COARSE + 3.5
    homogeneous = torch.nn.functional.pad(centres, (0, 1), value=1.0)
    there = torch.nn.functional.pad(truth.places, (0, 1), value=1.0)
    lines = torch.einsum("bij,nj->bni", batch.fundamental, homogeneous)
    distance = (lines * there).sum(2).abs() / lines[..., :2].norm(dim=2)
    return distance[truth.state == VISIBLE]


def test_no_lessons_without_a_teacher(tmp_path: Path) -> None:
    path = tmp_path / "plain.h5"
    write_photographs(path, posed(2), [(0, 1)])
    config = DenseBatchConfig(photographs=(str(path),), shares=(0.5, 0, 0, 0.5), pairs=2)
    with pytest.raises(PhotographError, match="no pairs with a teacher's matches"):
        DenseBatchSource(config, seed=0)
