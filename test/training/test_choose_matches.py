"""Which matches of a pair a training sample gets: filters, filling up, candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from shared_data import shared_path
from synthetic_dump import synthetic_pair

from msga_ros.datasets.dumps import DumpFile, Pair
from msga_ros.training.batches import BatchConfig
from msga_ros.training.padded_pairs import choose_matches, thinned
from msga_ros.training.synthetic_scenes.draws import Draws


def chosen_matches(
    pair: Pair,
    count: int,
    seed: int = 0,
    candidates: np.ndarray | None = None,
    filters: tuple[float, ...] = BatchConfig.filters,
    fill: bool = True,
) -> list[int]:
    """Indices of the matches of `pair` that are chosen, those that are padding left out."""
    evidence = torch.from_numpy(pair.evidence)[None]
    possible = np.ones(len(pair.correspondences), bool) if candidates is None else candidates
    draws = Draws(torch.Generator().manual_seed(seed))
    chosen, valid = choose_matches(
        evidence, torch.from_numpy(possible)[None], count, draws, filters, fill
    )
    assert chosen.shape == valid.shape == (1, count)
    return chosen[valid].tolist()


def test_a_filter_that_leaves_too_little_is_not_applied() -> None:
    pair = synthetic_pair(0, matches=200)
    only_mutual = (0, 1, 0, 0, 0)
    few = replace(pair, mutuals=np.arange(200) < 63)
    assert sorted(chosen_matches(few, 500, filters=only_mutual, fill=False)) == list(range(200))
    assert len(chosen_matches(few, 80, filters=only_mutual, fill=False)) == 80
    enough = replace(pair, mutuals=np.arange(200) < 64)
    assert sorted(chosen_matches(enough, 500, filters=only_mutual, fill=False)) == list(range(64))


@pytest.mark.parametrize(
    ("kind", "mutual", "below"),
    [(0, False, 2.0), (1, True, 2.0), (2, False, 0.95), (3, True, 0.95), (4, True, 0.9)],
)
def test_each_filter_leaves_what_passes_it(kind: int, mutual: bool, below: float) -> None:
    generator = np.random.default_rng(0)
    pair = replace(
        synthetic_pair(0, matches=400),
        ratios=generator.uniform(0.8, 1, 400).astype(np.float32),
        mutuals=generator.random(400) < 0.7,
    )
    filters = tuple(float(i == kind) for i in range(5))
    passing = np.flatnonzero((pair.mutuals | (not mutual)) & (pair.ratios < below))
    assert sorted(chosen_matches(pair, 400, filters=filters, fill=False)) == passing.tolist()
    some = chosen_matches(pair, 70, filters=filters, fill=True)
    assert set(some) <= set(passing.tolist()) and len(set(some)) == 70


def test_filling_up_takes_the_best_of_the_others_by_ratio() -> None:
    generator = np.random.default_rng(0)
    ratios = generator.permutation(np.linspace(0.3, 1, 200)).astype(np.float32)
    pair = replace(synthetic_pair(0, matches=200), ratios=ratios, mutuals=np.arange(200) % 4 == 0)
    chosen = chosen_matches(pair, 120, filters=(0, 1, 0, 0, 0))
    others = np.flatnonzero(~pair.mutuals)
    best = others[np.argsort(ratios[others])[:70]]
    assert sorted(chosen) == sorted([*np.flatnonzero(pair.mutuals), *best])


def test_chosen_matches_are_distinct_while_there_are_enough() -> None:
    with DumpFile(shared_path("data/train-3.h5")) as dump:
        pair = dump[0]
    shares = []
    for seed in range(20):
        chosen = chosen_matches(pair, 256, seed)
        assert len(set(chosen)) == 256
        shares.append(np.mean(pair.residual[chosen] < 1e-4))
    assert max(shares) > 1.5 * min(shares)  # prefilters of different strictness
    repeated = np.bincount(chosen_matches(pair, 5000))
    assert repeated.sum() == 5000 and set(repeated) <= {
        5000 // len(pair.ratios) + i for i in (0, 1)
    }


def test_matches_are_chosen_among_the_candidates_only() -> None:
    pair = synthetic_pair(0, matches=300)
    candidates = (np.arange(300) >= 100) & (np.arange(300) < 220)
    for fill in (True, False):
        for seed in range(5):
            chosen = chosen_matches(pair, 150, seed, candidates, fill=fill)
            assert chosen and set(chosen) <= set(np.flatnonzero(candidates).tolist())


def test_where_nothing_is_known_of_the_descriptors_all_matches_are_alike() -> None:
    evidence = torch.full((1, 100, 5), torch.nan)
    every = torch.ones(1, 100, dtype=torch.bool)
    draws = Draws(torch.Generator().manual_seed(0))
    for fill in (True, False):
        chosen, valid = choose_matches(evidence, every, 100, draws, (0, 0, 0, 0, 1), fill)
        assert bool(valid.all()) and sorted(chosen[0].tolist()) == list(range(100))


def test_thinning_takes_true_matches_alone_and_leaves_enough() -> None:
    generator = torch.Generator().manual_seed(0)
    right = torch.zeros(600, 200, dtype=torch.bool)
    right[:300, :100] = True
    right[300:, :17] = True
    candidates = torch.rand(600, 200, generator=generator) < 0.9
    left = thinned(right, candidates, 0.5, Draws(generator))
    assert not bool((left & ~candidates).any())
    assert torch.equal(left & ~right, candidates & ~right)
    before, after = (candidates & right).sum(1).double(), (left & right).sum(1).double()
    few = before <= 16
    assert bool(few.any()) and torch.equal(after[few], before[few])
    share = (after / before)[:300]
    assert 0.4 < float((share < 1).double().mean()) < 0.6
    assert float(share.min()) > 0.06 and float(share[share < 1].max()) > 0.9
    # Log-uniform: the middle of 1/20 and 1 is 0.22, which leaves 20 of 90.
    assert 0.15 < float(share[share < 1].median()) < 0.35
    assert torch.equal(thinned(right, candidates, 0.0, Draws(generator)), candidates)
