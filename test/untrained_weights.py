"""A checkpoint that loads and knows nothing, where only the plumbing is tested."""

from __future__ import annotations

from pathlib import Path

import torch

from msga_ros.network import MSGANet, MSGANetConfig, save_checkpoint


def untrained(path: Path) -> Path:
    """Write a checkpoint with random weights."""
    torch.manual_seed(0)
    config = MSGANetConfig()
    save_checkpoint(path, config, MSGANet(config).state_dict())
    return path
