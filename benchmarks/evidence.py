r"""What each entry of the evidence tells of a match by itself, on photographs with known poses.

    python benchmarks/evidence.py ../shared/data/places runs/matches/development_sift_640.h5

Matches the pairs that a dump names again, and prints the area under the ROC curve (true against
wrong matches, mean over pairs), of all matches and of those that a mutual check leaves: of the
ratio, of the distance, and of the dual softmax at several temperatures. True is what is within the
published threshold of the true motion, so a few wrong matches count as true ones.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from msga_ros.datasets.dumps import INLIER_THRESHOLD, true_residual
from msga_ros.datasets.posed.base import PosedImage
from msga_ros.datasets.posed.selection import listed
from msga_ros.datasets.posed.sources import open_scene
from msga_ros.frontend import Features
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.matching import match_features
from msga_ros.frontend.pictures import read_picture
from msga_ros.two_view.stages import Frontend, create_frontend

Floats = NDArray[np.floating]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("places", type=Path, help="folder of the scenes that the dump is of")
    parser.add_argument("dump", type=Path, help="made by `msga dump`")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.01, 0.02, 0.03, 0.05])
    parser.add_argument("--stride", type=int, default=1, help="every so many pairs of a scene")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    with h5py.File(asked.dump) as file:
        settings = json.loads(file.attrs["settings"])
    names = {entry.name for entry in dataclasses.fields(FrontendConfig)} - {"own"}
    told = {name: value for name, value in settings["frontend"].items() if name in names}
    frontend = create_frontend(FrontendConfig(**told))
    scenes = [open_scene(asked.places / name) for name in settings["scenes"]]
    rows: list[dict[tuple[str, str], float]] = []
    for scene, pairs in zip(scenes, listed(scenes, asked.dump), strict=True):
        features = cache(lambda index, images=scene.images: extracted(frontend, images[index]))
        for first, second in pairs[:: asked.stride].tolist():
            images = scene.images[first], scene.images[second]
            found = entries(features(first), features(second), asked.temperatures)
            true = true_matches(images, features(first), features(second), found)
            rows.append(areas(found, true))
    table = Table("entry", "all matches", "mutual ones", title=f"{len(rows)} pairs")
    for name in dict.fromkeys(name for row in rows for name, _ in row):
        means = (np.nanmean([row[name, part] for row in rows]) for part in ("all", "mutual"))
        table.add_row(name, *(f"{mean:.3f}" for mean in means))
    Console().print(table)


def extracted(frontend: Frontend, image: PosedImage) -> Features:
    return frontend.extract(read_picture(image.path))


def entries(
    first: Features, second: Features, temperatures: Sequence[float]
) -> Mapping[str, Floats]:
    """Of every match (N,): the larger, the likelier; beside them `nearest` and `mutual`."""
    told = {}
    for temperature in temperatures:
        matches = match_features(first, second, 1.0, False, temperature=temperature)
        told[f"dual softmax, {temperature:g}"] = matches.dual_softmax
    return {
        "ratio": -matches.ratio,
        "distance": -matches.distance,
        **told,
        "nearest": matches.feature_indices[1],
        "mutual": matches.mutual,
    }


def true_matches(
    images: tuple[PosedImage, PosedImage],
    first: Features,
    second: Features,
    found: Mapping[str, Floats],
) -> NDArray[np.bool_]:
    """Which of the matches (N,) the true motion explains."""
    motion = images[1].pose.relative_to(images[0].pose)
    translation = motion.translation / np.linalg.norm(motion.translation)
    points0 = images[0].camera.normalize(first.keypoints)
    points1 = images[1].camera.normalize(second.keypoints[found["nearest"]])
    rows = np.hstack((points0, points1)).astype(np.float32)
    return true_residual(rows, motion.rotation, translation) < INLIER_THRESHOLD


def areas(found: Mapping[str, Floats], true: NDArray[np.bool_]) -> dict[tuple[str, str], float]:
    """Area under the ROC curve of each entry, of all matches and of the mutual ones."""
    parts = {"all": np.ones(len(true), np.bool_), "mutual": found["mutual"].astype(np.bool_)}
    return {
        (name, part): area(found[name][chosen], true[chosen])
        for name in found
        if name not in ("nearest", "mutual")
        for part, chosen in parts.items()
    }


def area(values: Floats, true: NDArray[np.bool_]) -> float:
    """How often a true match has a larger value than a wrong one; equal ones count half."""
    right, wrong = np.sort(values[true]), np.sort(values[~true])
    if not len(right) or not len(wrong):
        return float("nan")
    below = np.searchsorted(wrong, right, "left") + np.searchsorted(wrong, right, "right")
    return float(below.mean() / (2 * len(wrong)))


if __name__ == "__main__":
    main()
