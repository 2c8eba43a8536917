"""Small networks that nobody trained, of each kind of structure, and matches for them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from msga_ros.network import MSGANet, MSGANetConfig

SMALL = MSGANetConfig(channels=16, residual_blocks=1, grid=4, msformer_layers=1)


def warmed_net(config: MSGANetConfig = SMALL, seed: int = 0) -> MSGANet:
    """Random weights with statistics of a few batches, in evaluation mode, not folded."""
    torch.manual_seed(seed)
    net = MSGANet(config).train()
    for _ in range(4):
        net(random_matches(4, 96))
    return net.eval()


def random_matches(batch: int, count: int, seed: int = 1) -> Tensor:
    """`(batch, count, 4)`, no motion behind them."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, count, 4, generator=generator) - 0.5


def up_to_sign(first: Tensor, second: Tensor) -> float:
    """Largest difference of matrices `(..., 3, 3)` that are the same with either sign."""
    difference = torch.minimum(
        (first - second).abs().amax((-1, -2)), (first + second).abs().amax((-1, -2))
    )
    return float(difference.max())


STRUCTURES = {
    "published": SMALL,
    "ours": replace(
        SMALL, hartley=True, evidence=True, residual_input=True, dynamic_graphs=False, gate="se"
    ),
    "bare": replace(SMALL, interaction=False, context=False),
}
