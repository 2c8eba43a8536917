#!/usr/bin/env python3
"""Matches of DISK and LightGlue for a file of photographs, where its poses agree (docs/dense.md).

    python scripts/teach_photographs.py PHOTOGRAPHS.h5 [--images N] [--max-seconds S]

They are added to the file as they come; a later call goes on. Needs the extra `learned`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from msga_ros.datasets.photographs.pack import add_taught, read_photographs
from msga_ros.datasets.photographs.teacher import Teacher, TeachingConfig
from msga_ros.frontend import disk
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.matchers import lightglue


def main() -> None:
    """Add to the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--images", type=int, default=4, help="of a place, spread evenly")
    parser.add_argument("--longest", type=int, default=384, help="pixels, that the teacher sees")
    parser.add_argument("--keypoints", type=int, default=1024)
    parser.add_argument("--max-seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    photographs = read_photographs(given.photographs)
    config = FrontendConfig(
        name="disk", max_keypoints=given.keypoints, max_image_size=given.longest
    )
    teacher = Teacher(
        photographs,
        disk.create(config),
        lightglue.create(config),
        TeachingConfig(images=given.images),
    )
    known = {(one.first, one.second) for one in photographs.taught}
    pairs = [p for p in teacher.pairs(np.random.default_rng(given.seed)) if p not in known]
    until = time.monotonic() + given.max_seconds
    kept = tried = 0
    for taught in teacher.taught(pairs):
        tried += 1
        if taught is not None:
            add_taught(given.photographs, taught)
            kept += 1
        if tried % 20 == 0:
            print(f"{tried} of {len(pairs)} pairs, {kept} kept", flush=True)
        if time.monotonic() > until:
            break
    print(f"{given.photographs}: {len(known) + kept} pairs with matches, {tried} tried")


if __name__ == "__main__":
    main()
