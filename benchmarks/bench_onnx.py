"""ONNX Runtime against torch on the CPU: the same weights, in one run on the same inputs.

    python benchmarks/bench_onnx.py [--weights NAME] [--matches 200 600 ...] [--threads 1]

Exports the weights to a temporary file, then lets both judge in turns. Prints medians, their ratio
and the largest difference of an inlier probability.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from bench_network import scene_like_matches, take_turns

from msga_ros.network import MSGANet, find_weights
from msga_ros.network.inference import Inference, load_network
from msga_ros.network.onnx_export import export_onnx


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="msga_net_lite")
    parser.add_argument("--matches", type=int, nargs="+", default=[100, 200, 400, 600, 1000, 2000])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    net = MSGANet.load(find_weights(arguments.weights))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        export_onnx(net, path)
        by_torch, by_onnx = Inference(net, "cpu"), Inference(load_network(path), "cpu")
    print(f"{arguments.weights}, torch {torch.__version__}, {arguments.threads} threads")
    print(f"{'matches':>8} {'torch ms':>9} {'onnx ms':>9} {'ratio':>6} {'differ by':>10}")
    for count in arguments.matches:
        matches = scene_like_matches(count)[0].numpy()
        everyone = np.ones(count, dtype=bool)
        evidence = np.random.default_rng(0).random((count, 2))
        inputs = (matches, everyone, evidence)
        times = take_turns(
            {
                "torch": lambda i=inputs: by_torch(*i),
                "onnx": lambda i=inputs: by_onnx(*i),
            },
            arguments.repeats,
            "cpu",
        )
        one, other = (1 / (1 + np.exp(-judge(*inputs).score)) for judge in (by_torch, by_onnx))
        median = {name: statistics.median(values) for name, values in times.items()}
        print(
            f"{count:8d} {median['torch']:9.2f} {median['onnx']:9.2f} "
            f"{median['torch'] / median['onnx']:6.2f} {np.abs(one - other).max():10.1e}"
        )


if __name__ == "__main__":
    main()
