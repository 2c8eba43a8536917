"""What descriptors and keypoints say, as inputs: the unknown, the order, old files."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_networks import SMALL, random_matches, warmed_net

from msga_ros.network import MSGANet, MSGANetConfig, save_checkpoint
from msga_ros.network.evidence import EVIDENCE, evidence_inputs, input_names
from msga_ros.network.net import module_inputs

KNOWN = torch.tensor([0.25, 1.0, 0.5, -1.5, 0.125])
ALL = dataclasses.replace(SMALL, evidence=EVIDENCE)


@pytest.mark.parametrize("name", EVIDENCE)
def test_the_unknown_is_zeros_and_nothing_known_is(name: str) -> None:
    unknown = evidence_inputs([name], torch.full((1, 3, 5), torch.nan))
    assert torch.equal(unknown, torch.zeros(1, 3, len(input_names([name]))))
    angles = torch.linspace(-math.pi, math.pi, 101)
    values = {
        "rotation": angles,
        "log_scale": torch.linspace(-8, 8, 101),
        "mutual": torch.ones(101),
    }
    known = torch.full((101, 5), torch.nan)
    # A ratio or a distance of 1 says that the descriptors are no help, which is nothing known.
    known[:, EVIDENCE.index(name)] = values.get(name, torch.linspace(0, 0.99, 101))
    encoded = evidence_inputs([name], known)
    assert float(encoded.abs().amax(1).min()) > 0
    assert float(encoded.abs().max()) <= 2  # in the range of the other inputs


def test_what_each_entry_becomes() -> None:
    encoded = dict(
        zip(input_names(EVIDENCE), evidence_inputs(EVIDENCE, KNOWN).tolist(), strict=True)
    )
    assert encoded == pytest.approx(
        {
            "ratio.closeness": 0.75,
            "mutual.flag": 1.0,
            "rotation.sine": math.sin(0.5),
            "rotation.cosine": math.cos(0.5),
            "log_scale.value": -0.75,
            "log_scale.known": 1.0,
            "distance.closeness": 0.875,
        }
    )


def test_a_rotation_is_one_whatever_turns_it_is_counted_in() -> None:
    once, twice = (evidence_inputs(["rotation"], KNOWN + turn) for turn in (0.0, 2 * math.pi))
    assert torch.allclose(once, twice, atol=1e-6)


def test_changes_of_scale_beyond_sense_are_bounded() -> None:
    wild = KNOWN.clone()
    wild[3] = torch.inf
    assert evidence_inputs(["log_scale"], wild).tolist() == [2.0, 1.0]


def test_only_the_named_entries_in_their_order() -> None:
    whole = evidence_inputs(EVIDENCE, KNOWN)
    assert torch.equal(evidence_inputs(("ratio", "log_scale"), KNOWN), whole[[0, 4, 5]])
    assert input_names(("ratio", "log_scale")) == [
        "ratio.closeness",
        "log_scale.value",
        "log_scale.known",
    ]


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_columns_that_a_table_has_not_are_known_of_no_match(columns: int) -> None:
    table = torch.rand(1, 80, 5, generator=torch.Generator().manual_seed(0))
    cut = table.clone()
    cut[..., columns:] = torch.nan
    assert torch.equal(
        evidence_inputs(EVIDENCE, table[..., :columns]), evidence_inputs(EVIDENCE, cut)
    )
    net, matches = warmed_net(ALL), random_matches(1, 80)
    with torch.no_grad():
        short, filled, none = (
            net(matches, None, table[..., :columns]),
            net(matches, None, cut),
            net(matches),
        )
    assert torch.equal(short.logits[1], filled.logits[1])
    assert not torch.equal(short.logits[1], none.logits[1])


def test_each_entry_counts_where_it_is_named() -> None:
    table = torch.rand(1, 80, 5, generator=torch.Generator().manual_seed(0))
    matches = random_matches(1, 80)
    for names in (EVIDENCE, ("ratio", "mutual", "log_scale"), ("rotation",)):
        net = warmed_net(dataclasses.replace(SMALL, evidence=names))
        with torch.no_grad():
            before = net(matches, None, table).logits[1]
            for column, name in enumerate(EVIDENCE):
                other = table.clone()
                other[..., column] = torch.nan
                same = torch.equal(net(matches, None, other).logits[1], before)
                assert same == (name not in names), name


@pytest.mark.parametrize("columns", [0, 1, 6])
def test_a_table_of_another_width_is_refused(columns: int) -> None:
    with pytest.raises(ValueError, match="evidence must be"):
        warmed_net(ALL)(random_matches(1, 80), None, torch.zeros(1, 80, columns))


@pytest.mark.parametrize(
    "wrong",
    [("mutual", "ratio"), ("ratio", "ratio"), ("ratio", "colour"), ("ratio", 3), "ratio"],
)
def test_names_in_another_order_or_unknown_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="evidence must be some of ratio, mutual"):
        MSGANetConfig(evidence=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("old", [True, False])
def test_checkpoints_of_before_say_yes_or_no(old: bool, tmp_path: Path) -> None:
    """Yes is ratio and mutual."""
    net = MSGANet(dataclasses.replace(SMALL, evidence=old))
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, net.config, net.state_dict())
    with safe_open(str(path), "pt") as file:
        metadata = dict(file.metadata())
    structure = json.loads(metadata["config"])
    assert structure["evidence"] == (["ratio", "mutual"] if old else [])
    metadata["config"] = json.dumps({**structure, "evidence": old})
    save_file(load_file(path), str(path), metadata=metadata)
    assert MSGANet.load(path).config == net.config
    assert net.config.evidence_names == (("ratio", "mutual") if old else ())


@pytest.mark.parametrize("names", [("ratio",), ("ratio", "log_scale"), EVIDENCE])
def test_a_checkpoint_says_what_it_wants_to_know(names: tuple[str, ...], tmp_path: Path) -> None:
    net = warmed_net(dataclasses.replace(SMALL, evidence=names))
    save_checkpoint(tmp_path / "net.safetensors", net.config, net.state_dict())
    loaded = MSGANet.load(tmp_path / "net.safetensors", fold=False)
    assert loaded.config == net.config and hash(loaded.config) == hash(net.config)
    matches, table = random_matches(1, 80), torch.rand(1, 80, 5)
    with torch.no_grad():
        assert torch.equal(
            loaded(matches, None, table).logits[1], net(matches, None, table).logits[1]
        )


def test_inputs_of_both_modules_have_the_names_and_the_order_of_the_weights() -> None:
    config = dataclasses.replace(ALL, residual_input=True)
    net, (first, second) = MSGANet(config), module_inputs(config)
    assert net.sieve0.embed.in_features == len(first)
    assert net.sieve1.embed.in_features == len(second)
    assert first[:4] == second[:4] == ["x0", "y0", "x1", "y1"]
    assert second[4:6] == ["score0", "score1"] and second[-1] == "agreement"
    assert first[4:] == second[6:-1] == input_names(EVIDENCE)
    assert module_inputs(SMALL) == (first[:4], second[:6])
