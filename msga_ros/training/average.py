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
        # Listing a network's tensors takes longer than averaging them does on a GPU.
        self._of: nn.Module | None = None
        self._pairs: dict[bool, tuple[list[Tensor], list[Tensor]]] = {}

    @torch.no_grad()
    def update(self, net: nn.Module, decay: float) -> None:
        """Keep the share `decay` of the average, take the rest from `net`."""
        if self._of is not net:
            self._of, self._pairs = net, _pairs(self.net, net)
        torch._foreach_lerp_(*self._pairs[True], 1 - decay)
        if self._pairs[False][0]:
            torch._foreach_copy_(*self._pairs[False])


def _pairs(average: nn.Module, net: nn.Module) -> dict[bool, tuple[list[Tensor], list[Tensor]]]:
    """Tensors of both networks, in one order: those with fractions (True), and the others."""
    result: dict[bool, tuple[list[Tensor], list[Tensor]]] = {True: ([], []), False: ([], [])}
    for mine, other in zip(_tensors(average), _tensors(net), strict=True):
        for part, tensor in zip(result[mine.is_floating_point()], (mine, other), strict=True):
            part.append(tensor)
    return result


def _tensors(net: nn.Module) -> list[Tensor]:
    return [*net.parameters(), *net.buffers()]
