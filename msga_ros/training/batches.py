"""Training batches: a function of (seed, iteration) alone, so that a resumed run sees the same."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from msga_ros.datasets.dumps import DumpFile, Pair
from msga_ros.geometry.epipolar import essential_from_pose, symmetric_epipolar_distance_squared
from msga_ros.network.evidence import EVIDENCE
from msga_ros.training.augmentation import Samples, augmented, swap_views, windows
from msga_ros.training.padded_pairs import FEWEST, FILTERS, PaddedPairs, choose_matches, thinned
from msga_ros.training.synthetic_scenes import synthetic_batch
from msga_ros.training.synthetic_scenes.draws import Draws

_LEAST_SHARE = 0.02  # of true matches: a pair with less is no more likely to be drawn


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
    filters: tuple[float, ...] = FILTERS  # how often each prefilter is chosen
    augment: bool = True
    crops: float = 0.0  # share of the dumps' samples that see a part of both images only
    thinned: float = 0.0  # share of the dumps' samples that lack some of their true matches
    focal_error: float = 0.0  # deviation of the logarithm of both focal lengths; not exact
    # How much more often pairs with few true matches are drawn: pairs are as likely as their share
    # of those, at least 2 %, to the power of minus this.
    hard: float = 0.0
    unknown_evidence: float = 0.1  # share of samples whose descriptors are said to know nothing
    # Share of samples that each single entry of the evidence, but ratio and mutual, is hidden from.
    hidden_evidence: float = 0.1
    # Share that all of these are hidden from at once: as of keypoints without an angle or a size.
    hidden_together: float = 0.0
    # Batches that are made at a time, of one size: on a GPU it takes hardly longer than one.
    together: int = 1

    def __post_init__(self) -> None:
        if len(self.filters) != 5 or min(self.filters) < 0 or sum(self.filters) <= 0:
            raise ValueError(f"filters must be five shares, not {self.filters}")
        if not self.sizes or min(self.sizes) < 1:
            raise ValueError(f"sizes must be positive, not {self.sizes}")
        if not 0 <= self.hard <= 2:
            raise ValueError(f"hard must be between 0 and 2, not {self.hard}")
        for name in ("thinned", "unknown_evidence", "hidden_evidence", "hidden_together"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share, not {getattr(self, name)}")
        if self.together < 1:
            raise ValueError(f"together must be at least 1, not {self.together}")


@dataclass(frozen=True)
class Batch:
    """`correspondences` `(B, N, 4)`, `residual` `(B, N)` to the true matrix, `rotation`
    `(B, 3, 3)`, `translation` `(B, 3)` and `evidence` `(B, N, len(EVIDENCE))`, NaN where
    unknown; float32. `valid` `(B, N)` bool: which rows are matches; the others are zeros, their
    residual inf."""

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

    @property
    def samples(self) -> int:
        """How many pairs."""
        return len(self.valid)

    def rows(self, index: Tensor | slice) -> Batch:
        """The samples that `index` names, in its order."""
        return Batch(*(tensor[index] for tensor in self.tensors()))

    def swapped(self) -> Batch:
        """The same pairs, each the other way round."""
        samples = Samples(self.correspondences, self.evidence, self.rotation, self.translation)
        return dataclasses.replace(self, **vars(swap_views(samples)))


class BatchSource:
    """Batches from dumps held in memory and from synthetic scenes, both on `device`.

    No call waits for the device. `names` are those of the dumps' pairs.
    """

    def __init__(self, config: BatchConfig, seed: int, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.seed = seed
        self.device = torch.device(device)
        pairs: list[Pair] = []
        for path in config.dumps:
            with DumpFile(Path(path).expanduser()) as dump:
                pairs.extend(p for p in dump if not config.scenes or p.scene in config.scenes)
        missing = set(config.scenes) - {pair.scene for pair in pairs}
        if missing:
            raise ValueError(f"no pairs of {', '.join(sorted(missing))} in the dumps")
        self.names = [pair.name for pair in pairs]
        self._pairs = PaddedPairs.of(pairs, self.device) if pairs else None
        self._likelihood = None
        if self._pairs is not None and config.hard:
            share = self._pairs.true_shares().clamp_min(_LEAST_SHARE)
            self._likelihood = share**-config.hard
        self._group: tuple[int, Batch] | None = None  # made last, with its number

    def batch(self, iteration: int) -> Batch:
        """The batch of one iteration, on the source's device."""
        together = self.config.together
        number, place = divmod(iteration, together)
        if together == 1:
            return self._made(number)
        if self._group is None or self._group[0] != number:
            self._group = number, self._made(number)
        group = self._group[1]
        samples = group.samples // together
        return group.rows(slice(place * samples, (place + 1) * samples))

    def _made(self, number: int) -> Batch:
        """`together` batches in one."""
        # What shapes follow from is drawn on the host, all else on the device.
        host = np.random.default_rng((self.seed, number))
        draws = Draws(torch.Generator(self.device).manual_seed(int(host.integers(2**62))))
        config = self.config
        count = int(host.choice(config.sizes))
        samples = max(2, config.matches // count) * config.together
        made = samples if self._pairs is None else int(host.binomial(samples, config.synthetic))
        parts = []
        if made:
            parts.append(_synthetic(made, count, draws))
        if self._pairs is not None and made < samples:
            parts.append(self._from_pairs(self._pairs, samples - made, count, draws))
        joined = self._with_evidence_changed(_joined(parts), draws)
        if config.together == 1:
            return joined
        # Synthetic samples are the first: to all batches a share of them.
        return joined.rows(draws.permutations(1, samples)[0])

    def _from_pairs(self, pairs: PaddedPairs, samples: int, count: int, draws: Draws) -> Batch:
        config = self.config
        if self._likelihood is None:
            index = draws.integer(samples, count=len(self.names))
        else:
            index = draws.by_weight(self._likelihood, samples)
        every = pairs.take(index)
        candidates = every.valid
        if config.augment and config.crops:
            inside = windows(every.correspondences, every.valid, draws)
            enough = inside.sum(1) >= FEWEST
            cropped = (draws.chance(config.crops, samples) & enough).unsqueeze(1)
            candidates = torch.where(cropped, inside, every.valid)
        if config.augment and config.thinned:
            candidates = thinned(every.right, candidates, config.thinned, draws)
        chosen, valid = choose_matches(
            every.evidence, candidates, count, draws, config.filters, config.fill
        )
        drawn = Samples(
            _rows(every.correspondences, chosen).double(),
            _rows(every.evidence, chosen).double(),
            every.rotation,
            every.translation,
        )
        if config.augment:
            # What is no match must not keep its sample from being turned.
            first = drawn.correspondences[:, :1]
            drawn = dataclasses.replace(
                drawn,
                correspondences=torch.where(valid.unsqueeze(-1), drawn.correspondences, first),
            )
            drawn = augmented(drawn, draws)
        return _labelled(drawn, valid, config.focal_error, draws)

    def _with_evidence_changed(self, batch: Batch, draws: Draws) -> Batch:
        """Other descriptors spread their ratios otherwise; of some samples nothing is known, or not
        all."""
        samples = len(batch.evidence)
        ratio, *others = batch.evidence.unbind(-1)
        if self.config.augment:
            ratio = ratio ** draws.uniform(samples, 1, low=0.7, high=1.4)
        evidence = torch.stack((ratio, *others), -1)
        config = self.config
        hidden = draws.chance(config.hidden_evidence, samples, 1, len(EVIDENCE))
        unknown = draws.chance(config.unknown_evidence, samples, 1, 1)
        hidden = hidden | draws.chance(config.hidden_together, samples, 1, 1)
        hidden[..., :2] = False
        evidence = evidence.masked_fill(hidden | unknown, torch.nan)
        return dataclasses.replace(
            batch, evidence=evidence.masked_fill(~batch.valid.unsqueeze(-1), 0.0)
        )


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """`(B, K, C)`: the rows of `(B, N, C)` that `(B, K)` names."""
    return values.gather(1, index.unsqueeze(-1).expand(-1, -1, values.shape[-1]))


def _synthetic(samples: int, count: int, draws: Draws) -> Batch:
    scenes = synthetic_batch(samples, count, draws.generator)
    unknown = len(EVIDENCE) - scenes.evidence.shape[-1]
    return Batch(
        scenes.correspondences,
        symmetric_epipolar_distance_squared(
            scenes.correspondences, essential_from_pose(scenes.rotation, scenes.translation)
        ),
        scenes.rotation,
        scenes.translation,
        F.pad(scenes.evidence, (0, unknown), value=torch.nan),
        torch.ones_like(scenes.inlier),
    )


def _labelled(samples: Samples, valid: Tensor, focal_error: float, draws: Draws) -> Batch:
    """Samples with their residuals, as if normalised with focal lengths that are off by a little.

    What such coordinates obey is no longer an essential matrix: residuals follow the matrix that
    they do obey, rotation and translation stay the true ones.
    """
    matches = samples.correspondences
    matrix = essential_from_pose(samples.rotation, samples.translation)
    if focal_error:
        scale = (focal_error * draws.normal(len(matches), 2).double()).exp()
        matches = matches * scale.repeat_interleave(2, 1).unsqueeze(1)
        one = torch.ones_like(scale[:, :1])
        undo = [torch.cat((1 / s, 1 / s, one), -1) for s in scale.split(1, dim=1)]
        matrix = undo[1].unsqueeze(-1) * matrix * undo[0].unsqueeze(-2)
    residual = symmetric_epipolar_distance_squared(matches, matrix)
    mask = valid.unsqueeze(-1)
    return Batch(
        matches.masked_fill(~mask, 0.0).float(),
        residual.masked_fill(~valid, torch.inf).float(),
        samples.rotation.float(),
        samples.translation.float(),
        samples.evidence.float(),
        valid,
    )


def _joined(batches: list[Batch]) -> Batch:
    """One batch of batches of as many matches a sample."""
    columns = zip(*(batch.tensors() for batch in batches), strict=True)
    return Batch(*(torch.cat(column) for column in columns))
