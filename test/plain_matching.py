"""Random descriptors, as features of an image, and their distances by the book."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend import Features


def features(descriptors: NDArray[np.generic]) -> Features:
    count = len(descriptors)
    return Features(
        np.zeros((count, 2), np.float32), np.ones(count, np.float32), descriptors, (64, 48)
    )


def random_descriptors(kind: str, count: int, rng: np.random.Generator) -> NDArray[np.generic]:
    if kind == "bits":
        return rng.integers(0, 256, (count, 32)).astype(np.uint8)
    vectors = rng.normal(size=(count, 128)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def plain_distances(a: NDArray[np.generic], b: NDArray[np.generic]) -> NDArray[np.float64]:
    if a.dtype == np.uint8:
        return np.unpackbits(a[:, None] ^ b[None], axis=2).sum(axis=2).astype(np.float64)
    return np.linalg.norm(a[:, None].astype(np.float64) - b[None], axis=2)
