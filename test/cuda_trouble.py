"""A GPU whose memory ends, and one that breaks; in a process of its own, which it may take along.

Prints what was seen of each as a line of JSON, as it comes, and leaves judging it to the caller.
"""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np
import torch
from verdicts import matches_of_a_scene

from msga_ros.network import MSGANet, packaged_weights
from msga_ros.network.inference import Inference

WARNINGS: list[str] = []
MATCHES = matches_of_a_scene(1500)
NET = MSGANet.load(packaged_weights("msga_net_lite"))


class Kept(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        WARNINGS.append(record.getMessage())


def asked(network: Inference) -> Any:
    return network(MATCHES.correspondences, MATCHES.everyone, MATCHES.evidence)


def told(network: Inference, times: int = 3) -> dict[str, Any]:
    """What `network` says, asked several times, and what is logged meanwhile."""
    expected = asked(Inference(NET, "cpu"))
    scores = [asked(network).score for _ in range(times)]
    seen = {
        "largest_difference": max(float(np.abs(s - expected.score).max()) for s in scores),
        "device": network.device.type,
        "problem": network.problem,
        "warnings": list(WARNINGS),
    }
    WARNINGS.clear()
    return seen


def without_memory(network: Inference | None = None) -> dict[str, Any]:
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        return told(network or Inference(NET, "cuda"))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def show(when: str, seen: dict[str, Any]) -> None:
    print("SEEN " + json.dumps({when: seen}), flush=True)


def main() -> None:
    torch.set_num_threads(2)  # others may want the CPU
    logging.getLogger("msga_ros").addHandler(Kept())
    show("from_the_start", without_memory())
    show("at_the_first_pair", without_memory(Inference(NET, "cuda")))
    running = Inference(NET, "cuda")
    few = matches_of_a_scene(100)
    running(few.correspondences, few.everyone, few.evidence)
    show("at_a_larger_pair", without_memory(running))

    well = Inference(NET, "cuda")
    asked(well)
    show("well", told(well))
    # Out of range on the device: a broken device answers nothing from then on.
    row = torch.tensor([1 << 20], device="cuda")
    torch.zeros(8, device="cuda").index_select(0, row)
    show("lost", told(well))
    show("lost_from_the_start", told(Inference(NET, "cuda")))


if __name__ == "__main__":
    main()
