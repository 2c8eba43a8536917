"""A vocabulary of ORB features in the text format of DBoW2, which ORB-SLAM3 asks for.

    python benchmarks/orb_vocabulary.py FILE PHOTOGRAPH_FOLDER...

For `price_of_motion.py -f orb-slam3`, where the vocabulary that its authors publish is not at hand.
It serves to find matches quickly, and loops; without loops in a sequence little depends on it.
Source: Galvez-Lopez and Tardos, "Bags of binary words", T-RO 2012: descriptors split in ten by
k-means, and each part again; the weight of a word is the inverse document frequency.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

_BRANCHES, _LEVELS = 10, 5
_FEATURES, _PIXELS = 600, 720  # of a photograph, and its longest side
_ROUNDS = 6  # of k-means
_MOST = 20_000  # descriptors that the centres are found from

Bytes = NDArray[np.uint8]


def main() -> None:
    """Write the vocabulary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--photographs", type=int, default=400, help="at most")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    files = sorted(file for folder in options.folders for file in folder.rglob("*.jpg"))
    random = np.random.default_rng(0)
    chosen = random.permutation(len(files))[: options.photographs]
    seen = [one for one in (_described(files[at]) for at in chosen) if one is not None]
    picture = np.repeat(np.arange(len(seen)), [len(one) for one in seen])
    words = _Words(np.concatenate(seen), picture, random)
    words.split(np.arange(len(picture)), parent=0, level=1)
    head = f"{_BRANCHES} {_LEVELS} 0 0"  # scored by L1, weighted by tf-idf
    options.file.write_text("\n".join([head, *words.lines]))  # no empty last line: it would count
    print(f"{options.file}: {len(words.lines)} nodes of {len(picture)} features")


def _described(path: Path) -> Bytes | None:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    scale = _PIXELS / max(image.shape)
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found: Bytes | None = cv2.ORB_create(_FEATURES).detectAndCompute(image, None)[1]
    return found


class _Words:
    """The nodes as lines `parent leaf byte... weight`, numbered from 1 in that order."""

    def __init__(
        self, descriptors: Bytes, picture: NDArray[np.int64], random: np.random.Generator
    ) -> None:
        self._bytes = descriptors
        self._signs = np.unpackbits(descriptors, axis=1).astype(np.float32) * 2 - 1
        self._picture = picture
        self._random = random
        self.lines: list[str] = []

    def split(self, rows: NDArray[np.int64], parent: int, level: int) -> None:
        """Add the children of a node that the descriptors `rows` have come to."""
        centres = self._centres(rows)
        nearest = (self._signs[rows] @ (2.0 * centres.T - 1.0)).argmax(1)
        for number, centre in enumerate(np.packbits(centres, axis=1)):
            own = rows[nearest == number]
            if len(own) == 0:
                continue
            leaf = level == _LEVELS or len(own) <= _BRANCHES
            pictures = len(np.unique(self._picture[own]))
            weight = np.log((self._picture[-1] + 1) / pictures) if leaf else 0.0
            self.lines.append(f"{parent} {int(leaf)} {' '.join(map(str, centre))} {weight:.6f}")
            if not leaf:
                self.split(own, len(self.lines), level + 1)

    def _centres(self, rows: NDArray[np.int64]) -> Bytes:
        """Bits (10, 256) of the centres."""
        some = self._random.permutation(rows)[:_MOST]
        signs = self._signs[some]
        centres = (self._signs[some[: min(_BRANCHES, len(some))]] > 0).astype(np.uint8)
        for _ in range(_ROUNDS):
            nearest = (signs @ (2.0 * centres.T - 1.0)).argmax(1)
            for number in range(len(centres)):
                if (nearest == number).any():
                    centres[number] = signs[nearest == number].sum(0) > 0
        return centres


if __name__ == "__main__":
    main()
