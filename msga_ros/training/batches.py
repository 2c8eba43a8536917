"""Training batches: a function of (seed, iteration) alone, so that a resumed run sees the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from msga_ros.datasets.dumps import DumpFile, Pair
from msga_ros.geometry.epipolar import essential_from_pose, symmetric_epipolar_distance_squared
from msga_ros.training.augmentation import Sample, augmented, crop
from msga_ros.training.synthetic_scenes import synthetic_batch

_FEWEST = 64  # matches that a crop and a filter must leave to be applied


@dataclass(frozen=True)
class BatchConfig:
    """What a batch is made of."""

    dumps: tuple[str, ...] = ()  # paths of correspondence dumps; none: synthetic scenes only
    scenes: tuple[str, ...] = ()  # of the dumps; none: all that they hold
    synthetic: float = 0.2  # share of synthetic samples beside the dumps'
    matches: int = 2048  # in a batch: samples times matches a sample
    sizes: tuple[int, ...] = (192, 256, 384, 512)  # matches a sample at most; one for a whole batch
    # Where a filter leaves fewer matches: True: fill up with others, so that all samples have one
    # size (fast on a CPU); False: mask what is missing.
    fill: bool = True
    # How often matches are filtered by: nothing, mutual check, ratio < 0.95, both, both with 0.9.
    filters: tuple[float, ...] = (0.1, 0.25, 0.15, 0.3, 0.2)
    augment: bool = True
    crops: float = 0.0  # share of the dumps' samples that see a part of both images only
    focal_error: float = 0.0  # deviation of the logarithm of both focal lengths; not exact
    unknown_evidence: float = 0.1  # share of samples whose descriptors are said to know nothing

    def __post_init__(self) -> None:
        if len(self.filters) != 5 or min(self.filters) < 0 or sum(self.filters) <= 0:
            raise ValueError(f"filters must be five shares, not {self.filters}")
        if not self.sizes or min(self.sizes) < 1:
            raise ValueError(f"sizes must be positive, not {self.sizes}")


@dataclass(frozen=True)
class Batch:
    """`correspondences` `(B, N, 4)`, `residual` `(B, N)` to the true matrix, `rotation`
    `(B, 3, 3)`, `translation` `(B, 3)` and `evidence` `(B, N, 2)` (ratio, mutual); float32.
    `valid` `(B, N)` bool: which rows are matches; the others are zeros, their residual inf."""

    correspondences: Tensor
    residual: Tensor
    rotation: Tensor
    translation: Tensor
    evidence: Tensor
    valid: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        return Batch(*(tensor.to(device) for tensor in self.tensors()))

    def tensors(self) -> tuple[Tensor, ...]:
        """All of them, in the order of the constructor."""
        return tuple(getattr(self, entry.name) for entry in dataclasses.fields(self))

    def swapped(self) -> Batch:
        """The same pairs, each the other way round."""
        back = self.rotation.transpose(1, 2)
        return dataclasses.replace(
            self,
            correspondences=self.correspondences[..., [2, 3, 0, 1]],
            rotation=back,
            translation=-(back @ self.translation.unsqueeze(-1)).squeeze(-1),
        )


class BatchSource:
    """Batches from dumps held in memory and from synthetic scenes, which are made on `device`."""

    def __init__(self, config: BatchConfig, seed: int, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.seed = seed
        self.device = torch.device(device)
        self.pairs: list[Pair] = []
        for path in config.dumps:
            with DumpFile(Path(path).expanduser()) as dump:
                self.pairs.extend(p for p in dump if not config.scenes or p.scene in config.scenes)
        missing = set(config.scenes) - {pair.scene for pair in self.pairs}
        if missing:
            raise ValueError(f"no pairs of {', '.join(sorted(missing))} in the dumps")

    def batch(self, iteration: int) -> Batch:
        """The batch of one iteration, on the source's device."""
        generator = np.random.default_rng((self.seed, iteration))
        count = int(generator.choice(self.config.sizes))
        samples = max(2, self.config.matches // count)
        made = int(generator.binomial(samples, self.config.synthetic)) if self.pairs else samples
        parts = []
        if made:
            parts.append(self._synthetic(made, count, int(generator.integers(2**62))))
        if made < samples:
            drawn = [self._from_pair(generator, count) for _ in range(samples - made)]
            parts.append(_stacked(drawn).to(self.device))
        return self._with_evidence_changed(_joined(parts), generator)

    def _synthetic(self, samples: int, count: int, seed: int) -> Batch:
        generator = torch.Generator(self.device).manual_seed(seed)
        scenes = synthetic_batch(samples, count, generator)
        return Batch(
            scenes.correspondences,
            symmetric_epipolar_distance_squared(
                scenes.correspondences, essential_from_pose(scenes.rotation, scenes.translation)
            ),
            scenes.rotation,
            scenes.translation,
            scenes.evidence,
            torch.ones_like(scenes.inlier),
        )

    def _from_pair(self, generator: np.random.Generator, count: int) -> Batch:
        """One sample, without a batch dimension."""
        config = self.config
        pair = self.pairs[int(generator.integers(len(self.pairs)))]
        candidates: NDArray[np.int64] = np.arange(len(pair.ratios))
        if config.augment and generator.random() < config.crops:
            inside = np.flatnonzero(crop(pair.correspondences, generator))
            candidates = inside if len(inside) >= _FEWEST else candidates
        chosen = choose_matches(pair, generator, count, candidates, config.filters, config.fill)
        sample = Sample(
            pair.correspondences[chosen].astype(np.float64), pair.rotation, pair.translation
        )
        if config.augment:
            sample = augmented(sample, generator)
        return _labelled(sample, pair.evidence[chosen, :2], generator, config.focal_error)

    def _with_evidence_changed(self, batch: Batch, generator: np.random.Generator) -> Batch:
        """Other descriptors spread their ratios otherwise; of some samples nothing is known."""
        samples = len(batch.evidence)
        power = generator.uniform(0.7, 1.4, samples) if self.config.augment else np.ones(samples)
        unknown = generator.random(samples) < self.config.unknown_evidence
        powers = torch.from_numpy(power).to(batch.evidence)[:, None]
        ratio, mutual = batch.evidence.unbind(-1)
        evidence = torch.stack((ratio**powers, mutual), -1)
        nothing = torch.tensor([1.0, 0.0], device=evidence.device)
        mask = torch.from_numpy(unknown).to(evidence.device)[:, None, None]
        evidence = torch.where(mask, nothing, evidence) * batch.valid.unsqueeze(-1)
        return dataclasses.replace(batch, evidence=evidence)


def choose_matches(
    pair: Pair,
    generator: np.random.Generator,
    count: int,
    candidates: NDArray[np.int64] | None = None,
    filters: Sequence[float] = BatchConfig.filters,
    fill: bool = True,
) -> NDArray[np.int64]:
    """Indices of at most `count` matches of a pair as one of several prefilters would leave them.

    A filter that leaves fewer than 64 is not applied.

    Args:
        candidates: indices to choose from; None: all.
        filters: how often each is chosen, as in `BatchConfig`.
        fill: where a filter leaves fewer than `count`, add the best of the other candidates by
            ratio, and repeat matches where even those are too few: always exactly `count`.
    """
    if candidates is None:
        candidates = np.arange(len(pair.ratios))
    ratios, mutuals = pair.ratios[candidates], pair.mutuals[candidates]
    masks: Sequence[NDArray[np.bool_]] = (
        np.ones(len(ratios), dtype=bool),
        mutuals,
        ratios < 0.95,
        mutuals & (ratios < 0.95),
        mutuals & (ratios < 0.9),
    )
    passed = masks[int(generator.choice(len(masks), p=np.divide(filters, np.sum(filters))))]
    if not fill and passed.sum() < _FEWEST:
        passed = masks[0]
    inside = generator.permutation(np.flatnonzero(passed))
    if len(inside) >= count or not fill:
        return np.asarray(candidates[inside[:count]])
    outside = np.flatnonzero(~passed)
    outside = outside[np.argsort(ratios[outside], kind="stable")]
    chosen = np.concatenate((inside, outside))[:count]
    if len(chosen) < count:
        chosen = np.concatenate((chosen, generator.choice(chosen, count - len(chosen))))
    return np.asarray(candidates[generator.permutation(chosen)])


def _labelled(
    sample: Sample,
    evidence: NDArray[np.float32],
    generator: np.random.Generator,
    focal_error: float,
) -> Batch:
    """A sample with its residuals, as if normalised with focal lengths that are off by a little.

    What such coordinates obey is no longer an essential matrix: residuals follow the matrix that
    they do obey, rotation and translation stay the true ones.
    """
    matches = torch.from_numpy(sample.correspondences)
    rotation = torch.from_numpy(np.ascontiguousarray(sample.rotation))
    translation = torch.from_numpy(np.ascontiguousarray(sample.translation))
    matrix = essential_from_pose(rotation, translation)
    if focal_error:
        scale = torch.from_numpy(np.exp(focal_error * generator.normal(size=2)))
        matches = matches * scale.repeat_interleave(2)
        undo = [torch.stack((1 / s, 1 / s, torch.ones_like(s))) for s in scale]
        matrix = undo[1][:, None] * matrix * undo[0]
    residual = symmetric_epipolar_distance_squared(matches, matrix)
    return Batch(
        matches.float(),
        residual.float(),
        rotation.float(),
        translation.float(),
        torch.from_numpy(evidence).float(),
        torch.ones(len(matches), dtype=torch.bool),
    )


def _stacked(samples: Sequence[Batch]) -> Batch:
    """A batch of single samples, padded to the longest."""
    longest = max(len(sample.valid) for sample in samples)
    padded = [_padded(sample, longest, 0) for sample in samples]
    columns = zip(*(sample.tensors() for sample in padded), strict=True)
    return Batch(*(torch.stack(column) for column in columns))


def _joined(batches: Sequence[Batch]) -> Batch:
    """One batch, padded to the longest of them."""
    longest = max(batch.valid.shape[1] for batch in batches)
    padded = [_padded(batch, longest, 1) for batch in batches]
    columns = zip(*(batch.tensors() for batch in padded), strict=True)
    return Batch(*(torch.cat(column) for column in columns))


def _padded(batch: Batch, count: int, dimension: int) -> Batch:
    """With rows that are no matches up to `count`, which lie along `dimension`."""
    missing = count - batch.valid.shape[dimension]
    if not missing:
        return batch

    def grown(values: Tensor, fill: float = 0.0) -> Tensor:
        shape = list(values.shape)
        shape[dimension] = missing
        return torch.cat((values, values.new_full(shape, fill)), dimension)

    return dataclasses.replace(
        batch,
        correspondences=grown(batch.correspondences),
        residual=grown(batch.residual, torch.inf),
        evidence=grown(batch.evidence),
        valid=grown(batch.valid),
    )
