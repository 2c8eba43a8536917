"""What must hold of the network whatever its weights: order, padding, size, batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_networks import SMALL, STRUCTURES, random_matches, up_to_sign, warmed_net
from torch import Tensor

from msga_ros.network import MSGANet, MSGANetConfig, MSGANetResult
from msga_ros.network.sieving import Sieved


@pytest.fixture(scope="module", params=STRUCTURES.values(), ids=STRUCTURES.keys())
def net(request: pytest.FixtureRequest) -> MSGANet:
    return warmed_net(request.param)


def test_shapes_and_ranges(net: MSGANet) -> None:
    with torch.no_grad():
        result = net(random_matches(2, 100))
    assert [tuple(x.shape) for x in result.logits] == [(2, 100)] * 2 + [(2, 50)] * 2 + [(2, 25)]
    assert [tuple(x.shape) for x in result.kept] == [(2, 50), (2, 25)]
    assert torch.allclose(result.essential.flatten(1).norm(dim=1), torch.ones(2))
    assert torch.allclose(result.weights.sum(1), torch.ones(2))
    assert bool(((result.inlier_probability >= 0) & (result.inlier_probability <= 1)).all())
    at_threshold = result.residual < 1e-4
    assert torch.equal(at_threshold, result.inlier_probability > 0.5)


def test_kept_are_the_best_scored_of_the_input(net: MSGANet) -> None:
    with torch.no_grad():
        result = net(random_matches(1, 100))
    best = result.logits[1][0].topk(50).indices
    assert torch.equal(result.kept[0][0], best)
    assert torch.equal(result.kept[1][0], best[result.logits[3][0].topk(25).indices])


def test_the_essential_matrix_is_that_of_the_kept_matches(net: MSGANet) -> None:
    from msga_ros.geometry.eight_point import weighted_eight_point

    matches = random_matches(1, 100)
    with torch.no_grad():
        result = net(matches)
        again = weighted_eight_point(
            matches[:, result.kept[1][0]], result.weights, net.config.hartley
        )
    assert up_to_sign(result.essential, again) < 1e-5


def test_order_of_the_matches_does_not_matter(net: MSGANet) -> None:
    matches = random_matches(1, 120)
    order = torch.randperm(120, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        straight, shuffled = net(matches), net(matches[:, order])
    assert up_to_sign(straight.essential, shuffled.essential) < 1e-4
    assert torch.allclose(
        straight.residual[:, order].sqrt(), shuffled.residual.sqrt(), rtol=1e-2, atol=1e-4
    )
    assert set(order[shuffled.kept[1][0]].tolist()) == set(straight.kept[1][0].tolist())


@pytest.mark.parametrize("one_by_one", [True, False])
def test_a_padded_batch_gives_each_sample_what_it_gets_alone(
    net: MSGANet, one_by_one: bool
) -> None:
    counts = [90, 64, 33]
    matches = random_matches(3, 90)
    valid = torch.arange(90) < torch.tensor(counts)[:, None]
    # Padding anywhere, not only at the end, and with anything in it.
    order = torch.randperm(90, generator=torch.Generator().manual_seed(3))
    matches, valid = matches[:, order], valid[:, order]
    filled = torch.where(valid.unsqueeze(-1), matches, torch.nan)
    with torch.no_grad():
        together = net(filled, valid) if one_by_one else masked_batch(net, matches, valid)
        for i, count in enumerate(counts):
            alone = net(matches[i : i + 1, valid[i]])
            assert alone.essential.shape == (1, 3, 3)
            assert up_to_sign(alone.essential[0], together.essential[i]) < 1e-4
            rows = valid[i].nonzero().flatten()
            assert torch.equal(
                rows[alone.kept[1][0]].sort().values,
                together.kept[1][i, : count // 4].sort().values,
            )
            assert torch.allclose(
                alone.logits[4][0], together.logits[4][i, : count // 4], rtol=1e-3, atol=1e-3
            )
            assert bool((together.kept[1][i, int(int(count / 2) / 2) :] == -1).all())
            assert bool(torch.isinf(together.residual[i, ~valid[i]]).all())
            assert bool((together.inlier_probability[i, ~valid[i]] == 0).all())


def masked_batch(net: MSGANet, matches: Tensor, valid: Tensor) -> MSGANetResult:
    """The way of a GPU: one masked batch instead of sample by sample."""
    inputs = net._inputs(matches, None)
    return net._forward(torch.where(valid.unsqueeze(-1), inputs, 0.0), valid)


@pytest.mark.parametrize("count", range(0, 40))
def test_any_number_of_matches_has_a_stated_result(net: MSGANet, count: int) -> None:
    with torch.no_grad():
        result = net(random_matches(2, count))
    assert result.residual.shape == (2, count)
    enough = count >= net.min_matches
    assert result.sufficient.tolist() == [enough] * 2
    assert bool(torch.isfinite(result.essential).all()) == enough
    if not enough:
        assert bool(torch.isnan(result.essential).all())
        assert bool(torch.isinf(result.residual).all())
        assert bool((result.inlier_probability == 0).all())


def test_too_few_is_fewer_than_eight_after_both_sieves(net: MSGANet) -> None:
    assert net.min_matches == 32


def test_a_sample_of_too_few_does_not_touch_its_neighbours(net: MSGANet) -> None:
    matches = random_matches(3, 80)
    valid = torch.ones(3, 80, dtype=torch.bool)
    valid[1, 5:] = False
    valid[2] = False
    with torch.no_grad():
        result = net(matches, valid)
        alone = net(matches[:1])
    assert result.sufficient.tolist() == [True, False, False]
    assert up_to_sign(result.essential[0], alone.essential[0]) < 1e-5
    assert bool(torch.isnan(result.essential[1:]).all())


def test_an_empty_batch(net: MSGANet) -> None:
    result = net(torch.zeros(0, 100, 4))
    assert result.essential.shape == (0, 3, 3)


def test_folded_equals_unfolded() -> None:
    net = warmed_net()
    matches = random_matches(2, 100)
    with torch.no_grad():
        before = net(matches)
        after = net.fold()(matches)
    for one, other in zip(before.logits[:2], after.logits[:2], strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-3)
    assert up_to_sign(before.essential, after.essential) < 1e-3


def test_a_folded_network_refuses_to_train() -> None:
    with pytest.raises(RuntimeError, match="folded"):
        warmed_net().fold().train()


def test_with_and_without_gradient_give_the_same(net: MSGANet) -> None:
    matches = random_matches(1, 100)
    recorded = net(matches)
    with torch.no_grad():
        plain = net(matches)
    assert torch.allclose(recorded.logits[0], plain.logits[0], atol=1e-4)
    assert up_to_sign(recorded.essential.detach(), plain.essential) < 1e-4


def test_training_gives_every_weight_a_finite_gradient() -> None:
    net = warmed_net().train()
    result = net(random_matches(3, 96))
    (
        sum(x.square().mean() for x in result.logits) + result.residual.clamp(max=0.1).mean()
    ).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name


def test_a_batch_of_one_trains() -> None:
    net = warmed_net().train()
    net(random_matches(1, 64)).logits[0].mean().backward()


def test_huge_scores_do_not_overflow() -> None:
    net = warmed_net()
    with torch.no_grad():
        net.weigh_head.weight.mul_(1e4)
        result = net(random_matches(1, 64))
    assert bool(torch.isfinite(result.essential).all())


@pytest.mark.parametrize(
    ("matches", "valid", "message"),
    [
        (torch.zeros(10, 4), None, r"\(B, N, 4\)"),
        (torch.zeros(1, 10, 5), None, r"\(B, N, 4\)"),
        (torch.zeros(1, 10, 4, dtype=torch.long), None, "floating"),
        (torch.zeros(1, 10, 4), torch.ones(1, 10), "bool"),
        (torch.zeros(1, 10, 4), torch.ones(1, 9, dtype=torch.bool), "shape"),
    ],
)
def test_wrong_input_is_a_clear_error(
    net: MSGANet, matches: Tensor, valid: Tensor | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        net(matches, valid)


@pytest.mark.parametrize(
    "config",
    [
        MSGANetConfig(channels=16, grid=8, msformer_layers=0, residual_blocks=0),
        MSGANetConfig(channels=8, neighbours=(6, 3), heads=2, grid=3, msformer_layers=2),
    ],
)
def test_other_structures_work(config: MSGANetConfig) -> None:
    net = warmed_net(config)
    with torch.no_grad():
        assert bool(torch.isfinite(net(random_matches(1, 80)).essential).all())


@pytest.mark.parametrize(
    "wrong", [{"channels": 30}, {"neighbours": (9, 5)}, {"keep": 1.0}, {"grid": 0}, {"gate": "x"}]
)
def test_impossible_structures_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be|must not"):
        MSGANetConfig(**wrong)  # type: ignore[arg-type]


def test_evidence_counts_where_the_structure_has_it() -> None:
    matches, evidence = random_matches(1, 80), torch.rand(1, 80, 2)
    nothing = torch.tensor([1.0, 0.0]).expand(1, 80, 2)
    for name, net in ((name, warmed_net(config)) for name, config in STRUCTURES.items()):
        with torch.no_grad():
            plain, unknown = net(matches), net(matches, evidence=nothing)
            told = net(matches, evidence=evidence)
        assert torch.equal(plain.logits[0], unknown.logits[0])
        assert torch.equal(plain.logits[0], told.logits[0]) == (name != "ours")
    with pytest.raises(ValueError, match="evidence must be"):
        warmed_net(STRUCTURES["ours"])(matches, evidence=evidence[:, :7])


def test_agreement_tells_the_second_module_which_matches_fit() -> None:
    """With scores that are right, right matches agree with the first solution, wrong ones not."""
    net = warmed_net(STRUCTURES["ours"])
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(1, 100, 3, generator=generator) * 2 + torch.tensor([-1.0, -1.0, 3.0])
    moved = points + torch.tensor([0.5, 0.1, 0.2])
    matches = torch.cat((points[..., :2] / points[..., 2:], moved[..., :2] / moved[..., 2:]), -1)
    wrong = torch.arange(100) % 2 == 1
    matches[:, wrong] = random_matches(1, 50)
    scores = torch.where(wrong, -20.0, 20.0)[None]
    everyone = torch.arange(100)[None]
    first = Sieved(scores, scores, everyone, None, torch.zeros(1, 100, 4))
    agreement = net._agreement(matches, first, None)[0, :, 0]
    assert float(agreement[~wrong].min()) == 1.0
    assert float(agreement[wrong].median()) < 0.0


def test_without_verification_what_was_dropped_stays_dropped() -> None:
    net = warmed_net(replace(SMALL, verification=False))
    matches = random_matches(2, 90)
    valid = torch.arange(90) < torch.tensor([[90], [61]])
    with torch.no_grad():
        for result in (net(matches, valid), masked_batch(net, matches, valid)):
            for sample, kept in enumerate(result.kept[1]):
                looked_at = torch.isfinite(result.residual[sample]).nonzero().flatten()
                assert set(looked_at.tolist()) == set(kept[kept >= 0].tolist())
