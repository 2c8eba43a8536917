"""What the card can do at most: bytes a second by a copy, operations a second by a product."""

from __future__ import annotations

import torch
from records import Entry, Records, milliseconds


def measure_ceilings(records: Records) -> None:
    """Copy bandwidth, and matrix products in float32 and bfloat16."""
    side = 512 if records.small else 8192
    records.measure("ceilings", "copy", lambda: _copy(records), needs=3)
    for kind in (torch.float32, torch.bfloat16):
        name = f"product {str(kind).removeprefix('torch.')} {side}"
        records.measure("ceilings", name, lambda k=kind: _product(records, side, k), needs=5)  # type: ignore[misc]


def _copy(records: Records) -> Entry:
    values = torch.rand(1 << (20 if records.small else 30), device=records.device)
    target = torch.empty_like(values)
    times = milliseconds(lambda: target.copy_(values), records.device, 10)
    return {**times, "terabytes_a_second": 2 * 4 * values.numel() / times["least_ms"] / 1e9}


def _product(records: Records, side: int, kind: torch.dtype) -> Entry:
    one, other = (torch.randn(side, side, device=records.device, dtype=kind) for _ in range(2))
    times = milliseconds(lambda: one @ other, records.device, 10)
    return {**times, "teraflops": 2 * side**3 / times["least_ms"] / 1e9}
