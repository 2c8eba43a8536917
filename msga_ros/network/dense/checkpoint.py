"""Weights of the detector-free matcher: safetensors with the structure in the metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from msga_ros.foreign_text import shown
from msga_ros.network.checkpoint import check_state, read_tensors, save_checkpoint
from msga_ros.network.checkpoint_error import CheckpointError
from msga_ros.network.dense.config import DenseConfig

ARCHITECTURE = "msga_dense"
FORMAT = f"{ARCHITECTURE}-1"  # and the version of its layout


def save_dense_checkpoint(
    path: str | Path,
    config: DenseConfig,
    state: Mapping[str, Tensor],
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write the tensors in float32 and, as metadata, the structure and `notes`."""
    save_checkpoint(path, config, state, notes, FORMAT)


def read_dense_checkpoint(path: str | Path) -> tuple[DenseConfig, dict[str, Tensor]]:
    """Structure and state dict, checked: complete, fitting, finite. Raises `CheckpointError`."""
    from msga_ros.network.dense.net import DenseMatcher

    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint file")
    metadata, state = read_tensors(path)
    if metadata.get("format") != FORMAT:
        found = shown(metadata.get("format"))
        raise CheckpointError(f"{path}: format {found!r}, not {FORMAT!r}")
    try:
        config = DenseConfig(**json.loads(metadata["config"]))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        reason = shown(error)
        raise CheckpointError(f"{path}: its structure is not readable ({reason})") from error
    with torch.device("meta"):
        check_state(DenseMatcher(config), state, str(path), "the detector-free matcher")
    return config, state


def is_dense_checkpoint(path: str | Path) -> bool:
    """Whether a file says that it holds weights of this network; False for what is no such file."""
    try:
        return read_tensors(Path(path))[0].get("format", "").startswith(f"{ARCHITECTURE}-")
    except CheckpointError:
        return False
