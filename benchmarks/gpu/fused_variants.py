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
    "ieee": _changed(precision="ieee"),
    "tf32": _changed(precision="tf32"),
    "rows 16": _changed(rows=16),
    "rows 64": _changed(rows=64),
    "columns 128": _changed(columns=128),
    "depth 32 parts 32 warps 4": _changed(depth=32, parts=32, warps=4),
    "depth 64": _changed(depth=64),
    "columns 32": _changed(columns=32),
    "chunk 64": _changed(chunk=64),
    "query 32 others 128": _changed(query_rows=32, others=128),
    "edges 32": _changed(edge_rows=32),
}
BATCH: dict[str, Rule] = {
    RULE: tiles_for,
    "ieee": _changed(precision="ieee"),
    "tf32": _changed(precision="tf32"),
    "rows 64": _changed(rows=64, warps=4),
    "columns 128": _changed(columns=128),
    "query 64": _changed(query_rows=64),
}


def variants(batch: int) -> dict[str, Rule]:
    """By name, for single pairs or for batches."""
    return SINGLE if batch == 1 else BATCH
