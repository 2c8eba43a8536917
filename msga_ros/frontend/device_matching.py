"""Nearest neighbours between descriptors that lie on an accelerator: one product, both directions.

The counterpart of `matching.py`, with the same rules: equal distances go to the lower index, no
distance is computed twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from msga_ros.frontend.base import Descriptors
from msga_ros.frontend.matching import Neighbours

_BLOCK_ENTRIES = 1 << 26  # of the table of distances that is held at a time (256 MB)


@dataclass(frozen=True)
class DeviceDescriptors:
    """Descriptors of one image on a device.

    `vectors` (N, D): float32, or 0 and 1 in float16 where `binary`. `squares` (N,): their squared
    lengths.
    """

    vectors: Tensor
    squares: Tensor
    binary: bool
    repeats_descriptors: ClassVar[bool] = True  # see `Features.payload`

    @classmethod
    def of(cls, vectors: Tensor) -> DeviceDescriptors:
        """Of float32 vectors (N, D) that are on the device already."""
        return cls(vectors, vectors.square().sum(1), False)

    @classmethod
    def upload(cls, descriptors: Descriptors, device: torch.device) -> DeviceDescriptors:
        """Of a `Features.descriptors`: (N, D) float32, or uint8 holding bits."""
        binary = descriptors.dtype == np.uint8
        vectors = torch.from_numpy(np.ascontiguousarray(descriptors)).to(device, non_blocking=True)
        if binary:
            shifts = torch.arange(7, -1, -1, device=device, dtype=torch.uint8)
            bits = (vectors.unsqueeze(-1) >> shifts) & 1
            # Half precision counts whole numbers to 2048 exactly; a CPU has no fast one.
            vectors = bits.flatten(1).to(torch.float32 if device.type == "cpu" else torch.float16)
        return cls(vectors, vectors.float().square().sum(1), binary)

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.vectors.device

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True)
class DeviceNeighbours:
    """Of each of N descriptors of view 0, on the device.

    `nearest` (N,) int64: index in view 1; `best`, `second` (N,) float32: Euclidean or Hamming
    distance to it and to the second nearest (inf where there is none); `mutual` (N,) bool: the
    neighbour's nearest neighbour in view 0 is this one.
    """

    nearest: Tensor
    best: Tensor
    second: Tensor
    mutual: Tensor


def nearest_on_device(first: DeviceDescriptors, second: DeviceDescriptors) -> DeviceNeighbours:
    """Nearest neighbours from view 0 to view 1 of two views that have descriptors; nothing waits
    for the device."""
    rows = max(1, _BLOCK_ENTRIES // len(second))
    blocks = [_distances(first, second, slice(at, at + rows)) for at in range(0, len(first), rows)]
    found = [block.topk(min(2, len(second)), dim=1, largest=False) for block in blocks]
    distances = torch.cat([f.values for f in found])
    nearest = torch.cat([f.indices[:, 0] for f in found])
    column_best, reverse = blocks[0].min(0)
    for number, block in enumerate(blocks[1:], 1):
        value, index = block.min(0)
        closer = value < column_best
        column_best = torch.where(closer, value, column_best)
        reverse = torch.where(closer, index + number * rows, reverse)
    if not first.binary:
        distances = distances.sqrt()
    alone = torch.full_like(distances[:, 0], torch.inf)
    return DeviceNeighbours(
        nearest=nearest,
        best=distances[:, 0],
        second=distances[:, 1] if distances.shape[1] > 1 else alone,
        mutual=reverse[nearest] == torch.arange(len(nearest), device=nearest.device),
    )


def neighbours_on_device(first: DeviceDescriptors, second: DeviceDescriptors) -> Neighbours:
    """`nearest_on_device`, on the host."""
    found = nearest_on_device(first, second)
    return Neighbours(
        found.nearest.cpu().numpy(),
        found.best.cpu().numpy(),
        found.second.cpu().numpy(),
        found.mutual.cpu().numpy(),
    )


def _distances(first: DeviceDescriptors, second: DeviceDescriptors, rows: slice) -> Tensor:
    """Squared distances `(n, M)` float32, at least 0."""
    products = (first.vectors[rows] @ second.vectors.T).float()
    table = first.squares[rows, None] + second.squares[None] - 2 * products
    return table.clamp_(min=0)
