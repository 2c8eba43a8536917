"""The detector-free matcher: CPU time of a pair, by size of the images and by part.

    python benchmarks/dense_speed.py IMAGE0 IMAGE1 [--weights FILE] [--repeat 15]
    python benchmarks/dense_speed.py SCENE...

One thread, the smallest of some runs, milliseconds of CPU time, so that other work on the machine
counts little. A pair and the second frame of a stream, which keeps the features of the first, are
timed as a whole, one pair after the other, as they come; the parts each by itself. SCENE: a folder
of posed images, of each of which one pair is taken, the first that `msga compare` takes: the mean
of them, and the slowest pair.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from msga_ros.datasets.posed.sources import open_scene
from msga_ros.devices.freed_memory import keep_freed_memory
from msga_ros.evaluation.comparison.pairs import PosedPairs
from msga_ros.frontend.images import to_grey
from msga_ros.network.checkpoint import find_weights
from msga_ros.network.dense.net import DenseMatcher
from msga_ros.network.dense.turning import padded

SIZES = ((640, 480), (320, 240))
MOST = 2000
COLUMNS = (
    "pair",
    "second frame",
    "features of one",
    "graph",
    "assignment",
    "refinement",
    "matches",
)
Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
Times = NDArray[np.float64]


def cpu_ms(work: Callable[[], object], repeat: int) -> float:
    """The smallest after a first run."""
    work()
    times = []
    for _ in range(repeat):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return 1e3 * min(times)


def prepared(grey: Pair, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Both images as the network takes them."""
    first, second = (cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in grey)
    return padded(_tensor(first)), padded(_tensor(second))


def _tensor(grey: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(grey)[None, None].float() / 255


@torch.inference_mode()
def whole(net: DenseMatcher, images: Sequence[tuple[Tensor, Tensor]], repeat: int) -> Times:
    """`(P, 2)`: of each pair, the pair and the second frame alone; the smallest after a first
    round of all pairs."""
    rounds = []
    for _ in range(1 + repeat):
        rounds.append([])
        for image0, image1 in images:
            began = time.process_time()
            first = net.features(image0)
            kept = time.process_time()
            net.match(first, net.features(image1), MOST)
            ended = time.process_time()
            rounds[-1].append((1e3 * (ended - began), 1e3 * (ended - kept)))
    least: Times = np.array(rounds[1:]).min(0)
    return least


@torch.inference_mode()
def parts(net: DenseMatcher, images: tuple[Tensor, Tensor], repeat: int) -> list[float]:
    """Features of an image, graph, assignment, the rest; and how many matches were refined."""
    first, second = (net.features(one) for one in images)
    eighths = net.graph.between(first.graph, second.graph)
    cells0, cells1 = (one[0].flatten(1).T for one in eighths)
    features = cpu_ms(lambda: net.features(images[1]), repeat)
    graph = cpu_ms(lambda: net.graph.between(first.graph, second.graph), repeat)
    assignment = cpu_ms(lambda: net.assignment.matches(cells0, cells1), repeat)
    match = cpu_ms(lambda: net.match(first, second, MOST), repeat)
    count = len(net.match(first, second, MOST).points0)
    return [features, graph, assignment, match - graph - assignment, count]


def pairs_of(paths: list[Path]) -> list[Pair]:
    """Two images, or a pair of each folder."""
    if not paths[0].is_dir():
        both = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]
        return [(both[0], both[1])]
    found = PosedPairs([open_scene(one) for one in paths], count=1)
    return [(to_grey(pair.image0), to_grey(pair.image1)) for pair in found]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--weights", default="msga_dense")
    parser.add_argument("--repeat", type=int, default=15)
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as the front end does
    net = DenseMatcher.load(find_weights(given.weights)).folded()
    print(f"| CPU ms | {' | '.join(COLUMNS)} |")
    print("|---" * (1 + len(COLUMNS)) + "|")
    pairs = pairs_of(given.images)
    for size in SIZES:
        images = [prepared(pair, size) for pair in pairs]
        apart = [parts(net, pair, given.repeat) for pair in images]
        rows = np.hstack([whole(net, images, given.repeat), apart])
        name = f"{size[0]}x{size[1]}"
        print(f"| {name} | {' | '.join(f'{value:.0f}' for value in rows.mean(0))} |")
        if len(rows) > 1:
            slowest = rows[rows[:, 0].argmax()]
            print(f"| slowest of {len(rows)} | {' | '.join(f'{v:.0f}' for v in slowest)} |")


if __name__ == "__main__":
    main()
