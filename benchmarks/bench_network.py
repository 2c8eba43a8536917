"""Factored against plain formulation of the network, and the small network against the large one,
in one run on the same inputs.

    python benchmarks/bench_network.py [--matches 1000 2000 4000] [--repeats 10] [--json FILE]

Prints medians and their ratios, and how far the outputs of the two formulations are apart. All take
turns, so that what else the machine does falls on all. The formulations are compared on the
published structure with the weights of `msga_net`, less the inputs that are not published.
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

from msga_ros.network import MSGANet, MSGANetConfig, packaged_weights


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
    plain = published_structure().to(arguments.device)
    factored = published_structure().to(arguments.device).fold()
    large = MSGANet.load(packaged_weights()).to(arguments.device)
    small = MSGANet.load(packaged_weights("msga_net_lite")).to(arguments.device)
    print(
        f"device {arguments.device}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    )
    print(
        f"{'matches':>8} {'plain ms':>9} {'factored':>9} {'ratio':>6} {'essential differs by':>22}"
        f" {'msga_net':>9} {'lite':>9} {'ratio':>6}"
    )
    records = []
    with torch.inference_mode():
        for count in arguments.matches:
            matches = scene_like_matches(count).to(arguments.device)
            evidence = torch.rand(1, count, 2, device=arguments.device)
            times = take_turns(
                {
                    "plain": lambda m=matches: plain_forward(plain, m),
                    "factored": lambda m=matches: factored(m),
                    "large": lambda m=matches, e=evidence: large(m, evidence=e),
                    "small": lambda m=matches, e=evidence: small(m, evidence=e),
                },
                arguments.repeats,
                arguments.device,
            )
            difference = essential_difference(
                plain_forward(plain, matches)[1], factored(matches).essential
            )
            median = {name: statistics.median(values) for name, values in times.items()}
            record = {
                "matches": count,
                **{f"{name}_ms": value for name, value in median.items()},
                "plain_to_factored": median["plain"] / median["factored"],
                "large_to_small": median["large"] / median["small"],
                "essential_difference": difference,
            }
            records.append(record)
            print(
                f"{count:8d} {median['plain']:9.1f} {median['factored']:9.1f} "
                f"{record['plain_to_factored']:6.2f} {difference:22.1e} "
                f"{median['large']:9.1f} {median['small']:9.1f} {record['large_to_small']:6.2f}"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(records, indent=2) + "\n")


def published_structure() -> MSGANet:
    """The network without what is not published, with the weights of `msga_net`, unfolded."""
    state = MSGANet.load(packaged_weights(), fold=False).state_dict()
    net = MSGANet(MSGANetConfig(hartley=True))
    for name, value in net.state_dict().items():
        if name.endswith(".embed.weight"):
            state[name] = state[name][:, : value.shape[1]]
    net.load_state_dict(state)
    return net.eval()


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
