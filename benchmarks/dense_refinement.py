"""The detector-free matcher: what each step of its refinement is worth, what confidence means.

    python benchmarks/dense_refinement.py SCENE... [--pairs 3] [--weights FILE] [--diagram FILE.svg]

The same coarse matches of each pair, refined to each level, by the alignment, and by Lucas-Kanade
on the images from the middles of the cells and from the points of 1/2; PoseLib on each. SCENE: a
folder of posed images. Images are reduced to 640 px.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from msga_ros.datasets.posed.sources import open_scene
from msga_ros.evaluation.comparison.pairs import ImagePair, PosedPairs
from msga_ros.evaluation.metrics import pose_auc
from msga_ros.frontend.images import ScaledImage, prepare
from msga_ros.frontend.tracking.flow import align_from
from msga_ros.geometry.epipolar import sampson_distance_squared
from msga_ros.geometry.pose import essential_matrix, pose_error_deg
from msga_ros.network.checkpoint import find_weights
from msga_ros.network.dense.net import DenseMatcher, starts
from msga_ros.network.dense.turning import padded
from msga_ros.two_view.chosen_stages import solver

Points = NDArray[np.float32]
LONGEST = 640
TRUE_PX = 2.0  # epipolar distance of a match that counts as true


@torch.inference_mode()
def refinements(
    net: DenseMatcher, scaled: list[ScaledImage]
) -> tuple[Points, dict[str, Points], Points]:
    """Points of image 0, those of image 1 by each way, and the confidence of each match."""
    pixels = [torch.tensor(one.pixels)[None, None].float() / 255 for one in scaled]
    first, second = (net.features(padded(one)) for one in pixels)
    found = net.match(first, second, most=2000)
    eighths = net.graph.between(first.graph, second.graph)
    cells = found.coarse.cells0, found.coarse.cells1
    points0, guess = starts(first.anchors, *cells, *eighths)
    refined = net.decoder(first.maps, second.maps, torch.zeros_like(cells[0]), points0, guess)
    assert refined.quarter is not None and refined.half is not None
    start, half = guess.numpy(), refined.half.points1.numpy()
    images = [one.pixels for one in scaled]
    ways = {
        "cells": start,
        "1/4": refined.quarter.points1.numpy(),
        "1/2": half,
        "aligned": found.points1.numpy(),
        "Lucas-Kanade from the cells": align_from(*images, points0.numpy(), start),
        "Lucas-Kanade from 1/2": align_from(*images, points0.numpy(), half),
    }
    return points0.numpy(), ways, found.confidence.numpy()


def judge(
    net: DenseMatcher, pair: ImagePair, errors: dict[str, list[float]]
) -> NDArray[np.float64]:
    """Add the pose error of each way; rows (M, 2): confidence, and whether the match is true."""
    assert pair.motion is not None
    scaled = [prepare(image, LONGEST) for image in (pair.image0, pair.image1)]
    cameras = (pair.camera0, pair.camera1)
    points0, ways, confidence = refinements(net, scaled)
    rows0 = cameras[0].normalize(scaled[0].to_received(points0))
    sure = confidence >= 0.3
    true = np.zeros(len(confidence))
    for name, points1 in ways.items():
        rows1 = cameras[1].normalize(scaled[1].to_received(points1))
        for label, kept in ((name, np.ones_like(sure)), (f"{name}, confidence from 0.3", sure)):
            errors[label].append(pose_error(pair, scaled, (points0[kept], points1[kept])))
        if name == "aligned":
            matrix = essential_matrix(pair.motion.rotation, pair.motion.translation)
            both = torch.from_numpy(np.hstack((rows0, rows1)))[None]
            squared = sampson_distance_squared(both, torch.from_numpy(matrix)[None])[0].numpy()
            true = np.sqrt(squared) * _focal(pair, scaled) < TRUE_PX
    return np.column_stack((confidence, true))


def pose_error(pair: ImagePair, scaled: list[ScaledImage], points: tuple[Points, Points]) -> float:
    """Degrees, of PoseLib's pose by matches in pixels of the scaled images; 180 without one."""
    assert pair.motion is not None
    cameras = (pair.camera0, pair.camera1)
    rows = [
        camera.normalize(one.to_received(some))
        for camera, one, some in zip(cameras, scaled, points, strict=True)
    ]
    found = solver("poselib")(rows[0], rows[1], 1.0 / _focal(pair, scaled))
    if not found.success:
        return 180.0
    motion = pair.motion
    pose = (found.rotation, found.translation, motion.rotation, motion.translation)
    return float(max(pose_error_deg(*pose)))


def _focal(pair: ImagePair, scaled: list[ScaledImage]) -> float:
    """In pixels of the scaled images, the mean of both."""
    cameras = (pair.camera0, pair.camera1)
    sizes = [c.mean_focal / s.enlargement for c, s in zip(cameras, scaled, strict=True)]
    return float(np.mean(sizes))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", type=Path, nargs="+")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--weights", default="msga_dense")
    parser.add_argument("--diagram", type=Path, help="reliability of the confidence, as a picture")
    given = parser.parse_args()
    torch.set_num_threads(1)
    net = DenseMatcher.load(find_weights(given.weights))
    errors: dict[str, list[float]] = defaultdict(list)
    pairs = PosedPairs([open_scene(one) for one in given.scenes], count=given.pairs)
    judged = np.vstack([judge(net, pair, errors) for pair in pairs])
    print(f"| {len(errors['cells'])} pairs | AUC@5/10/20 |\n|---|---|")
    for name, values in errors.items():
        print(f"| {name} | {'/'.join(f'{100 * value:.1f}' for value in pose_auc(values))} |")
    print("\n| confidence | matches | mean | in the band |\n|---|---|---|---|")
    bins = []
    for low in np.arange(0, 1, 0.1):
        rows = judged[(judged[:, 0] >= low) & (judged[:, 0] < low + 0.1)]
        if len(rows):
            mean, true = rows.mean(axis=0)
            bins.append((mean, true, len(rows)))
            print(f"| {low:.1f} to {low + 0.1:.1f} | {len(rows)} | {mean:.2f} | {true:.2f} |")
    if given.diagram:
        draw(bins, given.diagram)


def draw(bins: list[tuple[float, float, int]], path: Path) -> None:
    """Reliability diagram of bins (mean confidence, share of true matches, matches)."""
    figure = Figure(figsize=(4.4, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color="#57606a", linewidth=1, linestyle="dashed")
    confidence, true, count = np.array(bins).T
    axes.plot(confidence, true, color="#0072B2", linewidth=1.5)
    axes.scatter(confidence, true, s=400 * count / count.max() + 8, color="#0072B2", alpha=0.6)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal", xlabel="confidence")
    axes.set_ylabel(f"matches within {TRUE_PX:g} px of the epipolar line")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
