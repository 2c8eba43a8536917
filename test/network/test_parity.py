"""The network against recorded outputs of the published program, with its weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from devices import DEVICES
from shared_data import shared_path

from msga_ros.devices.precision import full_float32
from msga_ros.network import MSGANet, MSGANetResult

CASES = [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1), (2, 2)]
# Two pairs of neighbours in this sample are equally far to one part in a million; which comes first
# is decided by the rounding of the processor (in float64, too), and with it, by less than 1 %, the
# scores of all matches, and all that follows the second sieve.
TIED = (2, 0)


class Recorded:
    """One sample of the recording."""

    def __init__(self, file: np.lib.npyio.NpzFile, case: int, sample: int) -> None:
        def entry(name: str) -> np.ndarray:
            return file[f"case{case}/{name}"][sample]

        self.correspondences = torch.from_numpy(entry("correspondences"))[None]
        self.logits = [entry(f"logits{i}") for i in range(5)]
        self.essential = entry("essential")
        self.residual = entry("residual")


@pytest.fixture(scope="module")
def recording() -> np.lib.npyio.NpzFile:
    return np.load(shared_path("golden/msga_net_parity.npz"))


@pytest.fixture(scope="module")
def published_state(recording: np.lib.npyio.NpzFile) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix("state/"): torch.from_numpy(recording[name])
        for name in recording.files
        if name.startswith("state/")
    }


@pytest.fixture(scope="module", params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    with full_float32():
        yield request.param


@pytest.fixture(scope="module", params=[True, False], ids=["folded", "unfolded"])
def net(
    request: pytest.FixtureRequest, published_state: dict[str, torch.Tensor], device: str
) -> MSGANet:
    return MSGANet.load(published_state, fold=request.param).to(device)


def run(net: MSGANet, recorded: Recorded) -> MSGANetResult:
    device = net.weigh_head.weight.device
    with torch.no_grad():
        result = net(recorded.correspondences.to(device))
    return MSGANetResult(
        **{entry.name: _on_cpu(getattr(result, entry.name)) for entry in dataclasses.fields(result)}
    )


def _on_cpu(values: Any) -> Any:
    if isinstance(values, tuple):
        return tuple(_on_cpu(part) for part in values)
    return values.cpu()


def share_within(ours: np.ndarray, theirs: np.ndarray, tolerance: float = 1e-3) -> float:
    return float(np.mean(np.abs(ours - theirs) <= tolerance * np.maximum(1.0, np.abs(theirs))))


@pytest.mark.parametrize(("case", "sample"), CASES)
def test_scores_of_all_matches(
    net: MSGANet, recording: np.lib.npyio.NpzFile, case: int, sample: int
) -> None:
    recorded = Recorded(recording, case, sample)
    result = run(net, recorded)
    wanted, tolerance = (0.98, 1e-2) if (case, sample) == TIED else (0.995, 1e-3)
    for i in (0, 1):
        share = share_within(result.logits[i][0].numpy(), recorded.logits[i], tolerance)
        assert share >= wanted, i


@pytest.mark.parametrize(("case", "sample"), [c for c in CASES if c != TIED])
def test_everything_else(
    net: MSGANet, recording: np.lib.npyio.NpzFile, case: int, sample: int
) -> None:
    recorded = Recorded(recording, case, sample)
    result = run(net, recorded)
    for i in (2, 3, 4):
        assert share_within(result.logits[i][0].numpy(), recorded.logits[i]) >= 0.985
    theirs = np.argsort(-recorded.logits[1], kind="stable")[: len(recorded.logits[2])]
    assert set(result.kept[0][0].tolist()) == set(theirs.tolist())
    theirs = theirs[np.argsort(-recorded.logits[3], kind="stable")[: len(recorded.logits[4])]]
    assert len(set(result.kept[1][0].tolist()) - set(theirs.tolist())) <= 1
    essential = result.essential[0].numpy()
    essential = essential * np.sign((essential * recorded.essential).sum())
    assert np.abs(essential - recorded.essential).max() < 1e-3
    residual = result.residual[0].numpy()
    close = np.abs(residual - recorded.residual) <= 1e-2 * recorded.residual + 1e-7
    assert close.mean() >= 0.99
