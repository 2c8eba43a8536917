"""The operations that a fused network is made of: each a kernel, or the same by torch."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from msga_ros.network.fused.values import Tiles, tiles_for

NAMES = (
    "count",
    "encode",
    "linear",
    "settle",
    "finish",
    "nearest",
    "annular",
    "edge_attention",
    "edge_output",
    "pool",
    "unpool",
    "convolution",
    "channel_attention",
    "whole_gate",
    "mixing",
    "eight_point",
    "choose_first",
    "choose_second",
    "weigh",
    "judge",
)


class Operations:
    """By name, as attributes. `by_torch`: of which the plain formulation is to be used.

    `tiles`: block sizes for so many samples and matches.
    """

    count: Callable[..., Any]
    encode: Callable[..., Any]
    linear: Callable[..., Any]
    settle: Callable[..., Any]
    finish: Callable[..., Any]
    nearest: Callable[..., Any]
    annular: Callable[..., Any]
    edge_attention: Callable[..., Any]
    edge_output: Callable[..., Any]
    pool: Callable[..., Any]
    unpool: Callable[..., Any]
    convolution: Callable[..., Any]
    channel_attention: Callable[..., Any]
    whole_gate: Callable[..., Any]
    mixing: Callable[..., Any]
    eight_point: Callable[..., Any]
    choose_first: Callable[..., Any]
    choose_second: Callable[..., Any]
    weigh: Callable[..., Any]
    judge: Callable[..., Any]

    def __init__(
        self,
        by_torch: tuple[str, ...] = (),
        tiles: Callable[[int, int], Tiles] = tiles_for,
    ) -> None:
        self.tiles = tiles
        for name in NAMES:
            setattr(self, name, plain(name) if name in by_torch else kernel(name))


def kernel(name: str) -> Callable[..., Any]:
    """The operation by its kernel. Needs triton."""
    from msga_ros.network.fused.kernels import (
        channel_attention,
        choice,
        clusters,
        edges,
        eight_point,
        grid,
        inputs,
        judgement,
        linear,
        neighbours,
        whole_gate,
    )

    on_grid = (clusters, grid, channel_attention, whole_gate)
    between = (inputs, eight_point, choice, judgement)
    return _found(name, linear, neighbours, edges, *on_grid, *between)


def plain(name: str) -> Callable[..., Any]:
    """The operation by torch."""
    from msga_ros.network.fused import plain_grid, plain_matches, plain_rows

    return _found(name, plain_rows, plain_grid, plain_matches)


def _found(name: str, *modules: ModuleType) -> Callable[..., Any]:
    for module in modules:
        operation: Callable[..., Any] | None = getattr(module, name, None)
        if operation is not None:
            return operation
    raise KeyError(name)
