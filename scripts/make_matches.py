#!/usr/bin/env python3
"""Make all matches for training and evaluation from the shared photographs, in one go.

    scripts/make_matches.py                      # ../shared/data to runs/matches/
    scripts/make_matches.py --only development   # the files whose names begin so

One dump for each part (`train`, `development`, `val`), front end and image size. What is finished
stays: after a stop the same command goes on where it was. Prints the time of each file and, at the
end, pairs and shares of true matches.

`development` are the places of `configs/development_places.txt`, `train` all other ones that
`places.csv` calls so and the scenes whose correspondences are in `train-*.h5`.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from msga_ros.datasets.dumps import INLIER_THRESHOLD, DumpFile
from msga_ros.datasets.posed.base import PosedScene
from msga_ros.datasets.posed.dump import DumpConfig, dump
from msga_ros.datasets.posed.executors import local
from msga_ros.datasets.posed.sources import open_scene
from msga_ros.frontend.config import FrontendConfig

DEVELOPMENT = Path(__file__).parents[1] / "configs" / "development_places.txt"
TRAINING_SCENES = (
    "kitti_stereo_seq1",
    "sfm_redkitchen_video",
    "sfm_saharov32",
    "sfm_sceaux_castle",
)
BITS = 16  # coordinates in steps of 0.01 pixels at a focal length of 700
_WIDTH = 120  # columns of what is printed, wherever it goes
SHARES = (0.0, 0.05, 0.1, 0.2, 0.4, 1.0)  # of true matches, limits of the columns of the table


@dataclass(frozen=True)
class Setting:
    """How the pairs of a part are matched: one file. `size`: longest side of an image in pixels."""

    frontend: str
    size: int
    keypoints: int
    pairs: int
    seed: int


TRAINING = (
    Setting("sift", 720, 2000, pairs=40, seed=1),
    Setting("sift", 480, 1000, pairs=15, seed=2),
    Setting("orb", 720, 2000, pairs=15, seed=3),
    Setting("akaze", 720, 2000, pairs=15, seed=4),
)
EVALUATION = (
    Setting("sift", 640, 2000, pairs=25, seed=0),
    Setting("orb", 640, 2000, pairs=8, seed=0),
    Setting("akaze", 640, 2000, pairs=8, seed=0),
)
# In this order. The development places are trained on in the last run, so they come in both ways.
FILES = (
    *(("development", setting) for setting in EVALUATION),
    *(("train", setting) for setting in TRAINING),
    *(("val", setting) for setting in EVALUATION),
    *(("development", setting) for setting in TRAINING),
)


def main() -> None:
    arguments = _arguments()
    folders = parts(arguments.shared / "data", DEVELOPMENT)
    arguments.output.mkdir(parents=True, exist_ok=True)
    console, written = Console(width=_WIDTH, highlight=False), []
    started = time.monotonic()
    for part, setting in FILES:
        path = arguments.output / f"{part}_{setting.frontend}_{setting.size}.h5"
        if not path.name.startswith(arguments.only):
            continue
        written.append(path)
        if path.exists():
            console.print(f"{path}: there already")
            continue
        before = time.monotonic()
        make(folders[part], setting, path, arguments.workers)
        console.print(f"{path}: {time.monotonic() - before:.0f} s")
    console.print(f"all: {time.monotonic() - started:.0f} s")
    console.print(summary(written))


def parts(data: Path, development: Path) -> Mapping[str, Sequence[Path]]:
    """Folders of images of each part, by the table of places and the list of development places."""
    with (data / "places.csv").open(newline="", encoding="utf-8") as file:
        split = {row["name"]: row["split"] for row in csv.DictReader(file)}
    lines = development.read_text(encoding="utf-8").splitlines()
    chosen = [name for line in lines if (name := line.partition("#")[0].strip())]
    wrong = [name for name in chosen if split.get(name) != "train"]
    if wrong:
        raise SystemExit(f"{development}: not among the training places: {', '.join(wrong)}")
    train = [name for name, part in split.items() if part == "train" and name not in chosen]
    val = [name for name, part in split.items() if part == "val"]
    return {
        "train": [
            *(data / "places" / name for name in train),
            *(data / "scenes" / name for name in TRAINING_SCENES),
        ],
        "development": [data / "places" / name for name in chosen],
        "val": [data / "places" / name for name in val],
    }


def make(folders: Sequence[Path], setting: Setting, output: Path, workers: int) -> None:
    """Write one dump, or go on with it."""
    frontend = FrontendConfig(
        name=setting.frontend, max_keypoints=setting.keypoints, max_image_size=setting.size
    )
    config = DumpConfig(
        frontend=frontend, pairs=setting.pairs, seed=setting.seed, bits=BITS, residuals=False
    )
    scenes: list[PosedScene] = [open_scene(folder) for folder in folders]
    dump(scenes, output, config, local(workers))


def summary(paths: Sequence[Path]) -> Table:
    """Pairs of each file, and how many of them have which share of true matches."""
    table = Table(box=None, pad_edge=False)
    table.add_column("file")
    heads = ("places", "pairs", "matches", "median share")
    limits = (f"{low:.0%}-{high:.0%}" for low, high in pairwise(SHARES))
    for head in (*heads, *limits):
        table.add_column(head, justify="right")
    for path in paths:
        with DumpFile(path) as pairs:
            rows = [(pair.scene, len(pair.residual), share) for pair, share in _shares(pairs)]
        scenes, matches, shares = zip(*rows, strict=True)
        counts, _ = np.histogram(shares, SHARES)
        table.add_row(
            path.name,
            str(len(set(scenes))),
            str(len(rows)),
            f"{np.mean(matches):.0f}",
            f"{np.median(shares):.1%}",
            *(f"{count / len(rows):.0%}" for count in counts),
        )
    return table


def _shares(pairs: DumpFile) -> Iterator[tuple]:
    for pair in pairs:
        yield pair, float(np.mean(pair.residual < INLIER_THRESHOLD))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    root = Path(__file__).parents[1]
    parser.add_argument("--shared", type=Path, default=root.parent / "shared")
    parser.add_argument("--output", type=Path, default=root / "runs" / "matches")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: one a processor")
    parser.add_argument("--only", default="", help="make the files whose names begin so")
    return parser.parse_args()


if __name__ == "__main__":
    main()
