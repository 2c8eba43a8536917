"""The node `msga` with a GPU of its own making, whose memory ends at the fifth pair.

The network is said to be on `cuda`, and is run on the CPU until `torch.cuda.OutOfMemoryError` is
raised in its place: the same exception at the same call as on a real GPU.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from msga_ros import inference
from msga_ros.node import main

GOOD_CALLS = 5  # one of them to warm up
_run = inference._run
_calls = 0


class Gpu(inference.Inference):
    """Believes that its copy of the network lies on a GPU."""

    def __init__(self, net: Any, device: str) -> None:
        super().__init__(net, "cpu")
        self._active = (net, torch.device("cuda"))


def run(net: Any, device: torch.device, *arguments: Any) -> Any:
    """As `_run`, until memory ends."""
    global _calls
    if device.type == "cuda":
        _calls += 1
        if _calls > GOOD_CALLS:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    return _run(net, torch.device("cpu"), *arguments)


import msga_ros.pipeline  # noqa: E402

inference._run = run
msga_ros.pipeline.Inference = Gpu  # type: ignore[misc]

if __name__ == "__main__":
    sys.exit(main())
