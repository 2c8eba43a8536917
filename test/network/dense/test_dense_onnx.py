"""`msga export` of the detector-free matcher: the file finds the same matches."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from msga_ros.cli import app
from msga_ros.network.checkpoint import find_weights
from msga_ros.network.dense.checkpoint import save_dense_checkpoint
from msga_ros.network.dense.net import DenseMatcher
from msga_ros.network.dense.onnx_check import difference_of_matches
from msga_ros.network.dense.onnx_export import export_dense_onnx
from msga_ros.network.onnx_export import OnnxExportError

CHANGES = {"levels": ["quarter", "full"], "alignment_steps": 1}  # quicker to export


def test_the_file_finds_the_same_matches(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    trained = DenseMatcher.load(find_weights("msga_dense"), CHANGES)
    config = replace(trained.config, patch_layers=1, cell_layers=0, neighbours=4)
    net = DenseMatcher(config).eval().requires_grad_(False)
    net.load_state_dict(trained.state_dict(), strict=False)
    torch.nn.init.normal_(net.graph.merge_patches.change.weight, std=0.1)  # it does something
    weights, path = tmp_path / "own.safetensors", tmp_path / "own.onnx"
    save_dense_checkpoint(weights, config, net.state_dict())
    command = ["export", str(weights), "-o", str(path), "--size", "128x96"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "100.00 % of torch's matches" in result.output
    share, farthest = difference_of_matches(net, path)
    assert share == 1.0 and farthest < 0.01
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert (metadata["width"], metadata["height"]) == ("128", "96")
    assert json.loads(metadata["config"])["neighbours"] == 4
    assert [entry.shape for entry in session.get_inputs()] == [[1, 1, 96, 128]] * 2
    # Another network does not find them: the comparison can fail.
    torch.nn.init.normal_(net.graph.merge_patches.change.weight, std=0.5)
    assert difference_of_matches(net, path)[0] < 0.9


def test_sinkhorn_is_exported_as_well(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    entries = {"patch_layers": 0, "assignment": "sinkhorn", "sinkhorn_iterations": 2, "levels": []}
    net = DenseMatcher.load(find_weights("msga_dense"), entries)
    path = tmp_path / "sinkhorn.onnx"
    export_dense_onnx(net, path, 128, 96)
    share, farthest = difference_of_matches(net, path)
    assert share == 1.0 and farthest < 0.01
    plain = DenseMatcher.load(find_weights("msga_dense"), {**entries, "assignment": "dual_softmax"})
    assert difference_of_matches(plain, path)[0] < 1.0  # its matches are others


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    net = DenseMatcher()
    with pytest.raises(OnnxExportError, match="multiples of 32, not 100 and 96"):
        export_dense_onnx(net, tmp_path / "x.onnx", 100, 96)
    command = ["export", "msga_dense", "-o", str(tmp_path / "x.onnx"), "--size", "large"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code != 0 and "--size must be like 640x480" in result.output
