"""Factored against plain formulation of the network, in one run on the same inputs.

    python benchmarks/bench_network.py [--matches 1000 2000 4000] [--repeats 10] [--json FILE]

Prints medians and their ratio, and how far the outputs are apart. The two take turns, so that what
else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from plain_formulation import plain_forward
from torch import Tensor

from msga_ros.network import MSGANet, packaged_weights


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--matches", type=int, nargs="+", default=[1000, 2000, 4000])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    plain = MSGANet.load(packaged_weights(), fold=False).to(arguments.device)
    factored = MSGANet.load(packaged_weights()).to(arguments.device)
    print(
        f"device {arguments.device}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    )
    print(
        f"{'matches':>8} {'plain ms':>9} {'ours ms':>9} {'ratio':>6} {'essential differs by':>22}"
    )
    records = []
    with torch.inference_mode():
        for count in arguments.matches:
            matches = scene_like_matches(count).to(arguments.device)
            times = take_turns(
                {
                    "plain": lambda m=matches: plain_forward(plain, m),
                    "ours": lambda m=matches: factored(m),
                },
                arguments.repeats,
                arguments.device,
            )
            difference = essential_difference(
                plain_forward(plain, matches)[1], factored(matches).essential
            )
            record = {
                "matches": count,
                "plain_ms": statistics.median(times["plain"]),
                "ours_ms": statistics.median(times["ours"]),
                "essential_difference": difference,
            }
            record["ratio"] = record["plain_ms"] / record["ours_ms"]
            records.append(record)
            print(
                f"{count:8d} {record['plain_ms']:9.1f} {record['ours_ms']:9.1f} "
                f"{record['ratio']:6.2f} {difference:22.1e}"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(records, indent=2) + "\n")


def scene_like_matches(count: int) -> Tensor:
    """`(1, count, 4)`: a third consistent with one motion, the others random; always the same."""
    generator = torch.Generator().manual_seed(0)
    matches = torch.rand(1, count, 4, generator=generator) - 0.5
    depth = 2 + 4 * torch.rand(count // 3, generator=generator)
    first = matches[0, : count // 3, :2]
    matches[0, : count // 3, 2:] = first + torch.tensor([1.0, 0.1]) / depth[:, None]
    return matches


def take_turns(
    variants: dict[str, Callable[[], object]], repeats: int, device: str
) -> dict[str, list[float]]:
    """Milliseconds of each call of each variant, after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(repeats + 1):
        for name, variant in variants.items():
            synchronise(device)
            start = time.perf_counter()
            variant()
            synchronise(device)
            if turn:
                times[name].append((time.perf_counter() - start) * 1e3)
    return times


def synchronise(device: str) -> None:
    """Wait for what was launched on a GPU."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def essential_difference(first: Tensor, second: Tensor) -> float:
    """Largest difference of entries, up to sign."""
    return float(torch.minimum((first - second).abs().amax(), (first + second).abs().amax()))


if __name__ == "__main__":
    main()
