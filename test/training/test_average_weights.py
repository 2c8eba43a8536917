"""`scripts/average_weights.py`: two sets of weights of one structure to one between them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

SCRIPT = Path(__file__).parents[2] / "scripts" / "average_weights.py"


def averaged(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def ends(tmp_path: Path) -> tuple[Path, Path]:
    """What a training started from and what it came to."""
    paths = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    for path, value, count in zip(paths, (1.0, 3.0), (4, 9), strict=True):
        tensors = {"weight": torch.full((2, 2), value), "batches": torch.tensor(count)}
        save_file(tensors, path, {"config": path.stem})
    return paths


def test_weights_lie_between_and_counters_and_notes_are_the_seconds(
    tmp_path: Path, ends: tuple[Path, Path]
) -> None:
    made = tmp_path / "made.safetensors"
    done = averaged(*ends, "-o", made, "--share", "0.25")
    assert done.returncode == 0, done.stderr
    tensors = load_file(made)
    assert torch.equal(tensors["weight"], torch.full((2, 2), 1.5))
    assert int(tensors["batches"]) == 9
    with safe_open(made, framework="pt") as file:
        notes = file.metadata()
    assert notes["config"] == "after"
    assert notes["average"] == "0.25 of these, the rest of before.safetensors"


def test_what_does_not_fit_is_named(tmp_path: Path, ends: tuple[Path, Path]) -> None:
    save_file({"weight": torch.ones(3), "batches": torch.tensor(1)}, ends[1], {})
    done = averaged(*ends, "-o", tmp_path / "made.safetensors")
    assert done.returncode == 2
    assert "not of one structure: weight" in done.stderr
    assert not (tmp_path / "made.safetensors").exists()


def test_a_share_beyond_the_ends_is_refused(tmp_path: Path, ends: tuple[Path, Path]) -> None:
    done = averaged(*ends, "-o", tmp_path / "made.safetensors", "--share", "1.5")
    assert done.returncode == 2 and "--share" in done.stderr
