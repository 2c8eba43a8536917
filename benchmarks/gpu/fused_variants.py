"""Block sizes and precisions of the fused kernels that are measured against the rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from msga_ros.network.fused.values import Tiles, tiles_for

Rule = Callable[[int, int], Tiles]


def _changed(**changes: object) -> Rule:
    return lambda batch, rows: replace(tiles_for(batch, rows), **changes)  # type: ignore[arg-type]


# Of an earlier rule: each program has all others of few matches, and many warps.
_EARLIER = {"near_rows": 16, "others": 64, "near_depth": 128, "near_splits": 1, "near_warps": 8}
RULE = "rule"
SINGLE: dict[str, Rule] = {
    RULE: tiles_for,
    "near 16 others 64 warps 8": _changed(**_EARLIER),
    "near splits 4": _changed(near_splits=4),
    "near splits 16": _changed(near_splits=16),
    "grid 32 warps 8": _changed(grid_depth=32, grid_warps=8),
    "near 16 warps 1": _changed(near_rows=16, near_warps=1),
    "edges 32": _changed(edge_rows=32),
    "ieee": _changed(precision="ieee"),
    "tf32": _changed(precision="tf32"),
    "rows 16": _changed(rows=16),
    "rows 64": _changed(rows=64),
    "columns 128": _changed(columns=128),
    "depth 32 parts 32 warps 4": _changed(depth=32, parts=32, warps=4),
    "chunk 64": _changed(chunk=64),
}
BATCH: dict[str, Rule] = {
    RULE: tiles_for,
    "rows 128 warps 8": _changed(rows=128, warps=8),
    "near 32 others 64 warps 8": _changed(**{**_EARLIER, "near_rows": 32}),
    "near splits 2": _changed(near_splits=2),
    "grid 32": _changed(grid_depth=32),
    "ieee": _changed(precision="ieee"),
    "tf32": _changed(precision="tf32"),
    "columns 128": _changed(columns=128),
}


def variants(batch: int) -> dict[str, Rule]:
    """By name, for single pairs or for batches."""
    return SINGLE if batch == 1 else BATCH
