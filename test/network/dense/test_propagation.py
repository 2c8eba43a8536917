"""Cells follow their neighbours: against maps whose correspondence is known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from msga_ros.network.dense.assignment import Assignment
from msga_ros.network.dense.config import DenseConfig
from msga_ros.network.dense.net import DenseMatcher
from msga_ros.network.dense.propagation import propagate
from msga_ros.training.dense.initial_weights import start_dense_from

SHAPE0, SHAPE1 = (12, 16), (14, 20)
SHIFT = (3, 1)  # columns, rows: from map 0 to where the same lies in map 1


def maps(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Unit features `(1, N, 8)` of both maps, and the true partner of each of map 0."""
    draw = torch.Generator().manual_seed(seed)
    other = F.normalize(torch.randn(SHAPE1[0], SHAPE1[1], 8, generator=draw), dim=-1)
    rows = torch.arange(SHAPE0[0])[:, None] + SHIFT[1]
    columns = torch.arange(SHAPE0[1])[None] + SHIFT[0]
    partner = rows * SHAPE1[1] + columns
    return other[rows, columns].reshape(1, -1, 8), other.reshape(1, -1, 8), partner.reshape(1, -1)


def test_what_lies_beside_a_matched_region_follows_it() -> None:
    unit0, unit1, true = maps()
    block = torch.zeros(SHAPE0, dtype=torch.bool)
    block[3:9, 4:10] = True
    partner = torch.where(block.reshape(1, -1), true, -1)
    for rounds, more in ((1, True), (8, False)):
        found = propagate(unit0, unit1, partner, SHAPE0, SHAPE1, rounds)
        there = found.partner >= 0
        assert torch.equal(found.partner[there], true[there])
        assert bool(there[partner >= 0].all()) and there.sum() > (partner >= 0).sum()
        assert bool((~there).any()) is more  # a round adds two cells at each side
    assert float(found.support.max()) == 48  # inside, everyone around agrees
    corner = found.support.reshape(SHAPE0)[0, 0]
    assert float(corner) == 15  # a quarter of the window, less the cell itself


def test_of_wrong_matches_in_a_matched_region_the_neighbours_say_what_is_right() -> None:
    unit0, unit1, true = maps()
    wrong = [5 * SHAPE0[1] + 7, 8 * SHAPE0[1] + 12]
    partner = true.clone()
    partner[0, wrong] = torch.tensor([0, 279])
    found = propagate(unit0, unit1, partner, SHAPE0, SHAPE1, 1)
    assert torch.equal(found.partner, true)
    unchanged = propagate(unit0, unit1, partner, SHAPE0, SHAPE1, 0)
    assert torch.equal(unchanged.partner, partner)
    assert (unchanged.support[0, wrong] == 0).all()


def test_a_match_that_stands_alone_stays_with_no_support() -> None:
    unit0, unit1, _ = maps()
    partner = torch.full((1, unit0.shape[1]), -1)
    partner[0, 40] = 7
    found = propagate(unit0, unit1, partner, SHAPE0, SHAPE1, 3)
    assert torch.equal(found.partner, partner) and not found.support.any()


def test_cells_of_a_stretched_map_are_found_beside_where_neighbours_lead() -> None:
    unit1 = maps()[1]
    rows = torch.arange(SHAPE0[0])[:, None] + 1
    columns = (torch.arange(SHAPE0[1])[None] * 1.25).round().long().clamp(max=SHAPE1[1] - 1)
    true = (rows * SHAPE1[1] + columns).reshape(1, -1)
    unit0 = unit1[:, true[0]]
    block = torch.zeros(SHAPE0, dtype=torch.bool)
    block[2:10, 2:9] = True
    found = propagate(unit0, unit1, torch.where(block.reshape(1, -1), true, -1), SHAPE0, SHAPE1, 5)
    assert (found.partner == true).float().mean() > 0.9
    row = torch.arange(SHAPE0[1])
    for columns, agreeing in ((row // 2, 48), (15 - row, 10)):  # halved, mirrored
        partner = ((torch.arange(SHAPE0[0])[:, None] + 1) * SHAPE1[1] + columns).reshape(1, -1)
        support = propagate(unit0, unit1, partner, SHAPE0, SHAPE1, 0).support
        assert float(support.reshape(SHAPE0)[6, 8]) == agreeing


def test_a_supported_match_is_not_sought_again() -> None:
    unit0, unit1, true = maps()
    cell = 6 * SHAPE0[1] + 8
    unit0[0, cell] = unit1[0, true[0, cell] + 1]  # it looks like what lies beside its partner
    found = propagate(unit0, unit1, true, SHAPE0, SHAPE1, 2)
    assert torch.equal(found.partner, true)


def test_who_follows_without_support_goes_back() -> None:
    unit0, unit1, true = (one[:, :48] for one in maps())  # three rows
    unit1, shape = maps()[1], (3, SHAPE0[1])
    block = torch.zeros(shape, dtype=torch.bool)
    block[:, :6] = True
    partner = torch.where(block.reshape(1, -1), true, -1)
    alone, empty = SHAPE0[1] + 6, 6  # beside the block
    partner[0, alone] = 279
    found = propagate(unit0, unit1, partner, shape, SHAPE1, 1)
    assert torch.equal(found.partner, partner)
    assert found.support[0, alone] == 0 and found.partner[0, empty] == -1


def test_images_of_a_batch_do_not_meet() -> None:
    one, two = maps(), maps(1)
    block = torch.zeros(SHAPE0, dtype=torch.bool)
    block[:6, :7] = True
    partners = [
        torch.where(block.reshape(1, -1), one[2], -1),
        torch.where(block.flip(0).flip(1).reshape(1, -1), two[2], -1),
    ]
    both = propagate(
        torch.cat((one[0], two[0])),
        torch.cat((one[1], two[1])),
        torch.cat(partners),
        SHAPE0,
        SHAPE1,
        2,
    )
    for number, (unit0, unit1, _) in enumerate((one, two)):
        alone = propagate(unit0, unit1, partners[number], SHAPE0, SHAPE1, 2)
        assert torch.equal(both.partner[number], alone.partner[0])
        assert torch.equal(both.support[number], alone.support[0])


@pytest.mark.parametrize("kind", ["dual_softmax", "sinkhorn"])
def test_matches_that_followed_have_the_figures_of_the_whole_table(kind: str) -> None:
    config = DenseConfig(assignment=kind, propagation_rounds=2)
    assignment = Assignment(config).eval()
    unit0, unit1, true = maps()
    draw = torch.Generator().manual_seed(3)
    # A quarter of the cells are seen badly: of those few find their partner by themselves.
    bad = torch.rand(unit0.shape[1], generator=draw) < 0.25
    noise = torch.randn(unit0[0].shape, generator=draw)
    cells0 = F.normalize(unit0[0] + 0.5 * bad[:, None] * noise, dim=1)
    cells0[-48:] = F.normalize(torch.randn(48, 8, generator=draw), dim=1)  # not in image 1 at all
    plain = assignment.matches(cells0, unit1[0])
    found = assignment.matches(cells0, unit1[0], (SHAPE0, SHAPE1))
    right = (found.cells1 == true[0, found.cells0]).sum()
    assert right > (plain.cells1 == true[0, plain.cells0]).sum() + 5
    table = assignment.distributions(cells0[None], unit1)
    expected = (table.rows + table.columns)[0][found.cells0, found.cells1]
    torch.testing.assert_close(found.log_probability, expected, atol=1e-3, rtol=1e-3)
    cosines = cells0 @ unit1[0].T
    torch.testing.assert_close(found.similarity, cosines[found.cells0, found.cells1])
    others = cosines[found.cells0].scatter(1, found.cells1[:, None], -2.0).amax(1)
    known = slice(None) if kind == "dual_softmax" else found.margin > 0  # else at most so much
    expected = found.similarity - others
    torch.testing.assert_close(found.margin[known], expected[known], atol=1e-4, rtol=1e-4)
    assert (found.margin < 0).any()  # who followed a neighbour, away from the most similar cell
    unsupported = found.cells0[found.support < 14]
    assert 0 < len(unsupported) < 48 and torch.isin(unsupported, plain.cells0).all()
    # As many rows whatever the images, for other programs.
    best, matched = assignment.best(cells0, unit1[0], 30, (SHAPE0, SHAPE1))
    expected_best = found.rows(found.rank().topk(30).indices)
    assert matched.all() and sorted(best.cells0.tolist()) == sorted(expected_best.cells0.tolist())
    torch.testing.assert_close(best.rank(), expected_best.rank(), atol=1e-3, rtol=1e-3)
    assert found.support[found.rank().argmax()] >= 40


@torch.inference_mode()
def test_those_that_are_refined_are_the_best_by_rank() -> None:
    torch.manual_seed(0)
    net = DenseMatcher(DenseConfig(patch_layers=0, cell_layers=0, propagation_rounds=2)).eval()
    picture = torch.rand(1, 1, 96, 160, generator=torch.Generator().manual_seed(0))
    first, second = net.features(picture[..., :128]), net.features(picture[..., 32:] * 0.8)
    coarse = net.coarse_matches(*net.graph.between(first.graph, second.graph))
    found = net.match(first, second, most=20).coarse
    best = coarse.rank().topk(20).indices
    assert sorted(found.cells0.tolist()) == sorted(coarse.cells0[best].tolist())
    by_similarity = coarse.similarity.topk(20).indices
    assert set(found.cells0.tolist()) != set(coarse.cells0[by_similarity].tolist())


def test_a_training_with_propagation_starts_from_a_head_without(tmp_path: Path) -> None:
    from msga_ros.network.dense.checkpoint import save_dense_checkpoint

    sizes = {"patch_layers": 0, "cell_layers": 0}
    old = DenseMatcher(DenseConfig(**sizes))  # type: ignore[arg-type]
    path = tmp_path / "old.safetensors"
    save_dense_checkpoint(path, old.config, old.state_dict(), {})
    new = DenseMatcher(DenseConfig(**sizes, propagation_rounds=2))  # type: ignore[arg-type]
    start_dense_from(new, path)
    seen = torch.randn(5, 11, generator=torch.Generator().manual_seed(0))
    with_support = F.pad(seen, (0, 1), value=3.0)
    torch.testing.assert_close(new.confidence(with_support), old.confidence(seen))
