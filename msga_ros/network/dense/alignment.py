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

from msga_ros.network.dense.sampling import FlatMap, PaddedMap, window

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
        self,
        map0: FlatMap | PaddedMap,
        map1: FlatMap | PaddedMap,
        images: Tensor,
        points0: Tensor,
        guess1: Tensor,
    ) -> Aligned:
        """Maps of a `Pyramid.full`; `images` `(M,)`, `points0`, `guess1` `(M, 2)` pixels."""
        seen = map0.patches(images, points0, self.radius + 1)  # one more, for the derivatives
        inner = seen[:, :, 1:-1, 1:-1].flatten(2)  # (M, C, K)
        weight = inner[:, -1] * self._window_weight(points0)
        weight = (weight / weight.sum(1, keepdim=True).clamp(min=1e-6)).unsqueeze(2)  # (M, K, 1)
        gain = self.log_gain.exp().unsqueeze(1)
        centred, contrast = _centred(inner[:, :-1], weight)
        negative0 = centred * (-gain / contrast)
        scale = gain / contrast / 2
        along_x = (seen[:, :-1, 1:-1, 2:] - seen[:, :-1, 1:-1, :-2]).flatten(2) * scale
        along_y = (seen[:, :-1, 2:, 1:-1] - seen[:, :-1, :-2, 1:-1]).flatten(2) * scale
        along_x = along_x - along_x @ weight
        along_y = along_y - along_y @ weight
        along = torch.stack((along_x.flatten(1), along_y.flatten(1)), 1)  # (M, 2, C K)
        # Of each pixel, summed over the channels: what the sums over pixels are of.
        products = torch.stack(
            [(one * two).sum(1) for one, two in ((along_x, along_x), (along_x, along_y))]
            + [along_y.square().sum(1)],
            1,
        )  # (M, 3, K)

        points1 = guess1
        difference = curvature = None
        for _ in range(self.steps):
            there = map1.patches(images, points1, self.radius)[:, :-1].flatten(2)
            centred, contrast = _centred(there, weight)
            apart = torch.addcmul(negative0, centred, gain / contrast)
            squared = apart.square().mean(1)
            trusted = weight[..., 0] / (1 + squared / self.log_tolerance.exp().square())
            curvature = (products * trusted.unsqueeze(1)).sum(2)  # (M, 3): xx, xy, yy
            counted = (apart * trusted.unsqueeze(1)).flatten(1)
            # A row times a matrix; the other way round it takes several times as long on a CPU.
            slope = (counted.unsqueeze(1) @ along.transpose(1, 2))[:, 0]
            step = -_solved(curvature, slope)
            points1 = points1 + step.clamp(-_LONGEST_STEP, _LONGEST_STEP)
            difference = (trusted * squared).sum(1) / trusted.sum(1).clamp(min=1e-9)
        assert difference is not None and curvature is not None
        trace = _trace_of_inverse(curvature)
        uncertainty = (trace * difference / weight.shape[1]).clamp(min=1e-12).sqrt()
        moved = (points1 - guess1).norm(dim=1)
        return Aligned(points1, uncertainty, difference, moved)

    def _window_weight(self, like: Tensor) -> Tensor:
        """`(K,)`"""
        steps = window(self.radius, like.device).to(like.dtype)
        squared = steps.square().sum(1) / self.log_reach.exp().square()
        return (-squared / 2).exp()


def _centred(patch: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """`(M, C, K)` with weighted mean 0 in each channel, `weight` `(M, K, 1)`; and about its
    standard deviation, `(M, C, 1)`: brightness and contrast differ between images."""
    centred = patch - patch @ weight
    return centred, (centred.square() @ weight + _LEAST_SPREAD**2).sqrt()


def _damped(curvature: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    xx, xy, yy = curvature.unbind(1)
    a, d = xx + _LEAST_CURVATURE, yy + _LEAST_CURVATURE
    return a, xy, d, (a * d - xy * xy).clamp(min=1e-9)


def _solved(curvature: Tensor, slope: Tensor) -> Tensor:
    """`curvature^-1 slope`, of `(M, 3)` (xx, xy, yy) and `(M, 2)`."""
    a, b, d, determinant = _damped(curvature)
    x, y = slope.unbind(1)
    return torch.stack((d * x - b * y, a * y - b * x), 1) / determinant.unsqueeze(1)


def _trace_of_inverse(curvature: Tensor) -> Tensor:
    a, _, d, determinant = _damped(curvature)
    return (a + d) / determinant
