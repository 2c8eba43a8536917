"""The detector-free matcher: CPU time of a pair, by size of the images and by part.

    python benchmarks/dense_speed.py IMAGE0 IMAGE1 [--weights FILE] [--repeat 7]

One thread, medians, milliseconds of CPU time, so that other work on the machine counts little. The
second frame of a stream keeps the features of the first.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from msga_ros.network.checkpoint import find_weights
from msga_ros.network.dense.net import DenseMatcher
from msga_ros.network.dense.turning import padded

SIZES = ((640, 480), (320, 240))
MOST = 2000


def cpu_ms(work: Callable[[], object], repeat: int) -> float:
    """Median after a first run."""
    work()
    times = []
    for _ in range(repeat):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return 1e3 * float(np.median(times))


@torch.inference_mode()
def row(net: DenseMatcher, paths: list[Path], size: tuple[int, int], repeat: int) -> list[float]:
    """Pair, second frame, and the parts: features of an image, graph, assignment, the rest."""
    grey = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]
    images = [
        padded(torch.from_numpy(cv2.resize(one, size, interpolation=cv2.INTER_AREA))[None, None])
        for one in grey
    ]
    images = [one.float() / 255 for one in images]
    first, second = (net.features(one) for one in images)
    eighths = net.graph.between(first.graph, second.graph)
    cells0, cells1 = (one[0].flatten(1).T for one in eighths)
    features = cpu_ms(lambda: net.features(images[1]), repeat)
    graph = cpu_ms(lambda: net.graph.between(first.graph, second.graph), repeat)
    assignment = cpu_ms(lambda: net.assignment.matches(cells0, cells1), repeat)
    match = cpu_ms(lambda: net.match(first, second, MOST), repeat)
    rest = match - graph - assignment
    return [2 * features + match, features + match, features, graph, assignment, rest]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, nargs=2)
    parser.add_argument("--weights", default="msga_dense")
    parser.add_argument("--repeat", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    net = DenseMatcher.load(find_weights(given.weights)).folded()
    print("| CPU ms | pair | second frame | features of one | graph | assignment | refinement |")
    print("|---" * 7 + "|")
    for size in SIZES:
        figures = row(net, given.images, size, given.repeat)
        print(f"| {size[0]}x{size[1]} | {' | '.join(f'{value:.0f}' for value in figures)} |")


if __name__ == "__main__":
    main()
