"""Training batches: a function of (seed, iteration) alone, so that a resumed run sees the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from msga_ros.geometry.epipolar import essential_from_pose, symmetric_epipolar_distance_squared
from msga_ros.training.augmentation import Sample, augmented
from msga_ros.training.dumps import DumpFile, Pair
from msga_ros.training.synthetic import synthetic_sample


@dataclass(frozen=True)
class BatchConfig:
    """What a batch is made of."""

    dumps: tuple[str, ...] = ()  # paths of correspondence dumps; none: synthetic scenes only
    synthetic: float = 0.2  # share of synthetic samples beside the dumps'
    matches: int = 2048  # in a batch: samples times matches a sample
    sizes: tuple[int, ...] = (192, 256, 384, 512)  # matches a sample; one size for a whole batch
    augment: bool = True
    unknown_evidence: float = 0.1  # share of samples whose descriptors are said to know nothing


@dataclass(frozen=True)
class Batch:
    """`correspondences` `(B, N, 4)`, `residual` `(B, N)` to the true matrix, `rotation`
    `(B, 3, 3)`, `translation` `(B, 3)` and `evidence` `(B, N, 2)` (ratio, mutual); float32."""

    correspondences: Tensor
    residual: Tensor
    rotation: Tensor
    translation: Tensor
    evidence: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        return Batch(
            self.correspondences.to(device),
            self.residual.to(device),
            self.rotation.to(device),
            self.translation.to(device),
            self.evidence.to(device),
        )


class BatchSource:
    """Batches from dumps held in memory and from synthetic scenes."""

    def __init__(self, config: BatchConfig, seed: int) -> None:
        self.config = config
        self.seed = seed
        self.pairs: list[Pair] = []
        for path in config.dumps:
            with DumpFile(Path(path).expanduser()) as dump:
                self.pairs.extend(dump)

    def batch(self, iteration: int) -> Batch:
        """The batch of one iteration."""
        generator = np.random.default_rng((self.seed, iteration))
        count = int(generator.choice(self.config.sizes))
        drawn = [
            self._sample(generator, count) for _ in range(max(2, self.config.matches // count))
        ]
        correspondences = _stack([sample.correspondences for sample, _ in drawn])
        rotation = _stack([sample.rotation for sample, _ in drawn])
        translation = _stack([sample.translation for sample, _ in drawn])
        evidence = _stack([evidence for _, evidence in drawn])
        residual = symmetric_epipolar_distance_squared(
            correspondences, essential_from_pose(rotation, translation)
        )
        return Batch(
            correspondences.float(),
            residual.float(),
            rotation.float(),
            translation.float(),
            evidence.float(),
        )

    def _sample(
        self, generator: np.random.Generator, count: int
    ) -> tuple[Sample, NDArray[np.float64]]:
        """A sample and its evidence."""
        if not self.pairs or generator.random() < self.config.synthetic:
            sample, evidence = synthetic_sample(generator, count)
        else:
            pair = self.pairs[int(generator.integers(len(self.pairs)))]
            chosen = choose_matches(pair, generator, count)
            sample = Sample(
                pair.correspondences[chosen].astype(np.float64), pair.rotation, pair.translation
            )
            evidence = pair.evidence[chosen].astype(np.float64)
        if self.config.augment:
            sample = augmented(sample, generator)
            # Other descriptors spread their ratios otherwise.
            evidence[:, 0] **= generator.uniform(0.7, 1.4)
        if generator.random() < self.config.unknown_evidence:
            evidence[:] = (1.0, 0.0)
        return sample, evidence


def choose_matches(pair: Pair, generator: np.random.Generator, count: int) -> NDArray[np.int64]:
    """`count` matches of a pair as one of several prefilters would leave them.

    Sometimes all are candidates, mostly those that a mutual check or a ratio test passes; where a
    filter leaves fewer than wanted, the best of the others by ratio fill up, so that every sample
    of a batch has the same size and the shares of inliers vary widely.
    """
    filters: Sequence[NDArray[np.bool_]] = (
        np.ones(len(pair.ratios), dtype=bool),
        pair.mutuals,
        pair.ratios < 0.95,
        pair.mutuals & (pair.ratios < 0.95),
        pair.mutuals & (pair.ratios < 0.9),
    )
    passed = filters[int(generator.choice(len(filters), p=(0.1, 0.25, 0.15, 0.3, 0.2)))]
    inside = generator.permutation(np.flatnonzero(passed))
    if len(inside) >= count:
        return inside[:count]
    outside = np.flatnonzero(~passed)
    outside = outside[np.argsort(pair.ratios[outside], kind="stable")]
    chosen = np.concatenate((inside, outside))[:count]
    if len(chosen) < count:
        chosen = np.concatenate((chosen, generator.choice(chosen, count - len(chosen))))
    return generator.permutation(chosen)


def _stack(arrays: list[NDArray[np.float64]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))
