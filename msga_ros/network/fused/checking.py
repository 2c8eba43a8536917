"""Holding each kernel against the same operation by torch, on what a network gives it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from msga_ros.network.fused.network import FusedNetwork
from msga_ros.network.fused.operations import NAMES, Operations
from msga_ros.network.fused.plain_rows import merged
from msga_ros.network.fused.values import Statistics, Tiles, tiles_for
from msga_ros.network.graph import gather_rows
from msga_ros.network.net import MSGANet


@dataclass(frozen=True)
class Call:
    """An operation as a network called it, and what torch answered."""

    name: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    answer: Any

    @property
    def size(self) -> str:
        """Shapes of the tensors that it was given, in words."""
        shapes = (tuple(one.shape) for one in _tensors((self.arguments, self.keywords)))
        return " ".join("x".join(map(str, shape)) for shape in shapes)


def calls_of(
    net: MSGANet,
    correspondences: Tensor,
    valid: Tensor,
    evidence: Tensor | None,
    tiles: Callable[[int, int], Tiles] = tiles_for,
) -> list[Call]:
    """All operations of one pass, computed by torch."""
    operations = Operations(by_torch=NAMES, tiles=tiles)
    calls: list[Call] = []

    def noting(name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **keywords: Any) -> Any:
            answer = operation(*arguments, **keywords)
            calls.append(Call(name, arguments, keywords, answer))
            return answer

        return run

    for name in NAMES:
        setattr(operations, name, noting(name, getattr(operations, name)))
    FusedNetwork(net, operations)(correspondences, valid, evidence)
    return calls


def apart(call: Call, found: Any) -> float:
    """Largest difference between `found` and the answer of `call`, relative to the largest entry of
    each tensor of the answer; of neighbours, of which some may be equally near, between their
    distances; inf where one is not finite and the other is, or where a shape differs."""
    if call.name == "nearest":
        features, mask = call.arguments[:2]
        if not bool(_rows(mask.unsqueeze(-1), found).all()):
            return torch.inf
        call, found = (
            dataclasses.replace(call, answer=_distances(features, call.answer)),
            _distances(features, found),
        )
    if call.name == "eight_point":
        agreement = (found * call.answer).sum((1, 2), keepdim=True)
        found = torch.where(agreement < 0, -found, found)  # the sign is free
    expected = list(_tensors(call.answer))
    others = list(_tensors(found))
    if len(expected) != len(others):
        return torch.inf
    return max(_difference(one, other) for one, other in zip(expected, others, strict=True))


def _rows(values: Tensor, neighbours: Tensor) -> Tensor:
    """`(B, N, k, C)`: the rows of `values` `(B, N, C)` that `neighbours` `(B, N, k)` name."""
    return gather_rows(values, neighbours.long())


def _distances(features: Tensor, neighbours: Tensor) -> Tensor:
    points = features.double()
    return (_rows(points, neighbours) - points.unsqueeze(2)).norm(dim=-1)


def _difference(expected: Tensor, found: Tensor) -> float:
    if expected.shape != found.shape:
        return torch.inf
    one, other = expected.double(), found.double()
    known = one.isfinite()
    same = torch.equal(known, other.isfinite()) and bool(
        (one.nan_to_num(7.5)[~known] == other.nan_to_num(7.5)[~known]).all()
    )
    if not same:
        return torch.inf
    one, other = one[known], other[known]
    if not len(one):
        return 0.0
    return float((one - other).abs().max() / one.abs().max().clamp_min(1e-6))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Statistics):
        yield from merged(value)  # whatever the blocks
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _tensors(one)
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
    elif dataclasses.is_dataclass(value):
        yield from _tensors(tuple(vars(value).values()))
