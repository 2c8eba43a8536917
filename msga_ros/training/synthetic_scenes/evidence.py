"""What descriptors would say of synthetic matches: the ratio test's ratio and the mutual check.

Densities and curves follow SIFT's over 292 pairs (584,000 nearest neighbours) of the training
scenes sfm_saharov32, sfm_miku_plush (MIT), sfm_banana (MIT) and mobilebrick_sample (BSD), by the
distance of a match to its true epipolar line: under 1 pixel, 2 to 20, above 20.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from msga_ros.training.synthetic_scenes.config import Kind, SyntheticConfig
from msga_ros.training.synthetic_scenes.draws import Draws, constant

_GOOD, _NEAR, _BAD, _ALIKE = range(4)  # how like the right descriptor the matched one is
_LIKENESS = {
    Kind.RIGHT: _GOOD,
    Kind.RANDOM: _BAD,
    Kind.REPEATED: _ALIKE,
    Kind.MOVING: _GOOD,
    Kind.LINE: _NEAR,
    Kind.SHARED: _BAD,
    Kind.NEAR: _NEAR,
}
# Ratios are Beta distributed. Means and concentrations (a + b) of the pairs, 5 % to 95 %:
# good 0.48..0.86 and 3.3..8.3, near 0.82..0.96 and 3.7..26, bad 0.94..0.96 and 10..26. That of
# two equal textures is not measured: the second-best is as good as the best.
_MEAN = ((0.47, 0.87), (0.82, 0.96), (0.935, 0.96), (0.96, 0.985))
_CONCENTRATION = ((3.3, 8.3), (4.0, 26.0), (10.0, 26.0), (20.0, 60.0))
# Probability that a match of some ratio is mutual: knots of polygons.
_MUTUAL = (
    ((0.5, 0.985), (0.7, 0.96), (0.8, 0.9), (0.875, 0.78), (0.94, 0.59), (1.0, 0.36)),
    ((0.45, 0.88), (0.7, 0.75), (0.8, 0.64), (0.9, 0.42), (0.94, 0.32), (1.0, 0.17)),
    ((0.6, 0.7), (0.75, 0.7), (0.825, 0.595), (0.875, 0.47), (0.925, 0.33), (1.0, 0.12)),
    ((0.5, 0.9), (0.8, 0.75), (0.9, 0.6), (0.95, 0.5), (1.0, 0.35)),  # not measured either
)
_BINS = 128  # of the ratio
_CENTRES = ((np.arange(_BINS) + 0.5) / _BINS).astype(np.float32)
_QUANTILES = 256


def evidence(draws: Draws, kind: Tensor, prefiltered: Tensor, config: SyntheticConfig) -> Tensor:
    """`(B, N, 2)` float32: ratio in (0, 1] and mutual flag, 0 or 1, of every match.

    Matches of prefiltered scenes `(B,)` are drawn from those that pass both checks; of a shared
    keypoint's matches only the one that it belongs to can be mutual.
    """
    samples, count = kind.shape
    device = kind.device
    likeness = constant(tuple(_LIKENESS[k] for k in Kind), device)[kind]
    # Where texture repeats, right matches are as ambiguous as wrong ones.
    repeated = (kind == Kind.REPEATED).float().mean(1, keepdim=True) > 0.1
    textured = draws.uniform(samples, count) < 0.8 * draws.uniform(samples, 1) * repeated
    likeness = torch.where(textured & (kind == Kind.RIGHT), _ALIKE, likeness)

    centres, mutual = _curves(device)
    density = _beta(draws, samples, centres)
    passes = mutual * (centres + 0.5 / _BINS < config.prefilter_ratio)
    density = torch.where(prefiltered[:, None, None], density * passes, density)
    ratio = _sample(draws, density, likeness)
    flag = mutual[likeness, (ratio * _BINS).long().clamp_max(_BINS - 1)]
    flag = torch.where(prefiltered[:, None], 1.0, flag)
    flag = flag * (kind != Kind.SHARED)
    return torch.stack((ratio, (draws.uniform(samples, count) < flag).float()), -1)


@functools.cache
def _curves(device: torch.device) -> tuple[Tensor, Tensor]:
    """Centres of the bins, and the probabilities to be mutual there, of each likeness."""
    curves = np.stack([_polygon(knots) for knots in _MUTUAL])
    return torch.from_numpy(_CENTRES).to(device), torch.from_numpy(curves).to(device)


def _polygon(knots: Sequence[tuple[float, float]]) -> NDArray[np.float32]:
    """Its values at the centres of the bins."""
    places, values = np.array(knots).T
    return np.interp(_CENTRES, places, values).astype(np.float32)


def _beta(draws: Draws, samples: int, ratio: Tensor) -> Tensor:
    """Densities `(B, 4, len(ratio))` of the four likenesses, not normalised."""
    low, high = constant(_MEAN, ratio.device).unbind(-1)
    place = draws.uniform(samples, len(_MEAN))
    mean = low + (high - low) * place
    # The higher the mean, the narrower (correlation 0.6).
    low, high = constant(_CONCENTRATION, ratio.device).log().unbind(-1)
    place = 0.5 * (place + draws.uniform(samples, len(_MEAN)))
    concentration = (low + (high - low) * place).exp()
    first, second = mean * concentration, (1 - mean) * concentration
    log = (first - 1)[..., None] * ratio.log() + (second - 1)[..., None] * (1 - ratio).log()
    return (log - log.amax(-1, keepdim=True)).exp()


def _sample(draws: Draws, density: Tensor, row: Tensor) -> Tensor:
    """Values in (0, 1] `(B, N)` by the inverse of the distribution that `row` `(B, N)` names among
    those of `density` `(B, rows, bins)`."""
    samples, rows, bins = density.shape
    distribution = torch.nn.functional.pad(density.cumsum(-1), (1, 0))
    distribution = distribution / distribution[..., -1:]
    levels = torch.linspace(0, 1, _QUANTILES + 1, device=density.device)
    levels = levels.expand(samples, rows, -1).contiguous()
    upper = torch.searchsorted(distribution, levels).clamp(1, bins)
    above, below = distribution.gather(-1, upper), distribution.gather(-1, upper - 1)
    inside = ((levels - below) / (above - below).clamp_min(1e-12)).clamp(0, 1)
    quantiles = ((upper - 1 + inside) / bins).flatten(1)
    position = draws.uniform(*row.shape) * _QUANTILES
    index = position.long().clamp_max(_QUANTILES - 1)
    start = row * (_QUANTILES + 1) + index
    low, high = quantiles.gather(1, start), quantiles.gather(1, start + 1)
    return (low + (high - low) * (position - index)).clamp_min(1e-3)
