"""Random numbers of a `torch.Generator`, and rotations made of them; all on its device."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor


@functools.cache
def constant(values: tuple[object, ...], device: torch.device) -> Tensor:
    """`values` on a device, not to be written to.

    Copied there once: a copy from the host waits for all that the device has yet to do.
    """
    return torch.tensor(values, device=device)


class Draws:
    """Random float32 tensors; each call advances the generator."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.device = generator.device

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """In `[low, high)`."""
        values = torch.rand(shape, generator=self.generator, device=self.device)
        return values * (high - low) + low

    def log_uniform(self, *shape: int, low: float, high: float) -> Tensor:
        """Uniform in the logarithm."""
        return self.uniform(*shape, low=math.log(low), high=math.log(high)).exp()

    def normal(self, *shape: int) -> Tensor:
        """Standard normal."""
        return torch.randn(shape, generator=self.generator, device=self.device)

    def chance(self, probability: float, *shape: int) -> Tensor:
        """True with that probability."""
        return self.uniform(*shape) < probability

    def integer(self, *shape: int, count: int) -> Tensor:
        """0 to `count - 1`."""
        return torch.randint(count, shape, generator=self.generator, device=self.device)

    def choice(self, weights: Sequence[float], *shape: int) -> Tensor:
        """Indices into `weights`, as often as those say."""
        edges = constant(tuple(weights), self.device).cumsum(0)
        return torch.bucketize(self.uniform(*shape) * edges[-1], edges[:-1], right=True)

    def by_weight(self, weights: Tensor, samples: int) -> Tensor:
        """`(samples,)` indices into `weights` `(K,)`, positive, as often as those say."""
        edges = weights.double().cumsum(0)
        drawn = self.uniform(samples).double() * edges[-1]
        return torch.bucketize(drawn, edges[:-1], right=True)

    def permutations(self, samples: int, count: int) -> Tensor:
        """`(samples, count)`, each row a random order of 0 to `count - 1`."""
        return self.uniform(samples, count).argsort(1)

    def directions(self, *shape: int) -> Tensor:
        """Unit vectors `(*shape, 3)`, uniform on the sphere."""
        return torch.nn.functional.normalize(self.normal(*shape, 3), dim=-1)


def rotation_matrices(vectors: Tensor) -> Tensor:
    """`(..., 3, 3)` of rotation vectors `(..., 3)`, radians (Rodrigues)."""
    angle = vectors.norm(dim=-1)[..., None, None]
    cross = _cross_matrices(vectors)
    sine = torch.sinc(angle / math.pi)
    cosine = 0.5 * torch.sinc(angle / (2 * math.pi)).square()
    return _identity(vectors) + sine * cross + cosine * (cross @ cross)


def rotations_to_axis(directions: Tensor) -> Tensor:
    """The least rotations `(..., 3, 3)` that take unit vectors, none of them -z, to the z axis."""
    x, y, z = directions.unbind(-1)
    cross = _cross_matrices(torch.stack((y, -x, torch.zeros_like(z)), -1))
    return _identity(directions) + cross + cross @ cross / (1 + z)[..., None, None]


def _identity(vectors: Tensor) -> Tensor:
    return torch.eye(3, device=vectors.device, dtype=vectors.dtype)


def _cross_matrices(vectors: Tensor) -> Tensor:
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1).unflatten(-1, (3, 3))
