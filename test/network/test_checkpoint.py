"""Reading and refusing checkpoints."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from shared_data import shared_path

from msga_ros.network import (
    CheckpointError,
    MSGANet,
    MSGANetConfig,
    find_weights,
    packaged_weights,
    save_checkpoint,
)
from msga_ros.network.checkpoint import read_checkpoint
from msga_ros.network.inference import load_network

SMALL = MSGANetConfig(channels=16, residual_blocks=1, grid=4, msformer_layers=1)
MATCHES = torch.rand(1, 64, 4, generator=torch.Generator().manual_seed(0)) - 0.5


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, SMALL, MSGANet(SMALL).state_dict(), {"note": "random"})
    return path


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    file = np.load(shared_path("golden/msga_net_parity.npz"))
    return {
        name.removeprefix("state/"): torch.from_numpy(file[name])
        for name in file.files
        if name.startswith("state/")
    }


def test_ours_round_trip(ours: Path) -> None:
    config, state = read_checkpoint(ours, MSGANet)
    assert config == SMALL
    torch.manual_seed(0)
    original = MSGANet(SMALL).eval()
    assert all(torch.equal(state[n], v) for n, v in original.state_dict().items() if n in state)
    with torch.no_grad():
        loaded = MSGANet.load(ours, fold=False)(MATCHES)
        assert torch.equal(original(MATCHES).logits[0], loaded.logits[0])


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_published_file(
    published: dict[str, torch.Tensor], tmp_path: Path, nested: bool, prefix: str
) -> None:
    state = {prefix + name: value for name, value in published.items()}
    torch.save({"state_dict": state, "epoch": 3} if nested else state, tmp_path / "net.pth")
    with torch.no_grad():
        from_file = MSGANet.load(tmp_path / "net.pth")(MATCHES)
        from_mapping = MSGANet.load(published)(MATCHES)
    assert torch.equal(from_file.residual, from_mapping.residual)


def test_a_file_that_runs_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (mark,))  # type: ignore[return-value]

    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"state_dict": Evil()}, protocol=2))
    with pytest.raises(CheckpointError, match=r"evil\.pth"):
        MSGANet.load(path)
    assert not mark.exists()


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        MSGANet.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_garbage_and_truncation(ours: Path, tmp_path: Path, suffix: str) -> None:
    for content in (b"", b"garbage", ours.read_bytes()[:1000]):
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="broken"):
            MSGANet.load(path)


def test_missing_unknown_misshapen_and_infinite_entries_are_named(ours: Path) -> None:
    def attempt(change: str) -> None:
        state = load_file(ours)
        if change == "missing":
            del state["weigh_head.bias"]
        elif change == "unknown":
            state["surplus"] = torch.zeros(1)
        elif change == "shape":
            state["weigh_head.bias"] = torch.zeros(3)
        else:
            state["weigh_head.bias"] = torch.tensor([0.0, torch.nan])
        from safetensors import safe_open

        with safe_open(str(ours), "pt") as file:
            metadata = file.metadata()
        target = ours.with_name("changed.safetensors")
        save_file(state, str(target), metadata=metadata)
        MSGANet.load(target)

    with pytest.raises(CheckpointError, match=r"missing weigh_head\.bias"):
        attempt("missing")
    with pytest.raises(CheckpointError, match="unknown surplus"):
        attempt("unknown")
    with pytest.raises(CheckpointError, match=r"weigh_head\.bias is \(3,\), not \(2,\)"):
        attempt("shape")
    with pytest.raises(CheckpointError, match="not finite"):
        attempt("nan")


def test_published_entries_are_checked_as_well(published: dict[str, torch.Tensor]) -> None:
    incomplete = {n: v for n, v in published.items() if n != "ds_1.linear_2.bias"}
    with pytest.raises(CheckpointError, match=r"missing weigh_head\.bias"):
        MSGANet.load(incomplete)
    with pytest.raises(CheckpointError, match="unknown"):
        MSGANet.load({**published, "ds_7.conv.0.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="not a MSGA-Net"):
        MSGANet.load({"fc.weight": torch.zeros(3, 3)})


def test_a_safetensors_file_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, str(path))
    with pytest.raises(CheckpointError, match="format"):
        MSGANet.load(path)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        (None, "other.safetensors: its metadata name no format"),
        ({"format": "dense_net-2"}, "other.safetensors: unknown architecture 'dense_net'; there"),
        (
            {"format": "msga_net-9"},
            "format 'msga_net-9': version 9 is not known",
        ),
    ],
)
def test_a_checkpoint_says_which_architecture_it_is(
    tmp_path: Path, metadata: dict[str, str] | None, reason: str
) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, str(path), metadata=metadata)
    with pytest.raises(CheckpointError, match=re.escape(reason)):
        load_network(path)


def test_the_packaged_weights_load_and_are_small() -> None:
    path = packaged_weights()
    assert path.stat().st_size < 15e6
    with torch.no_grad():
        assert bool(torch.isfinite(MSGANet.load(path)(MATCHES).essential).all())


def test_weights_are_found_by_name_and_by_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_weights("msga_net") == packaged_weights()
    assert find_weights("", "cpu") == packaged_weights("msga_net_lite")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert find_weights("", "auto") == find_weights("", "cuda:1") == packaged_weights()
    assert find_weights("", "cpu") == packaged_weights("msga_net_lite")
    assert find_weights("some.pth") == Path("some.pth")
    assert find_weights(tmp_path / "weights") == tmp_path / "weights"
    with pytest.raises(CheckpointError, match=r"there are: .*msga_net"):
        find_weights("msga_nut")


def test_unknown_packaged_weights() -> None:
    with pytest.raises(CheckpointError, match="no weights 'nothing'"):
        packaged_weights("nothing")
