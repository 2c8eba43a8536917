"""Moving average of a network's weights, which is better than its last ones."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class MovingAverage:
    """Of all weights and statistics of a network; whole numbers are the last ones.

    (`torch.optim.swa_utils.AveragedModel` copies its counter from the host at each update, which on
    an accelerator waits for the whole step.)
    """

    def __init__(self, net: nn.Module) -> None:
        self.net = copy.deepcopy(net).requires_grad_(False)

    @torch.no_grad()
    def update(self, net: nn.Module, decay: float) -> None:
        """Keep the share `decay` of the average, take the rest from `net`."""
        pairs = list(zip(_tensors(self.net), _tensors(net), strict=True))
        weights = [pair for pair in pairs if pair[0].is_floating_point()]
        average, current = ([pair[place] for pair in weights] for place in (0, 1))
        torch._foreach_lerp_(average, current, 1 - decay)
        for mine, other in pairs:
            if not mine.is_floating_point():
                mine.copy_(other)


def _tensors(net: nn.Module) -> list[Tensor]:
    return [*net.parameters(), *net.buffers()]
