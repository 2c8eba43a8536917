"""Checkpoints and ONNX files from elsewhere: bounded before anything is built, one line each."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_networks import SMALL

from msga_ros.network import MSGANet, MSGANetConfig
from msga_ros.network.checkpoint import FORMAT, CheckpointError, save_checkpoint

ENTRIES = dataclasses.asdict(SMALL)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    save_checkpoint(path, SMALL, MSGANet(SMALL).state_dict())
    return path


def with_structure(ours: Path, folder: Path, text: str) -> Path:
    path = folder / "foreign.safetensors"
    save_file(load_file(ours), str(path), metadata={"format": FORMAT, "config": text})
    return path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("residual_blocks", 10_000_000),
        ("residual_blocks", -1),
        ("msformer_layers", 10**9),
        ("channels", 2**40),
        ("channels", 16.0),
        ("channels", "16"),
        ("grid", 10**6),
        ("grid", True),
        ("heads", 0),
        ("heads", -4),
        ("heads", None),
        ("keep", 1e-12),
        ("keep", 1.0),
        ("keep", float("nan")),
        ("keep", "0.5"),
        ("neighbours", [9, 3 * 10**9]),
        ("neighbours", [9, 6.0]),
        ("neighbours", [9]),
        ("neighbours", 9),
        ("gate", "x" * 100_000),
        ("verification", "no"),
        ("evidence", ["ratio"] * 10_000),
        ("evidence", 7),
        ("unknown", 1),
    ],
)
def test_a_structure_is_refused_before_it_is_built(
    name: str,
    value: object,
    ours: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = with_structure(ours, tmp_path, json.dumps({**ENTRIES, name: value}))

    def build(*_: object) -> None:
        raise AssertionError("built")

    monkeypatch.setattr(MSGANet, "__init__", build)
    with pytest.raises(CheckpointError, match="its structure is not readable") as caught:
        MSGANet.load(path)
    assert len(str(caught.value)) < 400 + len(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "[]", "7", "null", '{"neighbours": {}}', ""])
def test_metadata_that_are_no_structure(text: str, ours: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="its structure is not readable"):
        MSGANet.load(with_structure(ours, tmp_path, text))


def test_the_largest_structures_that_are_used_are_allowed() -> None:
    MSGANetConfig()
    MSGANetConfig(channels=512, heads=8, grid=32, residual_blocks=8, msformer_layers=8)


def test_a_tensor_that_claims_more_than_its_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "views.pth"
    huge = torch.zeros(1).expand(2**40, 1, 1, 9)
    torch.save({"state_dict": {"ds_0.conv.0.weight": huge}}, path)
    assert path.stat().st_size < 10_000
    with pytest.raises(CheckpointError, match="more than there are in the file"):
        MSGANet.load(path)


def test_names_from_a_file_do_not_flood_the_message(ours: Path, tmp_path: Path) -> None:
    state = {**load_file(ours), "x" * 100_000: torch.zeros(1)}
    path = tmp_path / "named.safetensors"
    save_file(state, str(path), metadata={"format": FORMAT, "config": json.dumps(ENTRIES)})
    with pytest.raises(CheckpointError, match="unknown xxx") as caught:
        MSGANet.load(path)
    assert len(str(caught.value)) < 600 + len(str(path))
    save_file(load_file(ours), str(path), metadata={"format": "y" * 100_000})
    with pytest.raises(CheckpointError, match="format 'yyy") as caught:
        MSGANet.load(path)
    assert len(str(caught.value)) < 600 + len(str(path))


@pytest.mark.parametrize(
    "change",
    [
        {"min_matches": None},
        {"min_matches": "many"},
        {"min_matches": "-1"},
        {"min_matches": "9" * 30},
        {"config": None},
        {"config": "[" * 100_000},
        {"config": "[]"},
        {"config": "{}"},
    ],
)
def test_metadata_of_onnx_files(change: dict[str, str | None], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    from msga_ros.network.onnx_network import OnnxNetwork

    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    names = ("essential", "residual", "score")
    graph = helper.make_graph(
        [helper.make_node("Identity", ["correspondences"], [name]) for name in names],
        "graph",
        [helper.make_tensor_value_info("correspondences", kind, [1, None, 4])],
        [helper.make_tensor_value_info(name, kind, None) for name in names],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    known = {"format": FORMAT, "config": '{"verification": true}', "min_matches": "32"}
    path = tmp_path / "net.onnx"
    helper.set_model_props(model, known)
    onnx.save(model, str(path))
    assert OnnxNetwork.load(path).verifies
    del model.metadata_props[:]
    changed = {name: value for name, value in {**known, **change}.items() if value is not None}
    helper.set_model_props(model, changed)
    onnx.save(model, str(path))
    with pytest.raises(CheckpointError, match=r"net\.onnx: its metadata are not readable"):
        OnnxNetwork.load(path)
