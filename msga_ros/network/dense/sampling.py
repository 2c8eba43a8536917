"""Values of feature maps at points that belong to different images of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class FlatMap:
    """A map `(B, C, h, w)` at 1/`stride` with its cells as rows, `(B h w, C)`."""

    rows: Tensor
    height: int
    width: int
    stride: int

    @classmethod
    def of(cls, features: Tensor, stride: int) -> FlatMap:
        height, width = features.shape[-2:]
        rows = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
        return cls(rows, height, width, stride)

    def to_cells(self, points: Tensor) -> Tensor:
        """Coordinates `(..., 2)` in this map, whole numbers at centres of cells, of pixels."""
        return (points - (self.stride - 1) / 2) / self.stride

    def to_pixels(self, cells: Tensor) -> Tensor:
        """The inverse of `to_cells`."""
        return cells * self.stride + (self.stride - 1) / 2

    def at(self, images: Tensor, cells: Tensor) -> Tensor:
        """Rows `(..., C)` at whole coordinates `(..., 2)` int64, the nearest inside the map.

        `images` `(...)`: which image of the batch.
        """
        x = cells[..., 0].clamp(0, self.width - 1)
        y = cells[..., 1].clamp(0, self.height - 1)
        index = (images * self.height + y) * self.width + x
        return self.rows.index_select(0, index.flatten()).view(*index.shape, self.rows.shape[1])

    def between(self, images: Tensor, points: Tensor) -> Tensor:
        """Values `(..., C)` at `points` `(..., 2)` in pixels, bilinear between four cells."""
        place = self.to_cells(points)
        corner = place.floor()
        share = (place - corner).unsqueeze(-1)
        first = corner.long()
        total = None
        for step_x, step_y in ((0, 0), (1, 0), (0, 1), (1, 1)):
            weight_x = share[..., 0, :] if step_x else 1 - share[..., 0, :]
            weight_y = share[..., 1, :] if step_y else 1 - share[..., 1, :]
            cells = torch.stack((first[..., 0] + step_x, first[..., 1] + step_y), -1)
            part = self.at(images, cells) * (weight_x * weight_y)
            total = part if total is None else total + part
        assert total is not None
        return total

    def patches(self, images: Tensor, points: Tensor, radius: int) -> Tensor:
        """Values `(M, C, 2 radius + 1, 2 radius + 1)` around `points` `(M, 2)` in pixels.

        As `between` at whole steps from each point: all of them lie between cells alike, so that a
        window of cells is read once.
        """
        place = self.to_cells(points)
        corner = place.floor()
        steps = torch.arange(-radius, radius + 2, device=points.device)
        x = (corner[:, :1].long() + steps).clamp(0, self.width - 1)
        y = (corner[:, 1:].long() + steps).clamp(0, self.height - 1)
        rows = (images.unsqueeze(1) * self.height + y) * self.width
        index = rows.unsqueeze(2) + x.unsqueeze(1)  # (M, side, side)
        seen = self.rows.index_select(0, index.flatten())
        seen = seen.view(*index.shape, self.rows.shape[1]).permute(0, 3, 1, 2).contiguous()
        share = (place - corner)[:, :, None, None, None]
        across = torch.lerp(seen[..., :-1], seen[..., 1:], share[:, 0])
        return torch.lerp(across[..., :-1, :], across[..., 1:, :], share[:, 1])

    def inside(self, cells: Tensor) -> Tensor:
        """Whether coordinates `(..., 2)` lie in the map."""
        x, y = cells[..., 0], cells[..., 1]
        return (x >= 0) & (x <= self.width - 1) & (y >= 0) & (y <= self.height - 1)


@dataclass(frozen=True)
class PaddedMap:
    """A map at 1/1 whose edge is repeated, so that what lies around a point is one block of memory.

    `cells` `(B, h + 2 margin, w + 2 margin, C)`. The same patches as of a `FlatMap` in a quarter of
    the time, without a gradient.
    """

    cells: Tensor
    margin: int

    @classmethod
    def of(cls, features: Tensor, margin: int) -> PaddedMap:
        """Of `(B, C, h, w)`; patches may have a radius of half the margin."""
        padded = F.pad(features, (margin,) * 4, mode="replicate")
        return cls(padded.permute(0, 2, 3, 1).contiguous(), margin)

    def patches(self, images: Tensor, points: Tensor, radius: int) -> Tensor:
        """See `FlatMap.patches`."""
        side = 2 * radius + 2
        if side - 1 > self.margin:
            raise ValueError(f"a margin of {self.margin} is too small for a radius of {radius}")
        _, height, width, channels = self.cells.shape
        corner = points.floor()
        # A window that lies outside holds nothing but the edge, however far outside.
        last = corner.new_tensor((width, height)) - 2 * self.margin + radius - 1
        start = torch.minimum(corner, last).clamp(min=-radius - 1).long() + self.margin - radius
        blocks = self.cells.flatten().as_strided(
            (self.cells.numel() // channels - (side - 1) * (width + 1), side, side * channels),
            (channels, width * channels, 1),
        )
        seen = blocks.index_select(0, (images * height + start[:, 1]) * width + start[:, 0])
        seen = seen.unflatten(2, (side, channels))
        share = (points - corner)[:, :, None, None, None]
        across = torch.lerp(seen[:, :, :-1], seen[:, :, 1:], share[:, 0])
        return torch.lerp(across[:, :-1], across[:, 1:], share[:, 1]).permute(0, 3, 1, 2)


def window(radius: int, device: torch.device) -> Tensor:
    """Whole steps `((2 radius + 1)^2, 2)` (x, y), row by row, the middle one zero."""
    steps = torch.arange(-radius, radius + 1, device=device)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack((x, y), -1).reshape(-1, 2)
