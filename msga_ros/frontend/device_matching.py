"""Nearest neighbours between descriptors that lie on an accelerator: one product, both directions.

The counterpart of `matching.py`, with the same rules: equal distances go to the lower index, no
distance is computed twice. Distances of bits are exact, and so are the same matches; those of
vectors are rounded otherwise than on the host, so of two neighbours that are equally near to one
part in a million the other one may be the nearest.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from msga_ros.devices.fallback import same_device
from msga_ros.frontend.base import Descriptors, Features
from msga_ros.frontend.matching import Neighbours

_BLOCK_ENTRIES = 1 << 26  # of the table of distances that is held at a time (256 MB)
_KEPT_VIEWS = 16  # whose descriptors stay on the device, as long as their features live
_EXACT_IN_HALF = 2048  # half precision counts whole numbers up to here


@dataclass(frozen=True)
class DeviceDescriptors:
    """Descriptors of one image on a device.

    `vectors` (N, D): float32, or 0 and 1 where `binary` (in float16 on an accelerator). `squares`
    (N,): their squared lengths.
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
        """Of a `Features.descriptors`: (N, D) float32, or uint8 holding bits. One copy."""
        binary = descriptors.dtype == np.uint8
        rows = np.require(descriptors, requirements=("C", "W"))  # else torch warns
        vectors = torch.from_numpy(rows).to(device, non_blocking=True)
        if binary:
            shifts = torch.arange(7, -1, -1, device=device, dtype=torch.uint8)
            bits = ((vectors.unsqueeze(-1) >> shifts) & 1).flatten(1)
            exact = device.type != "cpu" and bits.shape[1] <= _EXACT_IN_HALF
            vectors = bits.to(torch.float16 if exact else torch.float32)
        return cls(vectors, vectors.float().square().sum(1), binary)

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.vectors.device

    def __len__(self) -> int:
        return len(self.vectors)


# By the identity of the features that they are of.
_Kept = OrderedDict[int, tuple["weakref.ref[Features]", DeviceDescriptors]]


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


class SearchOnDevice:
    """Nearest neighbours of two views on `device`.

    The descriptors of a view are copied there once, and stay while its features live (of the last
    views): those of the view before, and of a view that several others are compared with. Features
    whose payload lies on the device are not copied at all. One thread at a time.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._kept: _Kept = OrderedDict()

    def __call__(self, features0: Features, features1: Features) -> Neighbours:
        """As `nearest_on_host`. Raises `RuntimeError` where the device fails."""
        return neighbours_on_device(self._there(features0), self._there(features1))

    def _there(self, features: Features) -> DeviceDescriptors:
        made = features.payload
        if isinstance(made, DeviceDescriptors) and same_device(made.device, self.device):
            return made
        key = id(features)
        kept = self._kept.get(key)
        if kept is None or kept[0]() is not features:
            there = DeviceDescriptors.upload(features.descriptors, self.device)
            kept = self._kept[key] = (
                weakref.ref(features, partial(_forget, self._kept, key)),
                there,
            )
            while len(self._kept) > _KEPT_VIEWS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept[1]


def _forget(kept: _Kept, key: int, _: weakref.ref[Features]) -> None:
    """Free the memory on the device, in whichever thread lets go of the features last."""
    kept.pop(key, None)


def nearest_on_device(first: DeviceDescriptors, second: DeviceDescriptors) -> DeviceNeighbours:
    """Nearest neighbours from view 0 to view 1 of two views that have descriptors; nothing waits
    for the device."""
    rows = max(1, _BLOCK_ENTRIES // len(second))
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    columns: tuple[Tensor, Tensor] | None = None
    for at in range(0, len(first), rows):
        table = _distances(first, second, slice(at, at + rows))
        # The first of equal ones; `topk` would give any.
        value, index = table.min(0)
        if columns is None:
            columns = value, index
        else:
            closer = value < columns[0]
            columns = (
                torch.where(closer, value, columns[0]),
                torch.where(closer, index + at, columns[1]),
            )
        best, nearest = table.min(1)
        others = table.scatter_(1, nearest[:, None], torch.inf).amin(1)
        found.append((nearest, best, others))
    assert columns is not None
    nearest, best, others = (torch.cat(parts) for parts in zip(*found, strict=True))
    if not first.binary:
        best, others = best.sqrt(), others.sqrt()
    mutual = columns[1][nearest] == torch.arange(len(nearest), device=nearest.device)
    return DeviceNeighbours(nearest, best, others, mutual)


def neighbours_on_device(first: DeviceDescriptors, second: DeviceDescriptors) -> Neighbours:
    """`nearest_on_device`, on the host, by one copy."""
    found = nearest_on_device(first, second)
    parts = (
        found.nearest.to(torch.int32),
        found.best.view(torch.int32),
        found.second.view(torch.int32),
        found.mutual.to(torch.int32),
    )
    nearest, best, others, mutual = torch.stack(parts).cpu().numpy()
    return Neighbours(
        nearest.astype(np.int64),
        best.view(np.float32),
        others.view(np.float32),
        mutual.astype(np.bool_),
    )


def _distances(first: DeviceDescriptors, second: DeviceDescriptors, rows: slice) -> Tensor:
    """Squared distances `(n, M)` float32, at least 0."""
    products = (first.vectors[rows] @ second.vectors.T).float()
    table = first.squares[rows, None] + second.squares[None] - 2 * products
    return table.clamp_(min=0)
