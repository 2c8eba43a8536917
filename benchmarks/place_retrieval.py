"""How well `msga loops` knows places again: candidates by the global descriptor, and verification.

    python benchmarks/place_retrieval.py ../shared/data --split val --verify

Every image is a query against all others of all places of the split. `--verify`: the pipeline
relates each query to the most similar image of its own place, and to the most similar one of
another place, the hardest distractor; the table tells, for thresholds of `--min-inliers`, how many
of the former hold and how many of the latter do. Whatever holds of another place is a wrong loop.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from msga_ros.datasets.posed.sources import open_scene
from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera
from msga_ros.loops.vlad import packaged_vocabulary
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.pipeline import TwoViewPipeline
from msga_ros.two_view.result import Status

THRESHOLDS = (12, 20, 30, 40, 60, 100)


@dataclass(frozen=True)
class Seen:
    """An image of a place."""

    place: int
    features: Features
    camera: Camera
    descriptor: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", choices=("val", "train"), default="val")
    parser.add_argument("--every", type=int, default=1, help="every n-th image of a place")
    parser.add_argument("--size", type=int, default=640, help="longest side, pixels")
    parser.add_argument("--verify", action="store_true")
    asked = parser.parse_args()
    vocabulary = packaged_vocabulary()
    entries = {"frontend.max_image_size": asked.size, "frontend.name": vocabulary.frontend}
    pipeline = TwoViewPipeline(PipelineConfig.load(**entries))
    with (asked.data / "places.csv").open(newline="", encoding="utf-8") as file:
        names = [row["name"] for row in csv.DictReader(file) if row["split"] == asked.split]
    seen = []
    for number, name in enumerate(names):
        for view in open_scene(asked.data / "places" / name).images[:: asked.every]:
            pixels = np.asarray(cv2.imread(str(view.path), cv2.IMREAD_GRAYSCALE))
            features = pipeline.extract(pixels)
            described = vocabulary.describe(features.descriptors)
            seen.append(Seen(number, features, view.camera, described))
    table, place = np.stack([one.descriptor for one in seen]), np.array([one.place for one in seen])
    similarity = table @ table.T
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1, kind="stable")
    right = place[order] == place[:, None]
    shares = {first: right[:, :first].any(axis=1).mean() for first in (1, 5, 10)}
    print(
        f"{asked.split}: {len(names)} places, {len(seen)} images; "
        + ", ".join(f"recall@{first} {100 * share:.1f} %" for first, share in shares.items()),
        flush=True,
    )
    if asked.verify:
        verify(pipeline, seen, order, right)


def verify(
    pipeline: TwoViewPipeline, seen: list[Seen], order: np.ndarray, right: np.ndarray
) -> None:
    """Relate each query to the best candidate of its place and of another one."""
    inliers, started = np.zeros((len(seen), 2), int), time.monotonic()
    for query, one in enumerate(seen):
        for column, wanted in enumerate((right[query], ~right[query])):
            # The query itself is at the end, and of its own place.
            candidates = order[query, :-1][wanted[:-1]]
            if not len(candidates):  # the only image of its place
                continue
            other = seen[candidates[0]]
            result = pipeline.relate_features(
                other.features, one.features, other.camera, one.camera
            )
            if result.status is not Status.TOO_FEW_MATCHES:
                inliers[query, column] = result.counts.geometric_inliers
    milliseconds = 1e3 * (time.monotonic() - started) / inliers.size
    print(f"{milliseconds:.0f} ms a verification")
    print("| matches that must agree | same place | another place |\n|---|---|---|")
    for threshold in THRESHOLDS:
        same, another = (inliers >= threshold).mean(axis=0)
        count = int((inliers[:, 1] >= threshold).sum())
        print(
            f"| {threshold} | {100 * same:.1f} % | {count} of {len(seen)} ({100 * another:.1f} %) |"
        )


if __name__ == "__main__":
    main()
