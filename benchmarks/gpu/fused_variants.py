"""Block sizes and precisions of the fused kernels that are measured against the rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from msga_ros.network.fused.values import Tiles, tiles_for

Rule = Callable[[int, int], Tiles]


def _changed(**changes: object) -> Rule:
    return lambda batch, rows: replace(tiles_for(batch, rows), **changes)  # type: ignore[arg-type]


RULE = "rule"
SINGLE: dict[str, Rule] = {
    RULE: tiles_for,
    "rows 16": _changed(rows=16),
    "ieee": _changed(precision="ieee"),
    "tf32": _changed(precision="tf32"),
    "warps 8": _changed(warps=8),
}
BATCH: dict[str, Rule] = {
    RULE: tiles_for,
    "edges 16": _changed(edge_rows=16, chunk=128, ring_rows=16, ring_columns=128),
    "wide 128": _changed(wide_rows=128, wide_columns=128, wide_depth=32, warps=8),
    "ieee": _changed(precision="ieee"),
    "tf32": _changed(precision="tf32"),
}


def variants(batch: int) -> dict[str, Rule]:
    """By name, for single pairs or for batches."""
    return SINGLE if batch == 1 else BATCH
