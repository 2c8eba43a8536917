"""The detector-free matcher: which of its matches PoseLib should get, and with which threshold.

    python benchmarks/dense_pose.py SCENE... [--pairs 10] [--seeds 3] [--weights FILE]

The same matches of each pair, no image turned, no gate, PoseLib's samples drawn from several seeds.
Of each way: matches a pair and their share within 2 px of the epipolar line; AUC@5/10/20, mean of
the seeds; AUC@5 of the worst seed and of the best; and by how many points AUC@5 is above that of
the first way, with the interval of 95 % of a bootstrap over the pairs. SCENE: a folder of posed
images. Images are reduced to 640 px.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from msga_ros.datasets.posed.sources import open_scene
from msga_ros.evaluation.comparison.pairs import ImagePair, PosedPairs
from msga_ros.evaluation.metrics import pose_auc
from msga_ros.frontend.images import prepare
from msga_ros.geometry.epipolar import sampson_distance_squared
from msga_ros.geometry.pose import essential_matrix, pose_error_deg
from msga_ros.network.checkpoint import find_weights
from msga_ros.network.dense.net import DenseMatcher, DenseMatches, starts
from msga_ros.network.dense.turning import padded
from msga_ros.two_view.chosen_stages import solver

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
LONGEST, TRUE_PX, BEST_DEG = 640, 2.0, 5.0
SURE, LESS_SURE = 0.3, 0.1  # confidence
RADIUS, ALIKE, SUPPORTERS = 2, 0.3, 2  # of a match that its neighbours support, see `supported`


@dataclass(frozen=True)
class Way:
    """What PoseLib gets: `(N, 4)` normalised matches, the surest first, and its threshold.

    `questioned` `(N,)`: which are left out only where they are false, or only where they are true,
    as `left_out` says; none where that is None.
    """

    matches: Array
    threshold_px: float = 1.0
    questioned: Mask | None = None
    left_out: bool | None = None


@dataclass(frozen=True)
class Result:
    """Of one way on one pair: pose errors in degrees by seed, matches, those that are true."""

    errors: list[float]
    matches: int
    true: int


def supported(found: DenseMatches, columns: int) -> Mask:
    """Which of M matches have neighbours that go the same way.

    At least `SUPPORTERS` sure matches of the 5 x 5 cells of image 0 around it are as far from it in
    image 1, and in the same direction, but for `ALIKE` of the larger distance.
    """
    cells = found.coarse.cells0
    place = torch.stack((cells % columns, cells // columns), 1)
    near = (place[:, None] - place[None]).abs().amax(2) <= RADIUS
    near &= (found.confidence >= SURE)[None]
    first, second = near.nonzero().T
    steps = [(points[second] - points[first]) for points in (found.points0, found.points1)]
    distance = torch.maximum(steps[0].norm(dim=1), steps[1].norm(dim=1))
    alike = (steps[1] - steps[0]).norm(dim=1) < ALIKE * distance  # never of a match and itself
    count = torch.zeros(len(cells)).index_add_(0, first, alike.float())
    return (count >= SUPPORTERS).numpy()


@torch.inference_mode()
def ways(net: DenseMatcher, pair: ImagePair) -> tuple[dict[str, Way], float]:
    """Matches chosen in each way; the focal length in pixels of the reduced images."""
    scaled = [prepare(image, LONGEST) for image in (pair.image0, pair.image1)]
    cameras = (pair.camera0, pair.camera1)
    pixels = [padded(torch.tensor(one.pixels)[None, None].float() / 255) for one in scaled]
    first, second = (net.features(one) for one in pixels)
    found = net.match(first, second, most=2000)
    eighths = net.graph.between(first.graph, second.graph)
    cells = found.coarse.cells0, found.coarse.cells1
    # The other direction: anchors of image 1, sought around the matched cells of image 0.
    back1, guess0 = starts(second.anchors, cells[1], cells[0], eighths[1], eighths[0])
    refined = net.decoder(second.maps, first.maps, torch.zeros_like(cells[0]), back1, guess0)

    def rows(points0: Tensor, points1: Tensor) -> Array:
        both = zip(cameras, scaled, (points0, points1), strict=True)
        return np.hstack([c.normalize(s.to_received(p.numpy())) for c, s, p in both])

    matches, back = rows(found.points0, found.points1), rows(refined.points1, back1)
    confidence = found.confidence.numpy()
    sure = confidence >= SURE
    lonely = ~supported(found, pixels[0].shape[-1] // 8)
    focal = np.mean([c.mean_focal / s.enlargement for c, s in zip(cameras, scaled, strict=True)])
    return {
        "confidence from 0.3, 1 px": Way(matches[sure]),
        "1.5 px": Way(matches[sure], 1.5),
        "2 px": Way(matches[sure], 2.0),
        "confidence from 0.1": Way(matches[confidence >= LESS_SURE]),
        "confidence from 0.5": Way(matches[confidence >= 0.5]),
        "anchors of image 1": Way(back[sure]),
        "anchors of both": Way(np.stack((matches[sure], back[sure]), 1).reshape(-1, 4)),
        "from 0.3, supported": Way(matches[sure & ~lonely]),
        "from 0.3, and supported from 0.1": Way(
            matches[sure | (confidence >= LESS_SURE) & ~lonely]
        ),
        "from 0.3 but the true ones without support": Way(
            matches[sure], questioned=lonely[sure], left_out=True
        ),
        "from 0.3 but the false ones without support": Way(
            matches[sure], questioned=lonely[sure], left_out=False
        ),
    }, float(focal)


def judged(way: Way, pair: ImagePair, focal: float, seeds: int) -> Result:
    """PoseLib on one way's matches, once a seed."""
    assert pair.motion is not None
    motion, matches = pair.motion, way.matches
    matrix = torch.from_numpy(essential_matrix(motion.rotation, motion.translation))
    squared = sampson_distance_squared(torch.from_numpy(matches)[None], matrix[None])[0].numpy()
    true = np.sqrt(squared) * focal < TRUE_PX
    if way.questioned is not None:
        kept = ~(way.questioned & (true == way.left_out))
        matches, true = matches[kept], true[kept]
    errors = []
    for seed in range(seeds):
        found = solver("poselib")(
            matches[:, :2], matches[:, 2:], way.threshold_px / focal, seed=seed
        )
        pose = (found.rotation, found.translation, motion.rotation, motion.translation)
        errors.append(float(max(pose_error_deg(*pose))) if found.success else 180.0)
    return Result(errors, len(matches), int(true.sum()))


def row(name: str, results: list[Result], first: list[Result]) -> str:
    """One line of the table."""
    errors = np.array([one.errors for one in results])  # (pairs, seeds)
    areas = 100 * np.array([pose_auc(column) for column in errors.T])
    matches = sum(one.matches for one in results)
    low, middle, high = _above(errors, np.array([one.errors for one in first]))
    cells = [
        name,
        f"{matches / len(results):.0f}",
        f"{sum(one.true for one in results) / max(matches, 1):.2f}",
        "/".join(f"{area:.1f}" for area in areas.mean(0)),
        f"{areas[:, 0].min():.1f} to {areas[:, 0].max():.1f}",
        f"{middle:+.1f} ({low:+.1f} to {high:+.1f})" if results is not first else "",
    ]
    return f"| {' | '.join(cells)} |"


def _above(errors: Array, others: Array) -> tuple[float, float, float]:
    """Points of AUC@5 by which `errors` are better: lower bound, mean, upper bound."""
    areas = [np.clip(1 - one / BEST_DEG, 0, None).mean(1) for one in (errors, others)]
    difference = 100 * (areas[0] - areas[1])
    chosen = np.random.default_rng(0).integers(len(difference), size=(10_000, len(difference)))
    low, high = np.percentile(difference[chosen].mean(1), (2.5, 97.5))
    return float(low), float(difference.mean()), float(high)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", type=Path, nargs="+")
    parser.add_argument("--pairs", type=int, default=10, help="of a scene")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--weights", default="msga_dense")
    given = parser.parse_args()
    torch.set_num_threads(1)
    net = DenseMatcher.load(find_weights(given.weights)).folded()
    every: dict[str, list[Result]] = defaultdict(list)
    for pair in PosedPairs([open_scene(one) for one in given.scenes], count=given.pairs):
        chosen, focal = ways(net, pair)
        for name, way in chosen.items():
            every[name].append(judged(way, pair, focal, given.seeds))
    first = next(iter(every.values()))
    size = f"{len(first)} pairs, {given.seeds} seeds"
    print(f"| {size} | matches | true | AUC@5/10/20 | AUC@5 | above the first |")
    print("|---" * 6 + "|")
    for name, results in every.items():
        print(row(name, results, first))


if __name__ == "__main__":
    main()
