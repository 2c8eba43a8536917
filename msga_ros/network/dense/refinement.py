"""Module 3, second half: a match of two points becomes exact to a part of a finer cell.

The feature at the point of image 0 is compared with those of a window around the guess in image 1;
the answer is a distribution over the window's cells, and a point by its mean around its peak.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from msga_ros.network.dense.sampling import FlatMap, window

_FIRST_SCALE = 12.0


@dataclass(frozen=True)
class Search:
    """Of M matches at one level.

    `points1` `(M, 2)` pixels, found; `log_probability` `(M, K)` over the K cells of the window,
    -inf outside of the image; `middle` `(M, 2)`: the window's middle cell, whole numbers.
    """

    points1: Tensor
    log_probability: Tensor
    middle: Tensor

    @property
    def peak(self) -> Tensor:
        """Logarithm of the largest probability, `(M,)`."""
        return self.log_probability.max(1).values

    @property
    def entropy(self) -> Tensor:
        """Of the distribution, `(M,)` in nats."""
        finite = self.log_probability.clamp(min=-50.0)
        return -(finite.exp() * finite).sum(1)


class WindowSearch(nn.Module):
    """Searches a window of `2 radius + 1` cells along a side."""

    def __init__(self, radius: int) -> None:
        super().__init__()
        self.radius = radius
        self.log_scale = nn.Parameter(torch.tensor(_FIRST_SCALE).log())

    def forward(
        self, map0: FlatMap, map1: FlatMap, images: Tensor, points0: Tensor, guess1: Tensor
    ) -> Search:
        """Features of unit length; `images` `(M,)`, `points0`, `guess1` `(M, 2)` pixels."""
        query = map0.between(images, points0)
        x, y = map1.to_cells(guess1).round().unbind(1)
        middle = torch.stack((x.clamp(0, map1.width - 1), y.clamp(0, map1.height - 1)), 1)
        steps = window(self.radius, middle.device)
        cells = middle.long().unsqueeze(1) + steps
        offered = map1.at(images.unsqueeze(1).expand(cells.shape[:2]), cells)
        # A row times a matrix; the other way round it takes six times as long on a CPU.
        scores = (query.unsqueeze(1) @ offered.transpose(1, 2)).squeeze(1) * self.log_scale.exp()
        scores = scores.masked_fill(~map1.inside(cells), -torch.inf)
        log_probability = scores.log_softmax(1)
        around = self._mean_around_peak(log_probability, steps)
        return Search(map1.to_pixels(middle + around), log_probability, middle)

    def _mean_around_peak(self, log_probability: Tensor, steps: Tensor) -> Tensor:
        """`(M, 2)` steps from the middle: the mean over the peak and the eight cells around it."""
        peak = steps[log_probability.argmax(1)]
        near = (steps - peak.unsqueeze(1)).abs().amax(2) <= 1
        weights = log_probability.exp() * near
        weights = weights / weights.sum(1, keepdim=True)
        return weights @ steps.to(weights.dtype)


def true_distribution(cells: Tensor, middle: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """What `WindowSearch` should have answered where the true point is at `cells` `(M, 2)`.

    The truth lies between four cells and is shared among them as in bilinear interpolation.

    Returns:
        `(M, K)`, each row sums to 1, and `(M,)` bool: whether all four are in the window.
    """
    steps = window(radius, cells.device)
    offset = cells - middle
    distance = (offset.unsqueeze(1) - steps).abs()
    shares = (1 - distance).clamp(min=0).prod(2)
    inside = (offset.abs() <= radius).all(1)
    return shares, inside
