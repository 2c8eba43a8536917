r"""The oracle's lead, and wrong matches that lie on their epipolar lines by accident.

    python benchmarks/accidental_matches.py runs/matches/development_orb_640.h5

The oracle of `msga eval` keeps every match within the threshold of the true motion: true ones, and
wrong ones whose point lies on the line by accident. The latter support the true motion alone, and
no pruner can know them. Three sets of matches of each pair, PoseLib on each: all that the oracle
keeps; those of them that a mutual check and the ratio test of the defaults leave (`prefiltered`);
these, and what lies on its line when the other matches are given each other's partners, none of
which is true (`prefiltered, accidental`).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from msga_ros.datasets.dumps import INLIER_THRESHOLD, DumpFile, Pair, true_residual
from msga_ros.evaluation.estimators import create
from msga_ros.evaluation.metrics import pose_auc
from msga_ros.frontend.matching import passing
from msga_ros.geometry.pose import pose_error_deg
from msga_ros.two_view.config import PipelineConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("dump", type=Path)
    parser.add_argument("--stride", type=int, default=1, help="every so many pairs")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    estimate = create("oracle+poselib", PipelineConfig())
    rng = np.random.default_rng(0)
    errors: dict[str, list[float]] = {}
    counts: dict[str, list[int]] = {}
    with DumpFile(asked.dump) as dump:
        for index in range(0, len(dump), asked.stride):
            pair = dump[index]
            for name, seen in versions(pair, rng).items():
                found = estimate(seen)
                truth = pair.rotation, pair.translation
                error = max(pose_error_deg(found.rotation, found.translation, *truth))
                errors.setdefault(name, []).append(error if found.success else np.inf)
                counts.setdefault(name, []).append(int((seen.residual < INLIER_THRESHOLD).sum()))
    table = Table("matches", "median number", "AUC@5/10/20", title=f"{asked.dump.name}")
    for name, of_pairs in errors.items():
        areas = "/".join(f"{100 * value:.1f}" for value in pose_auc(of_pairs))
        table.add_row(name, f"{np.median(counts[name]):.0f}", areas)
    Console().print(table)


def versions(pair: Pair, rng: np.random.Generator) -> dict[str, Pair]:
    """The pair with the matches of each set; what is not in the set is far from the motion."""
    config = PipelineConfig().frontend
    shown = passing(pair.ratios, pair.mutuals, config.ratio, config.mutual, config.max_matches)
    others = np.flatnonzero(~shown)
    shuffled = pair.correspondences.copy()
    shuffled[others, 2:] = pair.correspondences[rng.permutation(others), 2:]
    residual = true_residual(shuffled, pair.rotation, pair.translation).astype(np.float32)
    alone = np.where(shown, pair.residual, np.float32(np.inf))
    return {
        "oracle": pair,
        "prefiltered": replace(pair, residual=alone),
        "prefiltered, accidental": replace(pair, correspondences=shuffled, residual=residual),
    }


if __name__ == "__main__":
    main()
