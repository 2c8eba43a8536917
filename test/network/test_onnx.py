"""`msga export` and ONNX Runtime in the place of torch."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import warmed_net
from synthetic_dump import synthetic_pair, write_dump
from typer.testing import CliRunner
from verdicts import matches_of_a_scene

from msga_ros.cli import app
from msga_ros.datasets.dumps import Pair
from msga_ros.network import CheckpointError, MSGANet, MSGANetConfig, packaged_weights
from msga_ros.network.evidence import EVIDENCE
from msga_ros.network.inference import Inference, load_network
from msga_ros.network.match_scores import MatchScores
from msga_ros.network.onnx_export import export_onnx
from msga_ros.two_view.pipeline import TwoViewPipeline

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

PLAIN = MSGANetConfig(channels=16, residual_blocks=1, grid=4, msformer_layers=1)
RICH = dataclasses.replace(PLAIN, evidence=True, residual_input=True, hartley=True)


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged small network, exported by the command."""
    path = tmp_path_factory.mktemp("onnx") / "lite.onnx"
    result = CliRunner().invoke(app, ["export", "msga_net_lite", "-o", str(path)])
    assert result.exit_code == 0, result.output
    assert "of torch" in result.output
    return path


def judged(network: Inference, pair: Pair, valid: np.ndarray | None = None) -> MatchScores:
    everyone = np.ones(len(pair.correspondences), dtype=bool)
    return network(pair.correspondences, everyone if valid is None else valid, pair.evidence)


def assert_alike(one: MatchScores, other: MatchScores, valid: np.ndarray) -> None:
    sign = np.sign((one.essential * other.essential).sum())
    np.testing.assert_allclose(one.essential, sign * other.essential, atol=1e-4)
    np.testing.assert_allclose(one.score[valid], other.score[valid], atol=2e-3)
    assert (one.score[~valid] == -np.inf).all() and (other.score[~valid] == -np.inf).all()
    assert (one.residual[~valid] == np.inf).all() and (other.residual[~valid] == np.inf).all()
    close = np.isclose(one.residual[valid], other.residual[valid], rtol=0.02, atol=1e-7)
    assert close.mean() > 0.99


@pytest.mark.parametrize("count", [33, 150, 705])
def test_the_packaged_network_is_the_same_in_both(lite: Path, count: int) -> None:
    """Whatever number of matches it was traced with, and with a third of them masked.

    In these scenes no two neighbours are equally near: rounding would pick one.
    """
    pair = synthetic_pair(count, count)
    valid = np.arange(count) % 3 > 0 if count > 100 else np.ones(count, dtype=bool)
    by_torch = Inference(MSGANet.load(packaged_weights("msga_net_lite")), "cpu")
    by_onnx = Inference(load_network(lite), "cpu")
    assert by_onnx.device == torch.device("cpu") and by_onnx.verifies
    assert_alike(judged(by_torch, pair, valid), judged(by_onnx, pair, valid), valid)


@pytest.mark.parametrize("config", [PLAIN, RICH], ids=["plain", "rich"])
def test_every_structure_can_be_exported(config: MSGANetConfig, tmp_path: Path) -> None:
    """Random weights; without evidence the graph has no such input."""
    torch.manual_seed(1)
    net = MSGANet(config).eval().fold()
    export_onnx(net, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(
        str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"]
    )
    names = [entry.name for entry in session.get_inputs()]
    assert names == ["correspondences", "evidence"][: 1 + bool(config.evidence)]
    pair = synthetic_pair(5, 90)
    by_torch, by_onnx = Inference(net, "cpu"), Inference(load_network(tmp_path / "net.onnx"), "cpu")
    everyone = np.ones(90, dtype=bool)
    assert_alike(judged(by_torch, pair), judged(by_onnx, pair), everyone)
    unknown = np.tile(np.float32([1, 0]), (90, 1))
    without = by_onnx(pair.correspondences, everyone, None)
    np.testing.assert_array_equal(
        without.score, by_onnx(pair.correspondences, everyone, unknown).score
    )


def test_a_file_without_double_precision_says_the_same(tmp_path: Path) -> None:
    """With the trained weights; the solution is less exact where matches hardly determine it."""
    path = tmp_path / "single.onnx"
    result = CliRunner().invoke(app, ["export", "msga_net_lite", "-o", str(path), "--float32"])
    assert result.exit_code == 0, result.output
    graph, double = onnx.load(path).graph, onnx.TensorProto.DOUBLE
    kinds = {entry.data_type for entry in graph.initializer}
    kinds |= {entry.type.tensor_type.elem_type for entry in graph.value_info}
    kinds |= {a.i for node in graph.node for a in node.attribute if a.name in ("to", "dtype")}
    assert onnx.TensorProto.FLOAT in kinds and double not in kinds
    by_torch = Inference(MSGANet.load(packaged_weights("msga_net_lite")), "cpu")
    single = Inference(load_network(path), "cpu")
    for seed in range(5):
        scene = matches_of_a_scene(400, seed)
        call = (scene.correspondences, scene.everyone, scene.evidence)
        found, expected = single(*call), by_torch(*call)
        np.testing.assert_allclose(found.score, expected.score, atol=2e-3)
        sign = np.sign((found.essential * expected.essential).sum())
        np.testing.assert_allclose(found.essential, sign * expected.essential, atol=1e-2)


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (("rotation",), "ratio,mutual,rotation"),
        (EVIDENCE, ",".join(EVIDENCE)),
    ],
)
def test_the_file_names_the_evidence_that_it_takes(
    names: tuple[str, ...], columns: str, tmp_path: Path
) -> None:
    """And takes more columns or fewer, as torch does."""
    net = warmed_net(dataclasses.replace(PLAIN, evidence=names)).fold()
    path = tmp_path / "net.onnx"
    export_onnx(net, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["evidence"] == columns
    assert session.get_inputs()[1].shape[2] == len(columns.split(","))
    by_torch, by_onnx = Inference(net, "cpu"), Inference(load_network(path), "cpu")
    matches, everyone = synthetic_pair(5, 90).correspondences, np.ones(90, dtype=bool)
    table = np.random.default_rng(0).random((90, 5)).astype(np.float32)
    table[::4, 2:] = np.nan
    scores = []
    for width in (5, 3, 2, None):
        told = None if width is None else table[:, :width]
        one, other = (network(matches, everyone, told) for network in (by_torch, by_onnx))
        assert_alike(one, other, everyone)
        scores.append(other.score)
    assert np.allclose(scores[0], scores[2]) == set(names).issubset(EVIDENCE[:2])
    assert np.allclose(scores[2], scores[3]) == set(names).isdisjoint(EVIDENCE[:2])


def test_a_file_without_evidence_says_so(tmp_path: Path) -> None:
    export_onnx(warmed_net(PLAIN).fold(), tmp_path / "net.onnx")
    facts = {entry.key: entry.value for entry in onnx.load(tmp_path / "net.onnx").metadata_props}
    assert facts["evidence"] == ""


@pytest.mark.parametrize("count", [0, 1, 7])
def test_too_few_matches_are_no_solution(lite: Path, count: int) -> None:
    network = Inference(load_network(lite), "cpu")
    few = network(np.zeros((count, 4)), np.ones(count, dtype=bool), np.ones((count, 2)))
    assert np.isnan(few.essential).all()
    assert (few.residual == np.inf).all() and (few.score == -np.inf).all()


def test_the_file_tells_what_it_is_and_nothing_of_the_machine(lite: Path) -> None:
    model = onnx.load(lite)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["format"] == "msga_net-1" and int(facts["min_matches"]) >= 8
    assert '"channels": 48' in facts["config"]
    assert not list(lite.parent.glob("*.tmp*"))
    assert str(Path(__file__).resolve().parents[2]).encode() not in lite.read_bytes()
    assert b"/msga_ros/" not in lite.read_bytes()


def test_pipeline_and_evaluation_take_the_file(lite: Path, tmp_path: Path) -> None:
    pipe = TwoViewPipeline.from_config(**{"network.weights": str(lite), "network.device": "cpu"})
    pipe.warm_up((160, 120))
    dump = write_dump(tmp_path / "d.h5", [synthetic_pair(seed) for seed in range(3)])
    rows = CliRunner().invoke(
        app,
        [
            *("eval", str(dump), "-w", str(lite), "-w", "msga_net_lite", "-e", "msga+poselib"),
            *("--json", str(tmp_path / "rows.json")),
        ],
    )
    assert rows.exit_code == 0, rows.output
    one, other = json.loads((tmp_path / "rows.json").read_text())
    assert one["weights"].endswith("lite.onnx")
    assert one["auc5"] == pytest.approx(other["auc5"], abs=1.0)


def inside_an_attribute(model: onnx.ModelProto) -> None:
    graph = onnx.GraphProto(name="branch", initializer=[model.graph.initializer[0]])
    model.graph.initializer.pop(0)
    node = model.graph.node.add(op_type="If", input=["never"], output=["never"])
    node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH, g=graph)


@pytest.mark.parametrize("place", ["initializer", "attribute"])
def test_tensors_in_other_files_are_refused(lite: Path, tmp_path: Path, place: str) -> None:
    model = onnx.load(lite)
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, "/etc/hostname")
    tensor.ClearField("raw_data")
    if place == "attribute":
        inside_an_attribute(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match=r"model\.onnx: its tensors are in other files"):
        load_network(path)


def test_files_that_are_no_network(lite: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        load_network(tmp_path / "none.onnx")
    (tmp_path / "junk.onnx").write_bytes(b"not a model")
    with pytest.raises(CheckpointError, match=r"junk\.onnx"):
        load_network(tmp_path / "junk.onnx")
    foreign = onnx.load(lite)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    with pytest.raises(CheckpointError, match="not an ONNX file of msga export"):
        load_network(tmp_path / "foreign.onnx")
    onnx.helper.set_model_props(foreign, {"format": "dense_net-1"})
    onnx.save(foreign, tmp_path / "dense.onnx")
    with pytest.raises(CheckpointError, match="'dense_net-1': not of the architecture 'msga_net'"):
        load_network(tmp_path / "dense.onnx")


def test_a_gpu_that_onnx_runtime_cannot_use_is_one_warning_and_the_cpu(
    lite: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with caplog.at_level(logging.WARNING):
        network = Inference(load_network(lite), "auto")
    assert network.device == torch.device("cpu")
    assert "onnxruntime-gpu" in network.problem and "CPU" in network.problem
    assert np.isfinite(judged(network, synthetic_pair(2)).essential).all()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["msga_net_lite", "-o", "model.pt"], "must end in .onnx"),
        (["msga_nut", "-o", "model.onnx"], "no weights 'msga_nut'"),
        (["msga_net_lite", "-o", "nowhere/model.onnx"], "nowhere"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["export", *arguments])
    assert result.exit_code == 2 and complaint in result.output
    assert not list(tmp_path.iterdir())
