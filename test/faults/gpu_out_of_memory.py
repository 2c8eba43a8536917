"""The node `msga` with a GPU of its own making, whose memory ends at the fifth pair.

The network is said to be on `cuda`, and is run on the CPU until `torch.cuda.OutOfMemoryError` is
raised in its place: the same exception at the same call as on a real GPU.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from msga_ros.network import inference
from msga_ros.network.match_scores import MatchScores, Network
from msga_ros.node import main

GOOD_CALLS = 5  # one of them to warm up


class OnGpu:
    """A network that believes it lies on a GPU, until memory ends."""

    device = torch.device("cuda")
    verifies = True

    def __init__(self, network: Network) -> None:
        self._network = network
        self._calls = 0

    def on(self, device: torch.device) -> Network:
        return self._network.on(device)

    def __call__(self, *matches: Any) -> MatchScores:
        self._calls += 1
        if self._calls > GOOD_CALLS:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self._network(*matches)


class Gpu(inference.Inference):
    """Has a GPU."""

    def __init__(self, net: Any, device: str, *settings: Any) -> None:
        super().__init__(net, "cpu", *settings)
        self._network._active = OnGpu(self._network._on_cpu)
        self._network._device = torch.device("cuda")


inference.Inference = Gpu  # type: ignore[misc]

if __name__ == "__main__":
    sys.exit(main())
