"""Module 3, its end: patches around a match are aligned to a part of a pixel.

Gauss-Newton on the difference of both patches, as Lucas and Kanade do (IJCAI 1981; in the inverse
compositional form of Baker and Matthews, IJCV 2004), but on learned features beside the grey level,
with learned weights of pixels. Untrained it is Lucas-Kanade on the grey level; training can only
choose what to compare, and how much to trust it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from msga_ros.network.dense.sampling import FlatMap, window

_LONGEST_STEP = 1.5  # pixels
_LEAST_CURVATURE = 1e-3  # added to the diagonal: a patch without structure does not move
_LEAST_SPREAD = 1e-2  # standard deviation below which a patch is not enlarged in contrast


@dataclass(frozen=True)
class Aligned:
    """Of M matches.

    `points1` `(M, 2)` pixels; `uncertainty` `(M,)`: standard deviation of the point that follows
    from what differs still and from the structure, pixels; `difference` `(M,)`: what differs, of
    patches with a variance of about one; `moved` `(M,)` pixels from the start.
    """

    points1: Tensor
    uncertainty: Tensor
    difference: Tensor
    moved: Tensor


class Alignment(nn.Module):
    """Aligns patches of `2 radius + 1` pixels along a side."""

    def __init__(self, channels: int, radius: int, steps: int) -> None:
        """`channels`: learned ones; before them is the grey level, behind them the weight."""
        super().__init__()
        self.radius = radius
        self.steps = steps
        first = torch.full((1 + channels,), -2.0)
        first[0] = 0.0
        self.log_gain = nn.Parameter(first)
        self.log_tolerance = nn.Parameter(torch.tensor(0.0))
        self.log_reach = nn.Parameter(torch.tensor(radius / 1.5).log())

    def forward(
        self, map0: FlatMap, map1: FlatMap, images: Tensor, points0: Tensor, guess1: Tensor
    ) -> Aligned:
        """Maps of a `Pyramid.full`; `images` `(M,)`, `points0`, `guess1` `(M, 2)` pixels."""
        side = 2 * self.radius + 3  # one pixel more for the derivatives
        wide = window(self.radius + 1, points0.device).to(points0.dtype)
        steps = window(self.radius, points0.device).to(points0.dtype)
        every = images.unsqueeze(1)
        seen = map0.between(every.expand(-1, side * side), points0.unsqueeze(1) + wide)
        seen = seen.unflatten(1, (side, side))
        inner = seen[:, 1:-1, 1:-1].flatten(1, 2)
        weight = inner[..., -1] * self._window_weight(steps)
        weight = weight / weight.sum(1, keepdim=True).clamp(min=1e-6)
        patch0, contrast = _evened(inner[..., :-1], weight)
        gain = self.log_gain.exp()
        patch0 = patch0 * gain
        along_x = (seen[:, 1:-1, 2:] - seen[:, 1:-1, :-2]).flatten(1, 2)[..., :-1] / 2
        along_y = (seen[:, 2:, 1:-1] - seen[:, :-2, 1:-1]).flatten(1, 2)[..., :-1] / 2
        slopes = torch.stack((along_x, along_y), -1) * (gain / contrast).unsqueeze(-1)
        slopes = slopes - (slopes * weight[..., None, None]).sum(1, keepdim=True)

        points1 = guess1
        difference = curvature = None
        many = every.expand(-1, len(steps))
        for _ in range(self.steps):
            there = map1.between(many, points1.unsqueeze(1) + steps)[..., :-1]
            apart = _evened(there, weight)[0] * gain - patch0
            squared = apart.square().mean(2)
            trusted = weight / (1 + squared / self.log_tolerance.exp().square())
            curvature = torch.einsum("mk,mkcx,mkcy->mxy", trusted, slopes, slopes)
            slope = torch.einsum("mk,mkcx,mkc->mx", trusted, slopes, apart)
            step = -_solved(curvature, slope)
            points1 = points1 + step.clamp(-_LONGEST_STEP, _LONGEST_STEP)
            difference = (trusted * squared).sum(1) / trusted.sum(1).clamp(min=1e-9)
        assert difference is not None and curvature is not None
        trace = _trace_of_inverse(curvature)
        pixels = len(steps) * patch0.shape[2]
        uncertainty = (trace * difference * patch0.shape[2] / pixels).clamp(min=1e-12).sqrt()
        moved = (points1 - guess1).norm(dim=1)
        return Aligned(points1, uncertainty, difference, moved)

    def _window_weight(self, steps: Tensor) -> Tensor:
        squared = steps.square().sum(1) / self.log_reach.exp().square()
        return (-squared / 2).exp()


def _evened(patch: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """`(M, K, C)` with weighted mean 0 and variance about 1 in each channel, and by what it was
    divided, `(M, 1, C)`: brightness and contrast differ between images."""
    share = weight.unsqueeze(2)
    centred = patch - (patch * share).sum(1, keepdim=True)
    contrast = ((centred.square() * share).sum(1, keepdim=True) + _LEAST_SPREAD**2).sqrt()
    return centred / contrast, contrast


def _damped(curvature: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    a = curvature[:, 0, 0] + _LEAST_CURVATURE
    d = curvature[:, 1, 1] + _LEAST_CURVATURE
    b = curvature[:, 0, 1]
    return a, b, d, (a * d - b * b).clamp(min=1e-9)


def _solved(curvature: Tensor, slope: Tensor) -> Tensor:
    """`curvature^-1 slope` of `(M, 2, 2)` and `(M, 2)`."""
    a, b, d, determinant = _damped(curvature)
    x, y = slope.unbind(1)
    return torch.stack((d * x - b * y, a * y - b * x), 1) / determinant.unsqueeze(1)


def _trace_of_inverse(curvature: Tensor) -> Tensor:
    a, _, d, determinant = _damped(curvature)
    return (a + d) / determinant
