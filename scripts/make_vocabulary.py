#!/usr/bin/env python3
r"""Trains the vocabulary of `msga loops` on the photographs of the training places, never `val`.

    python scripts/make_vocabulary.py ../shared/data \
        --output msga_ros/loops/vocabularies/sift.safetensors

Every `--every`-th image of each place; SIFT at `--size` pixels; k-means for the centres, principal
components for the whitening.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import cv2
import numpy as np

from msga_ros.frontend.config import FrontendConfig
from msga_ros.loops.vlad import Vocabulary, principal_components, residual_sums
from msga_ros.two_view.chosen_stages import create_frontend

FRONTEND = "sift"


def training_images(data: Path, every: int) -> list[Path]:
    """Of the places that `places.csv` calls `train`."""
    with (data / "places.csv").open(newline="", encoding="utf-8") as file:
        names = [row["name"] for row in csv.DictReader(file) if row["split"] == "train"]
    return [
        image
        for name in names
        for image in sorted((data / "places" / name / "images").iterdir())[::every]
    ]


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--centres", type=int, default=32)
    parser.add_argument("--length", type=int, default=128, help="of a global descriptor")
    parser.add_argument("--every", type=int, default=2)
    parser.add_argument("--size", type=int, default=480, help="longest side, pixels")
    parser.add_argument("--keypoints", type=int, default=500)
    asked = parser.parse_args()
    config = FrontendConfig(name=FRONTEND, max_keypoints=asked.keypoints, max_image_size=asked.size)
    frontend, started = create_frontend(config), time.monotonic()
    local = []
    images = training_images(asked.data, asked.every)
    for image in images:
        pixels = np.asarray(cv2.imread(str(image), cv2.IMREAD_GRAYSCALE))
        local.append(np.asarray(frontend.extract(pixels).descriptors, np.float32))
    print(f"{len(local)} images, {time.monotonic() - started:.0f} s", flush=True)
    samples = np.concatenate([one[::2] for one in local])
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_MAX_ITER, 25, 0.0)
    _, _, found = cv2.kmeans(
        samples, asked.centres, np.empty(0), criteria, 1, cv2.KMEANS_PP_CENTERS
    )
    centres = np.asarray(found, np.float32)
    print(f"{len(samples)} descriptors, {time.monotonic() - started:.0f} s", flush=True)
    raw = np.stack([residual_sums(one, centres) for one in local if len(one)])
    mean, projection = principal_components(raw, asked.length)
    Vocabulary(centres, mean, projection, FRONTEND).save(asked.output)
    print(f"{asked.output}: {asked.output.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
