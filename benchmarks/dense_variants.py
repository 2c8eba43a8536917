"""The detector-free matcher: what its parts are worth, and how good its coarse matches are.

    python benchmarks/dense_variants.py SCENE... [-v "cross_edges: false"] [-v "weights: FILE"]

A variant is a line of YAML, as "patch_layers: 2, neighbours: 6", with entries of the structure that
shall differ from the weights', or other weights. All of them see the same pairs in turns. Of each:
the share of the best 1000 coarse matches within 8 px of the epipolar line, by scene; that share if
the same matches were in the best of all orders; AUC of PoseLib on those with a confidence from 0.3;
CPU time of a pair from images to matches on one thread, over the first variant's. SCENE: a folder
of posed images, reduced to 640 px.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from msga_ros.datasets.posed.selection import Selection
from msga_ros.datasets.posed.sources import open_scene
from msga_ros.evaluation.comparison.pairs import ImagePair, PosedPairs
from msga_ros.evaluation.metrics import pose_auc
from msga_ros.frontend.images import ScaledImage, prepare
from msga_ros.geometry.pose import essential_matrix, pose_error_deg
from msga_ros.network.checkpoint import find_weights
from msga_ros.network.dense.net import DenseMatcher, starts
from msga_ros.network.dense.turning import padded
from msga_ros.two_view.chosen_stages import solver

BEST, BAND_PX, SURE = 1000, 8.0, 0.3


@dataclass
class Figures:
    """Of one variant: shares by scene, and of pairs in the best order, pose errors in degrees, CPU
    seconds."""

    shares: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    possible: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@torch.inference_mode()
def judge(net: DenseMatcher, pair: ImagePair, longest: int, fine: bool, figures: Figures) -> None:
    """Add what the matches of one pair are worth."""
    assert pair.motion is not None
    scaled = [prepare(image, longest) for image in (pair.image0, pair.image1)]
    pixels = [padded(torch.tensor(one.pixels)[None, None].float() / 255) for one in scaled]
    began = time.process_time()
    first, second = (net.features(one) for one in pixels)
    if fine:
        found = net.match(first, second, most=2000)
        figures.seconds.append(time.process_time() - began)
        points = (found.points0.numpy(), found.points1.numpy())
        sure = found.confidence.numpy() >= SURE
        figures.errors.append(_pose_error(pair, scaled, [one[sure] for one in points]))
    eighths = net.graph.between(first.graph, second.graph)
    coarse = net.coarse_matches(*eighths)
    ordered = coarse.rows(coarse.log_probability.argsort(descending=True))
    coarse_points = starts(first.anchors, ordered.cells0, ordered.cells1, *eighths)
    near = _near(pair, scaled, coarse_points)
    figures.shares[pair.scene].append(share(near))
    figures.possible.append(share(np.sort(near)[::-1]))


def share(near: NDArray[np.bool_]) -> float:
    """Of the first `BEST` of M matches, of those that are `near`; 0 of none."""
    return float(near[:BEST].mean()) if len(near) else 0.0


def _near(
    pair: ImagePair, scaled: list[ScaledImage], points: tuple[Tensor, Tensor]
) -> NDArray[np.bool_]:
    """Of M matches, whether the point in image 1 is near its line."""
    assert pair.motion is not None
    rows = [_rays(pair, scaled, side, one.numpy()) for side, one in enumerate(points)]
    matrix = essential_matrix(pair.motion.rotation, pair.motion.translation)
    lines = np.column_stack((rows[0], np.ones(len(rows[0])))) @ matrix.T
    there = np.column_stack((rows[1], np.ones(len(rows[1]))))
    distance = np.abs((lines * there).sum(1)) / np.linalg.norm(lines[:, :2], axis=1)
    focal = pair.camera1.mean_focal / scaled[1].enlargement
    return np.asarray(distance * focal < BAND_PX)


def _rays(
    pair: ImagePair, scaled: list[ScaledImage], side: int, points: NDArray[np.float32]
) -> NDArray[np.float64]:
    camera = (pair.camera0, pair.camera1)[side]
    return camera.normalize(scaled[side].to_received(points))


def _pose_error(
    pair: ImagePair, scaled: list[ScaledImage], points: list[NDArray[np.float32]]
) -> float:
    assert pair.motion is not None
    cameras = (pair.camera0, pair.camera1)
    focal = np.mean([c.mean_focal / s.enlargement for c, s in zip(cameras, scaled, strict=True)])
    rows = [_rays(pair, scaled, side, one) for side, one in enumerate(points)]
    found = solver("poselib")(rows[0], rows[1], 1.0 / focal)
    if not found.success:
        return 180.0
    motion = pair.motion
    return float(
        max(pose_error_deg(found.rotation, found.translation, motion.rotation, motion.translation))
    )


def variant(text: str, weights: str) -> DenseMatcher:
    """The network that a line of YAML describes."""
    entries = yaml.safe_load("{" + text + "}")
    return DenseMatcher.load(find_weights(entries.pop("weights", weights)), entries).folded()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", type=Path, nargs="+")
    parser.add_argument("-v", "--variant", action="append", default=[])
    parser.add_argument("--weights", default="msga_dense")
    parser.add_argument("--pairs", type=int, default=3, help="of a scene")
    parser.add_argument("--min-frames", type=int, default=1)
    parser.add_argument("--max-frames", type=int, default=0)
    parser.add_argument("--longest", type=int, default=640)
    parser.add_argument("--coarse", action="store_true", help="coarse matches only")
    given = parser.parse_args()
    torch.set_num_threads(1)
    nets = {text or "as it is": variant(text, given.weights) for text in ["", *given.variant]}
    every = {name: Figures() for name in nets}
    selection = Selection(min_frames=given.min_frames, max_frames=given.max_frames)
    scenes = [open_scene(one) for one in given.scenes]
    for pair in PosedPairs(scenes, count=given.pairs, selection=selection):
        for name, net in nets.items():
            judge(net, pair, given.longest, not given.coarse, every[name])
    names = " | ".join(one.name for one in scenes)
    print(f"| variant | {names} | all | best order | AUC@5/10/20 | CPU |")
    print("|---" * (5 + len(scenes)) + "|")
    first = every["as it is"]
    for name, figures in every.items():
        by_scene = [np.mean(figures.shares[one.name]) for one in scenes]
        cells = [
            f"{value:.2f}" for value in (*by_scene, np.mean(by_scene), np.mean(figures.possible))
        ]
        if figures.errors:
            cells.append("/".join(f"{100 * area:.1f}" for area in pose_auc(figures.errors)))
            cells.append(f"{np.median(figures.seconds) / np.median(first.seconds):.2f}")
        else:
            cells += ["", ""]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
