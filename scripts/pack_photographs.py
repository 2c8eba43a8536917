#!/usr/bin/env python3
"""Photographs for the training of the detector-free matcher, in one file (see docs/dense.md).

    python scripts/pack_photographs.py OUTPUT.h5 PLACE... [--without LIST.txt] [--rooms N]

PLACE: folders of posed images, as `msga dump` takes them. LIST.txt: names of places to leave out,
one a line. With --rooms the file holds views of N rendered rooms instead, whose surfaces bear the
photographs of the places.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from msga_ros.datasets.photographs.pack import Photograph, write_photographs
from msga_ros.datasets.photographs.posed import PackingConfig, photographs_of
from msga_ros.datasets.photographs.rendered import rendered_room


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("places", type=Path, nargs="+")
    parser.add_argument("--without", type=Path, action="append", default=[])
    parser.add_argument("--longest", type=int, default=480)
    parser.add_argument("--most-images", type=int, default=14)
    parser.add_argument("--rooms", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    left_out = {name for path in given.without for name in _names(path)}
    config = PackingConfig(longest=given.longest, most_images=given.most_images)
    images: list[Photograph] = []
    pairs: list[tuple[int, int]] = []
    for place in given.places:
        if place.name not in left_out:
            found, of_place = photographs_of(place, config, len(images))
            images += found
            pairs += of_place
    if given.rooms:
        images, pairs = _rooms(images, given.rooms, np.random.default_rng(given.seed))
    count = write_photographs(given.output, images, pairs)
    print(f"{given.output}: {count} images, {len(pairs)} pairs")


def _rooms(
    photographs: list[Photograph], count: int, rng: np.random.Generator
) -> tuple[list[Photograph], list[tuple[int, int]]]:
    textures = [one.grey for one in photographs]
    images: list[Photograph] = []
    pairs: list[tuple[int, int]] = []
    for number in range(count):
        views, of_room = rendered_room(textures, f"room{number}", rng)
        pairs += [(i + len(images), j + len(images)) for i, j in of_room]
        images += views
    return images, pairs


def _names(path: Path) -> list[str]:
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


if __name__ == "__main__":
    main()
