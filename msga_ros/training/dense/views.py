"""Views of stored photographs, drawn on any device, and what is known of their correspondences."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from msga_ros.datasets.photographs.pack import Photograph
from msga_ros.training.synthetic_scenes.draws import Draws, constant

_ROUNDING = 1e-3  # pixels
VISIBLE, HIDDEN, UNKNOWN = 1, 0, -1  # of a pixel: whether the other view sees the same


@dataclass(frozen=True)
class DenseBatch:
    """B pairs of views of H x W pixels.

    `image0`, `image1` `(B, 1, H, W)` in [0, 1]. `target0` `(B, 2, H, W)`: where the other view has
    what is at each pixel of view 0, in pixels; `state0` `(B, H, W)` int8: `VISIBLE`, `HIDDEN` (the
    other view does not show it) or `UNKNOWN`; `target1`, `state1` likewise. `fundamental`
    `(B, 3, 3)`: `x1^T F x0 = 0`, zeros where every pixel is known instead.
    """

    image0: Tensor
    image1: Tensor
    target0: Tensor
    target1: Tensor
    state0: Tensor
    state1: Tensor
    fundamental: Tensor

    def tensors(self) -> tuple[Tensor, ...]:
        """All of them, in the order of the constructor."""
        return tuple(getattr(self, entry.name) for entry in dataclasses.fields(self))

    @property
    def samples(self) -> int:
        """How many pairs."""
        return len(self.image0)

    @classmethod
    def joined(cls, batches: Sequence[DenseBatch]) -> DenseBatch:
        """One batch of several of as many pixels."""
        columns = zip(*(batch.tensors() for batch in batches), strict=True)
        parts = [torch.cat(column) for column in columns]
        return cls(*parts)


@dataclass(frozen=True)
class Album:
    """N photographs on a device, in the corner of a square that holds the largest.

    `grey` `(N, S, S)` uint8, `sizes` `(N, 2)` (width, height), `cameras` `(N, 3, 3)`, `rotations`
    `(N, 3, 3)`, `translations` `(N, 3)` float64, `inverse_depth` `(N, S, S)` float32 or None.
    """

    grey: Tensor
    sizes: Tensor
    cameras: Tensor
    rotations: Tensor
    translations: Tensor
    inverse_depth: Tensor | None

    @classmethod
    def of(cls, photographs: Sequence[Photograph], device: torch.device) -> Album:
        """All with depth or all without."""
        side = max(max(one.grey.shape) for one in photographs)
        grey = np.zeros((len(photographs), side, side), np.uint8)
        depth = None
        if photographs[0].inverse_depth is not None:
            depth = np.zeros((len(photographs), side, side), np.float32)
        for number, one in enumerate(photographs):
            height, width = one.grey.shape
            grey[number, :height, :width] = one.grey
            if depth is not None and one.inverse_depth is not None:
                depth[number, :height, :width] = one.inverse_depth
        return cls(
            torch.from_numpy(grey).to(device),
            torch.tensor([one.grey.shape[::-1] for one in photographs], device=device),
            torch.from_numpy(np.stack([one.camera for one in photographs])).to(device),
            torch.from_numpy(np.stack([one.rotation for one in photographs])).to(device),
            torch.from_numpy(np.stack([one.translation for one in photographs])).to(device),
            None if depth is None else torch.from_numpy(depth).to(device),
        )

    def view(self, indices: Tensor, to_photograph: Tensor, height: int, width: int) -> Tensor:
        """`(B, 1, H, W)` in [0, 1]: photographs `(B,)` seen through homographies `(B, 3, 3)` from
        pixels of the view to pixels of the photograph; outside, its edge is repeated."""
        places = moved(pixel_grid(height, width, self.grey.device), to_photograph)
        limit = (self.sizes[indices] - 1).float()
        inside = torch.minimum(places.clamp(min=0), limit[:, None, None])
        return sample(self.grey[indices].unsqueeze(1).float(), inside) / 255.0

    def covers(self, indices: Tensor, places: Tensor) -> Tensor:
        """Whether `places` `(B, H, W, 2)` lie in the photographs `(B,)`."""
        limit = (self.sizes[indices] - 1)[:, None, None]
        return ((places >= 0) & (places <= limit)).all(-1)


def pixel_grid(height: int, width: int, device: torch.device) -> Tensor:
    """`(H, W, 2)` pixels (x, y)."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    return torch.stack((x, y), -1).float()


def moved(points: Tensor, homographies: Tensor) -> Tensor:
    """`(B, H, W, 2)`: points `(H, W, 2)` or `(B, H, W, 2)` through `(B, 3, 3)`; far away where
    they would be behind the camera."""
    matrix = homographies.to(points.dtype)
    rays = F.pad(points, (0, 1), value=1.0)
    rays = (
        torch.einsum("bij,...hwj->bhwi", matrix, rays)
        if points.ndim == 3
        else torch.einsum("bij,bhwj->bhwi", matrix, rays)
    )
    in_front = rays[..., 2:] > 1e-6
    return torch.where(in_front, rays[..., :2] / rays[..., 2:].clamp(min=1e-6), -1e6)


def sample(images: Tensor, places: Tensor) -> Tensor:
    """`(B, C, H, W)`: `images` `(B, C, h, w)` at `places` `(B, H, W, 2)` in pixels, bilinear."""
    height, width = images.shape[-2:]
    size = constant((float(width), float(height)), images.device).to(places.dtype)
    grid = (2 * places + 1) / size - 1
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def about_the_middle(matrix: Tensor, height: int, width: int) -> Tensor:
    """Homographies `(B, 3, 3)` of coordinates from the middle of a view, as those of its pixels."""
    middle = torch.eye(3, device=matrix.device)
    middle[0, 2], middle[1, 2] = (width - 1) / 2, (height - 1) / 2
    return middle @ matrix @ torch.linalg.inv(middle)


def turns(count: int, largest: float, draws: Draws) -> Tensor:
    """`(B, 3, 3)`: half of them turn by up to `largest` radians either way, the others do not."""
    turned = draws.chance(0.5, count)
    angle = torch.where(turned, draws.uniform(count, low=-largest, high=largest), 0.0)
    matrix = torch.eye(3, device=draws.device).repeat(count, 1, 1)
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
    matrix[:, 1, 0] = angle.sin()
    matrix[:, 0, 1] = -matrix[:, 1, 0]
    return matrix


def in_view(places: Tensor, height: int, width: int) -> Tensor:
    """Whether `places` `(..., 2)` lie in a view of that size, but for rounding errors."""
    limit = constant((width - 1, height - 1), places.device)
    return ((places >= -_ROUNDING) & (places <= limit + _ROUNDING)).all(-1)
