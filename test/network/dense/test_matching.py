"""From similarities to matches, and from matches to points: against what is known to be right."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from msga_ros.network.dense.alignment import Alignment
from msga_ros.network.dense.anchors import _box_mean, cell_centres, find_anchors
from msga_ros.network.dense.assignment import Assignment, two_largest
from msga_ros.network.dense.config import DenseConfig
from msga_ros.network.dense.losses import (
    band_divergence,
    confidence_loss,
    divergence,
    offset_loss,
    sparse_divergence,
)
from msga_ros.network.dense.refinement import WindowSearch, true_distribution
from msga_ros.network.dense.sampling import FlatMap, PaddedMap, window

NONE = torch.zeros(1, dtype=torch.int64)


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["dual_softmax", "sinkhorn"])
def test_shuffled_cells_find_each_other(kind: str) -> None:
    assignment = Assignment(DenseConfig(assignment=kind)).eval()
    cells = seeded(40, 16)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    found = assignment.matches(cells, cells[order])
    assert torch.equal(order[found.cells1], found.cells0) and len(found.cells0) == 40
    assert (found.margin > 0).all() and (found.log_probability <= 1e-5).all()
    torch.testing.assert_close(found.similarity, torch.ones(40))


def test_blocks_and_whole_tables_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    assignment = Assignment(DenseConfig()).eval()
    one, two = seeded(30, 8), seeded(23, 8, seed=1)
    table = assignment.distributions(one[None], two[None])
    both = (table.rows + table.columns)[0]
    monkeypatch.setattr("msga_ros.network.dense.assignment._BLOCK_ENTRIES", 100)
    found = assignment.matches(one, two)
    rows, columns = table.rows[0].argmax(1), table.columns[0].argmax(0)
    mutual = [(i, int(j)) for i, j in enumerate(rows) if columns[j] == i]
    assert list(zip(found.cells0.tolist(), found.cells1.tolist(), strict=True)) == mutual
    expected = both[found.cells0, found.cells1]
    torch.testing.assert_close(found.log_probability, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("iterations", [1, 3])
def test_sinkhorn_by_factors_finds_what_the_whole_table_says(
    monkeypatch: pytest.MonkeyPatch, iterations: int
) -> None:
    config = DenseConfig(assignment="sinkhorn", sinkhorn_iterations=iterations)
    assignment = Assignment(config).eval()
    assignment.bin.data.fill_(9.0)
    one, two = seeded(30, 8), seeded(23, 8, seed=1)
    table = assignment.distributions(one[None], two[None]).rows[0]
    monkeypatch.setattr("msga_ros.network.dense.assignment._BLOCK_ENTRIES", 100)
    found = assignment.matches(one, two)
    rows, columns = table.argmax(1), table.argmax(0)
    mutual = [(i, int(j)) for i, j in enumerate(rows) if columns[j] == i]
    assert list(zip(found.cells0.tolist(), found.cells1.tolist(), strict=True)) == mutual
    expected = 2 * table[found.cells0, found.cells1]
    torch.testing.assert_close(found.log_probability, expected, atol=1e-4, rtol=1e-4)
    cosines = F.normalize(one, dim=1) @ F.normalize(two, dim=1).T
    torch.testing.assert_close(found.similarity, cosines[found.cells0, found.cells1])
    others = cosines[found.cells0].scatter(1, found.cells1[:, None], -2.0).amax(1)
    torch.testing.assert_close(found.margin, found.similarity - others, atol=1e-4, rtol=1e-4)


def test_sinkhorn_normalises_rows_and_columns_and_has_room_for_those_without_partner() -> None:
    assignment = Assignment(DenseConfig(assignment="sinkhorn", sinkhorn_iterations=100)).eval()
    assignment.bin.data.fill_(12.0)
    one = F.normalize(seeded(1, 6, 8), dim=2)
    two = torch.cat((one[:, :4], -one[:, 4:]), 1)  # the last two have no partner
    probability = assignment.distributions(one, two).rows[0].exp()
    assert (probability.sum(1) <= 1 + 1e-3).all() and (probability.sum(0) <= 1 + 1e-3).all()
    assert (probability.diagonal()[:4] > 0.9).all()
    assert (probability[4:].sum(1) < 0.1).all()


def shifted_waves(shift: tuple[float, float], size: int = 64) -> torch.Tensor:
    """A smooth image that is moved by `shift` pixels (x, y)."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    x, y = x - shift[0], y - shift[1]
    waves = (
        torch.sin(0.35 * x + 0.1 * y)
        + torch.sin(0.23 * y - 0.17 * x)
        + torch.cos(0.15 * x * y / 20)
    )
    return waves[None, None]


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.3, -0.7), (-0.45, 1.8)])
def test_untrained_alignment_is_lucas_kanade(shift: tuple[float, float]) -> None:
    images = shifted_waves((0.0, 0.0)), 0.7 * shifted_waves(shift) + 0.2  # another exposure
    padded = [
        torch.cat((one, torch.zeros(1, 2, 64, 64), torch.ones(1, 1, 64, 64)), 1) for one in images
    ]
    maps = [FlatMap.of(one, 1) for one in padded]
    points = torch.tensor([[30.5, 28.5], [24.0, 33.0], [38.5, 36.5]])
    aligned = Alignment(2, radius=5, steps=6)(maps[0], maps[1], NONE.expand(3), points, points)
    expected = points + torch.tensor(shift)
    torch.testing.assert_close(aligned.points1, expected, atol=0.05, rtol=0)
    assert (aligned.uncertainty < 0.2).all() and (aligned.difference < 0.05).all()


def test_a_patch_without_structure_stays_where_it_is() -> None:
    plain = torch.cat((torch.full((1, 3, 32, 32), 0.3), torch.ones(1, 1, 32, 32)), 1)
    at = FlatMap.of(plain, 1)
    points = torch.tensor([[15.5, 15.5]])
    aligned = Alignment(2, radius=4, steps=3)(at, at, NONE, points, points + 1.0)
    assert torch.equal(aligned.points1, points + 1.0)
    assert aligned.uncertainty.isfinite().all()


@pytest.mark.parametrize("stride", [2, 4])
def test_a_window_finds_a_feature_to_a_part_of_a_cell(stride: int) -> None:
    features = F.normalize(F.avg_pool2d(seeded(1, 16, 24, 24), 3, 1, 1), dim=1)
    at = FlatMap.of(features, stride)
    cells = torch.tensor([[10.0, 11.0], [7.0, 9.0]])
    points = at.to_pixels(cells)
    guess = points + stride * torch.tensor([[1.4, -0.8], [-0.6, 1.2]])
    found = WindowSearch(2)(at, at, NONE.expand(2), points, guess)
    torch.testing.assert_close(found.points1, points, atol=0.2 * stride, rtol=0)
    assert (found.log_probability.exp().sum(1) - 1).abs().max() < 1e-5
    # The search is right: the divergence from the truth is small there and large elsewhere.
    target, inside = true_distribution(cells, found.middle, 2)
    wrong, _ = true_distribution(cells + 1, found.middle, 2)
    assert inside.all()
    assert (
        divergence(target, found.log_probability) < divergence(wrong, found.log_probability)
    ).all()


def test_nothing_is_found_outside_of_the_image() -> None:
    features = F.normalize(seeded(1, 8, 6, 6), dim=1)
    at = FlatMap.of(features, 4)
    corner = torch.tensor([[1.5, 1.5]])
    found = WindowSearch(3)(at, at, NONE, corner, corner - 20)
    assert ((found.points1 >= 0) & (found.points1 <= 23)).all()
    outside = torch.isinf(found.log_probability)
    assert outside.sum() == 49 - 16  # of the window around the corner cell, 4 x 4 are inside


def test_a_true_point_is_shared_among_its_four_cells() -> None:
    shares, inside = true_distribution(
        torch.tensor([[4.25, 6.5], [9.0, 6.0]]), torch.tensor([[5.0, 6.0]]), 1
    )
    assert inside.tolist() == [True, False]
    expected = torch.zeros(9)
    expected[[3, 4, 6, 7]] = torch.tensor([0.375, 0.125, 0.375, 0.125])
    torch.testing.assert_close(shares[0], expected)


def test_anchors_are_corners_and_stay_in_their_cells() -> None:
    image = torch.zeros(1, 1, 32, 48)
    image[..., 13:, 21:] = 1.0  # one corner, in the cell of column 2 and row 1
    anchors = find_anchors(image)
    centres = cell_centres(torch.arange(24), 6)
    assert ((anchors.points[0] - centres).abs() <= 3.5).all()
    cell = int(anchors.structure.argmax())
    assert cell == 8
    assert (anchors.points[0, cell] - torch.tensor([20.5, 12.5])).norm() < 3
    assert torch.equal(find_anchors(image, anchored=False).points[0], centres)


def test_the_mean_of_nine_places_is_that_of_torch() -> None:
    maps = seeded(2, 3, 7, 9)
    torch.testing.assert_close(_box_mean(maps), F.avg_pool2d(maps, 3, stride=1, padding=1))


def test_divergence_is_zero_at_the_truth_and_infinite_nowhere() -> None:
    target = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    assert torch.allclose(divergence(target, target.log()), torch.zeros(2), atol=1e-6)
    other = torch.tensor([[0.25, 0.25, 0.5], [0.5, 0.25, 0.25]]).log()
    torch.testing.assert_close(divergence(target, other), torch.full((2,), math.log(2)))
    indices = torch.tensor([[1, 0], [0, 2]])
    shares = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    torch.testing.assert_close(sparse_divergence(indices, shares, other), divergence(target, other))
    band = torch.tensor([[True, True, False], [False, False, True]])
    torch.testing.assert_close(band_divergence(band, other), -torch.tensor([0.5, 0.25]).log())
    far = torch.tensor([[-40.0, -40.0, 0.0]])
    assert band_divergence(band[:1], far, floor=0.02) == pytest.approx(-math.log(0.02))


def test_confidence_is_best_at_the_true_probability() -> None:
    correct = torch.tensor([1.0, 1.0, 1.0, 0.0])
    known = torch.tensor([True] * 4)
    at = {
        p: confidence_loss(torch.full((4,), math.log(p / (1 - p))), correct, known)
        for p in (0.6, 0.75, 0.9)
    }
    assert at[0.75] == min(at.values())
    half = torch.tensor([True, True, False, False])
    logits = torch.tensor([0.0, 0.0, 9.0, 9.0])
    assert confidence_loss(logits, correct, half) == pytest.approx(math.log(2))
    assert offset_loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([True])) == 0
    assert offset_loss(torch.full((1, 2), math.nan), torch.zeros(1, 2), torch.tensor([False])) == 0


@pytest.mark.parametrize("count", [1, 7, 64, 96, 200])
def test_two_largest_of_rows(count: int) -> None:
    """With whole rows alike in groups, too: as a sort of the row says."""
    table = torch.randn(5, count, generator=torch.Generator().manual_seed(count))
    found, index = two_largest(table)
    expected = table.sort(1, descending=True).values[:, [0, min(1, count - 1)]]
    assert torch.equal(found, expected)
    assert torch.equal(table.gather(1, index[:, None])[:, 0], expected[:, 0])


def test_of_equal_cells_one_is_matched() -> None:
    """A plain surface: many cells with the same features."""
    config = DenseConfig(patch_layers=0, cell_layers=0)
    same = torch.ones(32, 64)
    found = Assignment(config).matches(same, same)
    assert len(found.cells0) == len(found.cells1.unique()) == 1
    assert float(found.margin) == 0.0


def test_patches_are_what_lies_around_points() -> None:
    rows = torch.randn(2, 3, 9, 12, generator=torch.Generator().manual_seed(0))
    at = FlatMap.of(rows, 2)
    images = torch.tensor([0, 1, 1, 0])
    points = torch.tensor([[5.3, 7.1], [0.0, 0.0], [23.0, 16.9], [11.0, 30.0]])
    seen = at.patches(images, points, 2)
    steps = 2 * window(2, points.device).to(points.dtype)  # a cell is two pixels
    every = at.between(images[:, None].expand(-1, 25), points[:, None] + steps)
    torch.testing.assert_close(seen.flatten(2).transpose(1, 2), every)


@pytest.mark.parametrize("radius", [1, 3])
def test_patches_of_a_padded_map_are_the_same_wherever_they_lie(radius: int) -> None:
    """Inside, across the edges, and far outside of either image."""
    maps = seeded(2, 3, 9, 12)
    points = 12 * seeded(300, 2, seed=1) + 5
    images = torch.arange(300) % 2
    expected = FlatMap.of(maps, 1).patches(images, points, radius)
    assert torch.equal(PaddedMap.of(maps, 7).patches(images, points, radius), expected)
    none = PaddedMap.of(maps, 7).patches(images[:0], points[:0], radius)
    assert none.shape == expected[:0].shape


def test_a_margin_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="a margin of 4 is too small for a radius of 2"):
        PaddedMap.of(seeded(1, 1, 8, 8), 4).patches(NONE, torch.zeros(1, 2), 2)
